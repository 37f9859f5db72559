//! The answer of a bulk request, read once: how many items, and what is not plainly settled. An answer that does not
//! name every item is no answer.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::config::PolicyRule;
use crate::record::Operation;

use super::verdict::{ErrorAnswer, ItemAnswer, Verdict, judge_item};

/// Asks for what is judged, and no more. (`items.*.error` alone would leave the good items out, and shift the others.)
pub(crate) const BULK_PATH: &str = "_bulk?filter_path=errors,took,items.*.status,items.*.failure_store,\
                                    items.*.error.type,items.*.error.reason";

/// An item that is anything but [`Verdict::Settled`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    pub item: u32,
    pub verdict: Verdict,
    pub status: u16,
    pub error_type: String,
    pub reason: String,
}

impl Fault {
    /// For people.
    pub fn message(&self) -> String {
        said(self.status, &self.error_type, &self.reason)
    }
}

/// What the index said, in one line.
pub(crate) fn said(status: u16, error_type: &str, reason: &str) -> String {
    let mut text = format!("the index answered {status}");
    if !error_type.is_empty() {
        text = format!("{text} {error_type}");
    }
    if !reason.is_empty() {
        text = format!("{text}: {reason}");
    }
    text.replace(char::is_control, " ")
}

/// Why an answer cannot be trusted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Untrusted(pub String);

/// What was sent, and how what comes back is judged.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub items: usize,
    pub operations: Operations,
    pub policy: Arc<[PolicyRule]>,
    pub body: Bytes,
}

impl Sent {
    /// The ids of the items that can be read.
    fn ids(&self) -> Vec<String> {
        #[derive(Deserialize)]
        struct Named {
            #[serde(rename = "_id")]
            id: String,
        }
        let mut lines = self.body.split(|byte| *byte == b'\n');
        let mut ids = Vec::new();
        while let Some((action, operation)) = lines.next().zip(self.operations.of(ids.len())) {
            let Ok(action) = serde_json::from_slice::<BTreeMap<String, Named>>(action) else { break };
            ids.extend(action.into_values().map(|named| named.id));
            if operation != Operation::Delete {
                lines.next();
            }
        }
        ids
    }
}

/// What was to be done with the items.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Operations {
    All(Operation),
    Each(Vec<Operation>),
}

impl Operations {
    /// None where there are not so many items.
    fn of(&self, item: usize) -> Option<Operation> {
        match self {
            Operations::All(operation) => Some(*operation),
            Operations::Each(operations) => operations.get(item).copied(),
        }
    }
}

/// As actions are called in requests and answers.
fn name(operation: Operation) -> &'static str {
    match operation {
        Operation::Index => "index",
        Operation::Create => "create",
        Operation::Update => "update",
        Operation::Delete => "delete",
    }
}

/// The faults among the items that were sent, in order; all others are settled.
pub(crate) fn read(body: &[u8], sent: &Sent) -> Result<Vec<Fault>, Untrusted> {
    if let Operations::All(operation) = sent.operations
        && plainly_settled(body, name(operation)) == Some(sent.items)
    {
        return Ok(Vec::new());
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let judged = Answer { sent }.deserialize(&mut json).and_then(|judged| json.end().map(|()| judged));
    let judged = judged.map_err(|error| Untrusted(error.to_string()))?;
    match judged.count == sent.items {
        true => Ok(judged.faults),
        false => Err(Untrusted(format!("the answer has {} items, {} were sent", judged.count, sent.items))),
    }
}

/// The error of a request that was refused as a whole; none where the body is not the index's own JSON.
pub(crate) fn read_error(body: &[u8]) -> Option<(String, String)> {
    #[derive(Deserialize)]
    struct Refused<'a> {
        #[serde(borrow)]
        error: ErrorJson<'a>,
    }
    let refused: Refused<'_> = serde_json::from_slice(body).ok()?;
    let error = refused.error.as_answer();
    Some((error.kind.into(), error.reason.into()))
}

