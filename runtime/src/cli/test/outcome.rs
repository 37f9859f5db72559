//! What came of a run: the documents and dead letters in the end, the counters, or the error that ended it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::pipeline::VirtualPipeline;
use crate::record::{Message, ReasonKind};

/// A dead letter's value on a page is cut to so many characters.
const SHOWN_MAX: usize = 200;

/// The lines of the files that say what is expected.
#[derive(Clone, Default, PartialEq, Debug)]
pub(super) struct Outcome {
    pub documents: Vec<Value>,
    pub dead_letters: Vec<Value>,
    pub tally: Map<String, Value>,
    /// Instead of all of these.
    pub error: Option<String>,
}

impl Outcome {
    pub fn of(pipeline: &VirtualPipeline) -> Result<Outcome> {
        let mut documents = Vec::new();
        for (index, id, body) in pipeline.index().documents() {
            let source: Value = serde_json::from_slice(body).context("a document is no JSON")?;
            let text = String::from_utf8_lossy(body);
            documents.push(json!({"_index": index, "_id": id, "_source": source, "_text": text}));
        }
        let tally = pipeline.tally();
        let counts = [("records", tally.records), ("dropped", tally.dropped), ("tombstones", tally.tombstones)];
        Ok(Outcome {
            documents,
            dead_letters: dead_letters(pipeline.dead_letters())?,
            tally: counts.into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect(),
            error: None,
        })
    }

    /// What two runs of the same input have in common. The counters are not: what is read again after a restart is counted
    /// again.
    pub fn comparable(&self) -> Outcome {
        let without = |lines: &[Value], key: &str, of: &dyn Fn(&Value) -> bool| {
            let mut lines = lines.to_vec();
            for line in lines.iter_mut().filter(|line| of(line)) {
                line.as_object_mut().and_then(|fields| fields.remove(key));
            }
            lines
        };
        Outcome {
            documents: without(&self.documents, "_text", &|_| true),
            dead_letters: without(&self.dead_letters, "message", &words_vary),
            tally: Map::new(),
            error: self.error.clone(),
        }
    }
}

/// How much memory an instance had, and how much time a call, may be in its last words.
fn words_vary(letter: &Value) -> bool {
    let broke = [ReasonKind::Trap, ReasonKind::Deadline, ReasonKind::Contract];
    broke.iter().any(|kind| letter["reason"] == kind.name())
}

/// Each identity once, as its headers without their prefix, its key and its value.
fn dead_letters(messages: &[Message]) -> Result<Vec<Value>> {
    let mut letters = BTreeMap::new();
    for message in messages {
        let mut line = Map::new();
        for (name, value) in &message.headers {
            let text = value.as_ref().map_or(Value::Null, |value| String::from_utf8_lossy(value).into());
            line.insert(name.strip_prefix("tidegate-").unwrap_or(name).to_owned(), text);
        }
        let Some(Value::String(identity)) = line.remove("identity") else { bail!("a dead letter without identity") };
        line.remove("pipeline");
        // They change with every build.
        line.retain(|name, _| !["plugin-version", "plugin-digest", "plugin-generation"].contains(&name.as_str()));
        for (name, value) in [("key", &message.key), ("value", &message.value)] {
            if let Some(value) = value {
                line.insert(name.into(), shortened(&String::from_utf8_lossy(value)).into());
            }
        }
        if let Some(before) = letters.insert(identity.clone(), line.clone())
            && before != line
        {
            bail!("two different dead letters have the identity {identity}");
        }
    }
    Ok(letters.into_values().map(Value::Object).collect())
}

/// Long values would fill the page.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.into(),
    }
}
