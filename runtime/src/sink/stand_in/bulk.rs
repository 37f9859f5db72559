//! Bulk requests to the stand-in index: the real one's checks in its order, as far as a sink can see them.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::store::{Store, Version, Written};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Op {
    Index,
    Create,
    Update,
    Delete,
}

#[derive(Debug, Deserialize)]
struct Target {
    _index: Option<String>,
    _id: Option<String>,
    version: Option<u64>,
    version_type: Option<VersionType>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum VersionType {
    Internal,
    External,
    ExternalGte,
}

struct Item<'a> {
    op: Op,
    index: String,
    id: String,
    version: Version,
    source: Option<Cow<'a, [u8]>>,
}

/// What follows the action line of an update.
#[derive(Debug, Deserialize)]
struct Change<'a> {
    #[serde(borrow)]
    doc: Option<&'a RawValue>,
    script: Option<IgnoredAny>,
    #[serde(default)]
    doc_as_upsert: bool,
}

/// Why a whole request is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Refused {
    pub kind: &'static str,
    pub reason: String,
}

fn refused(kind: &'static str, reason: impl Into<String>) -> Refused {
    Refused { kind, reason: reason.into() }
}

/// The answer to a bulk request; `brief`: only what a filter path of a sink asks for.
pub(super) fn answer(store: &Store, index: Option<&str>, body: &[u8], brief: bool) -> Result<Value, Refused> {
    let items = parse(index, body)?;
    let mut errors = false;
    let answers: Vec<Value> = items
        .into_iter()
        .map(|item| {
            let answer = write(store, &item, brief);
            errors |= answer.get("error").is_some();
            match item.op {
                Op::Index => json!({ "index": answer }),
                Op::Create => json!({ "create": answer }),
                Op::Update => json!({ "update": answer }),
                Op::Delete => json!({ "delete": answer }),
            }
        })
        .collect();
    Ok(json!({ "errors": errors, "took": 0, "items": answers }))
}

fn parse<'a>(index: Option<&str>, body: &'a [u8]) -> Result<Vec<Item<'a>>, Refused> {
    const ILLEGAL: &str = "illegal_argument_exception";
    const INVALID: &str = "action_request_validation_exception";
    let Some(body) = body.strip_suffix(b"\n") else {
        return Err(refused(ILLEGAL, "The bulk request must be terminated by a newline [\\n]"));
    };
    let mut items = Vec::new();
    let mut lines = body.split(|byte| *byte == b'\n');
    let mut number = 0;
    while let Some(line) = lines.next() {
        number += 1;
        if line.is_empty() {
            continue;
        }
        let action: std::collections::BTreeMap<String, Value> = serde_json::from_slice(line)
            .map_err(|error| refused(ILLEGAL, format!("Malformed action/metadata line [{number}]: {error}")))?;
        let one = action.into_iter().next().and_then(|(op, target)| {
            Some((serde_json::from_value::<Op>(op.into()).ok()?, serde_json::from_value::<Target>(target).ok()?))
        });
        let Some((op, target)) = one else {
            return Err(refused(ILLEGAL, format!("Malformed action/metadata line [{number}]")));
        };
        let Some(index) = target._index.as_deref().or(index) else {
            return Err(refused(INVALID, "Validation Failed: 1: index is missing;"));
        };
        let id = target._id.unwrap_or_else(|| format!("{:016x}", fastrand::u64(..)));
        if id.len() > 512 {
            let reason = format!("Validation Failed: 1: id [{id}] is too long, must be no longer than 512 bytes");
            return Err(refused(INVALID, reason));
        }
        let version = match (op, target.version_type, target.version) {
            (Op::Update, ..) => Version::Merge,
            (Op::Create, ..) => Version::Create,
            (_, Some(VersionType::External), Some(version)) => Version::External(version),
            (_, Some(VersionType::ExternalGte), Some(version)) => Version::ExternalOrEqual(version),
            (_, Some(VersionType::Internal) | None, _) | (_, _, None) => Version::Internal,
        };
        let source = match op {
            Op::Delete => None,
            Op::Index | Op::Create => {
                number += 1;
                Some(lines.next().ok_or_else(|| refused(ILLEGAL, "a document is missing"))?.into())
            }
            Op::Update => {
                number += 1;
                let line = lines.next().ok_or_else(|| refused(ILLEGAL, "a document is missing"))?;
                let change: Change<'_> = serde_json::from_slice(line)
                    .map_err(|error| refused(ILLEGAL, format!("Malformed update [{number}]: {error}")))?;
                if change.script.is_some() || !change.doc_as_upsert {
                    return Err(refused(ILLEGAL, "the stand-in runs no scripts, and updates with doc_as_upsert alone"));
                }
                change.doc.map(|document| document.get().as_bytes().into())
            }
        };
        items.push(Item { op, index: index.into(), id, version, source });
    }
    match items.is_empty() {
        true => Err(refused(INVALID, "Validation Failed: 1: no requests added;")),
        false => Ok(items),
    }
}

fn write(store: &Store, item: &Item<'_>, brief: bool) -> Value {
    let Item { index, id, .. } = item;
    let failed = |status: u16, kind: &str, reason: String| match brief {
        true => json!({ "status": status, "error": { "type": kind, "reason": reason } }),
        false => {
            let error = json!({ "type": kind, "reason": reason, "index": index });
            json!({ "_index": index, "_id": id, "status": status, "error": error })
        }
    };
    if id.is_empty() {
        return failed(400, "illegal_argument_exception", "if _id is specified it must not be empty".into());
    }
    if index.is_empty() || index.bytes().any(|byte| byte.is_ascii_uppercase() || b" \"*\\<|>/?,#:".contains(&byte)) {
        return failed(400, "invalid_index_name_exception", format!("Invalid index name [{index}]"));
    }
    if store.is_closed(index) {
        return failed(400, "index_closed_exception", "closed".into());
    }
    if let Some(source) = &item.source
        && let Err(error) = serde_json::from_slice::<std::collections::BTreeMap<String, IgnoredAny>>(source)
    {
        return failed(400, "document_parsing_exception", format!("failed to parse: {error}"));
    }
    if let Some(field) = item.source.as_deref().and_then(|source| store.wrong_field(index, source)) {
        let reason = format!("failed to parse field [{field}] of type [long] in document with id '{id}'");
        return failed(400, "document_parsing_exception", reason);
    }
    let (status, result, version) = match store.write(index, id, item.version, item.source.as_deref()) {
        Written::Created { version } => (201, "created", version),
        Written::Updated { version } => (200, "updated", version),
        Written::Deleted { version } => (200, "deleted", version),
        Written::NotFound { version } => (404, "not_found", version),
        Written::Conflict { stored } => {
            let reason = match item.version {
                Version::Create => {
                    format!("[{id}]: version conflict, document already exists (current version [{stored}])")
                }
                Version::Internal | Version::Merge | Version::External(_) | Version::ExternalOrEqual(_) => format!(
                    "[{id}]: version conflict, current version [{stored}] is higher or equal to the one provided"
                ),
            };
            return failed(409, "version_conflict_engine_exception", reason);
        }
    };
    match brief {
        true => json!({ "status": status }),
        false => json!({ "_index": index, "_id": id, "_version": version, "result": result, "status": status }),
    }
}