/// The number of items where the answer is, byte for byte, what servers write when all is well. Most answers are, and
/// this costs a tenth of parsing them.
fn plainly_settled(body: &[u8], action: &str) -> Option<usize> {
    let digits = |rest: &[u8]| rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = body.strip_prefix(b"{")?;
    // Elasticsearch and OpenSearch differ in the order.
    let mut errors_seen = false;
    loop {
        if let Some(after) = rest.strip_prefix(br#""took":"#) {
            let count = digits(after);
            rest = after[count..].strip_prefix(b",").filter(|_| count > 0)?;
        } else if let Some(after) = rest.strip_prefix(br#""errors":false,"#) {
            errors_seen = true;
            rest = after;
        } else {
            break;
        }
    }
    rest = rest.strip_prefix(br#""items":["#).filter(|_| errors_seen)?;
    let mut items = 0;
    loop {
        // 200 or 201
        rest = rest.strip_prefix(b"{\"")?.strip_prefix(action.as_bytes())?.strip_prefix(br#"":{"status":20"#)?;
        rest = rest.strip_prefix(b"1}}").or_else(|| rest.strip_prefix(b"0}}"))?;
        items += 1;
        match rest {
            [b',', after @ ..] => rest = after,
            b"]}" => return Some(items),
            _ => return None,
        }
    }
}

/// The whole answer, judged on the way.
struct Answer<'s> {
    sent: &'s Sent,
}

struct Judged {
    count: usize,
    faults: Vec<Fault>,
    /// What was sent, where the answer names its items, though nobody asked.
    ids: Option<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Answer<'_> {
    type Value = Judged;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Judged, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Answer<'_> {
    type Value = Judged;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer of a bulk request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Judged, A::Error> {
        let (mut errors, mut items) = (None::<bool>, None);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "errors" if errors.is_none() => errors = Some(map.next_value()?),
                "items" if items.is_none() => items = Some(map.next_value_seed(Items { sent: self.sent })?),
                "errors" | "items" => return Err(A::Error::custom(format!("`{key}` twice"))),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        errors.ok_or_else(|| A::Error::missing_field("errors"))?;
        items.ok_or_else(|| A::Error::missing_field("items"))
    }
}

struct Items<'s> {
    sent: &'s Sent,
}

impl<'de> DeserializeSeed<'de> for Items<'_> {
    type Value = Judged;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Judged, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = Judged;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the items of a bulk answer")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Judged, A::Error> {
        let mut judged = Judged { count: 0, faults: Vec::new(), ids: None };
        while items.next_element_seed(Item { sent: self.sent, judged: &mut judged })?.is_some() {
            judged.count += 1;
        }
        Ok(judged)
    }
}

/// `{"index":{"status":…}}`, judged on the way.
struct Item<'a> {
    sent: &'a Sent,
    judged: &'a mut Judged,
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item of a bulk answer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let action: Cow<'de, str> = map.next_key()?.ok_or_else(|| A::Error::custom("an item without an action"))?;
        let operation = self.sent.operations.of(self.judged.count).unwrap_or_default();
        if action != name(operation) {
            return Err(A::Error::custom("an item of another action than was sent"));
        }
        let item: ItemJson<'de> = map.next_value()?;
        if map.next_key::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("an item with two actions"));
        }
        if let Some(id) = &item.id {
            let ids = self.judged.ids.get_or_insert_with(|| self.sent.ids());
            if ids.get(self.judged.count).is_some_and(|sent| sent != id) {
                return Err(A::Error::custom("an item of another document than was sent"));
            }
        }
        let error = item.error.as_ref().map(ErrorJson::as_answer);
        let answer = ItemAnswer { status: item.status, failure_store: item.failure_store.as_deref(), error };
        let verdict = judge_item(operation, &answer, &self.sent.policy)
            .ok_or_else(|| A::Error::custom(format!("an item with status {}", item.status)))?;
        if verdict != Verdict::Settled {
            let error = error.unwrap_or_default();
            self.judged.faults.push(Fault {
                item: self.judged.count as u32,
                verdict,
                status: item.status,
                error_type: error.kind.into(),
                reason: error.reason.into(),
            });
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct ItemJson<'a> {
    status: u16,
    #[serde(rename = "_id", borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    failure_store: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    error: Option<ErrorJson<'a>>,
}

/// An object, or, in answers that name no exception, a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorJson<'a> {
    Object {
        #[serde(rename = "type", default)]
        kind: Option<Cow<'a, str>>,
        #[serde(default)]
        reason: Option<Cow<'a, str>>,
    },
    Text(Cow<'a, str>),
}

impl ErrorJson<'_> {
    fn as_answer(&self) -> ErrorAnswer<'_> {
        match self {
            ErrorJson::Object { kind, reason } => {
                ErrorAnswer { kind: kind.as_deref().unwrap_or(""), reason: reason.as_deref().unwrap_or("") }
            }
            ErrorJson::Text(text) => ErrorAnswer { kind: "", reason: text },
        }
    }
}

#[cfg(test)]
mod tests;
