//! The barest driver of an index: bulks that are made before, sent by several at once.

use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

use super::events::{Events, Mix};
use crate::block_on;

/// Of the process that sends them.
pub const ROLE: &str = "bare-bulks";
/// As the program's own defaults.
const BULK_BYTES: usize = 8 << 20;
const IN_FLIGHT: usize = 4;
const PATH: &str = "_bulk?filter_path=errors,items.*.status";

/// What the process prints when it is done.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sent {
    /// Between the first answer and the last.
    pub documents_per_second: f64,
}

/// The body of the process: a URL, an index, a topic, its mix and the number of its documents, which are written with the ids and versions
/// that the program gives them.
pub fn send(arguments: &[String]) -> anyhow::Result<()> {
    let [url, index, topic, mix, count] = arguments else {
        bail!("a URL, an index, a topic, a mix and a number are wanted")
    };
    let mix = Mix::of(mix).with_context(|| format!("there is no mix {mix}"))?;
    let bulks = Mutex::new(bulks(index, topic, mix, count.parse()?));
    let answers: Mutex<Vec<(Instant, usize)>> = Mutex::default();
    let client = reqwest::Client::new();
    thread::scope(|scope| {
        for _ in 0..IN_FLIGHT {
            scope.spawn(|| {
                loop {
                    let Some((body, documents)) = bulks.lock().expect("nobody panics").pop() else { return };
                    let request = client.post(format!("{url}/{PATH}")).header("content-type", "application/x-ndjson");
                    let answer = block_on(async { request.body(body).send().await?.text().await });
                    let answer = answer.expect("the index answers");
                    assert!(answer.contains("\"errors\":false"), "{}", &answer[..answer.len().min(1000)]);
                    answers.lock().expect("nobody panics").push((Instant::now(), documents));
                }
            });
        }
    });
    let answers = answers.into_inner().expect("nobody panics");
    ensure!(answers.len() > 2 * IN_FLIGHT, "there were {} bulks: measure more", answers.len());
    let (first, last) = (answers[0], answers[answers.len() - 1]);
    let documents: usize = answers[1..].iter().map(|(_, documents)| documents).sum();
    let sent = Sent { documents_per_second: documents as f64 / (last.0 - first.0).as_secs_f64() };
    println!("{}", serde_json::to_string(&sent)?);
    Ok(())
}

fn bulks(index: &str, topic: &str, mix: Mix, count: u64) -> Vec<(Vec<u8>, usize)> {
    let (mut events, mut value, mut bulks) = (Events::new(mix, count), Vec::new(), Vec::new());
    let (mut body, mut documents) = (Vec::with_capacity(BULK_BYTES), 0);
    for number in 0.. {
        let more = events.next(&mut value).is_some();
        if !more || body.len() + value.len() > BULK_BYTES {
            bulks.push((std::mem::replace(&mut body, Vec::with_capacity(BULK_BYTES)), documents));
            documents = 0;
        }
        if !more {
            break;
        }
        let (partition, offset) = (number % 4, number / 4);
        body.extend_from_slice(
            format!(
                "{{\"index\":{{\"_index\":\"{index}\",\"_id\":\"all:{topic}-{partition}-{offset}\",\"version\":{offset},\"version_type\":\"external\"}}}}\n"
            )
            .as_bytes(),
        );
        body.extend_from_slice(&value);
        body.push(b'\n');
        documents += 1;
    }
    bulks.reverse();
    bulks
}
