//! The last dead letters, read from their topic now and then, beside everything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::terminal::plain;
use crate::config::{KafkaSettings, PipelineSettings};
use crate::sink::dead_letter;
use crate::source::{Admin, SourceError};

/// A look is a connection of its own.
const EVERY: Duration = Duration::from_secs(2);
const LETTERS_MAX: usize = 3;

pub(super) struct Letters {
    kafka: KafkaSettings,
    topic: String,
    /// How many there were at the last look, and when the next one may be.
    seen: u64,
    next: Option<Instant>,
    looks: Arc<AtomicBool>,
}

impl Letters {
    pub fn new(settings: &PipelineSettings) -> Letters {
        let (kafka, topic) = (settings.kafka.clone(), settings.dead_letters.topic.clone());
        Letters { kafka, topic, seen: 0, next: None, looks: Arc::default() }
    }

    /// Looks if there are others than at the last time; `tell` is called on another thread.
    pub fn look(&mut self, count: u64, now: Instant, tell: impl FnOnce(Vec<String>) + Send + 'static) {
        if count == self.seen || self.next.is_some_and(|next| now < next) || self.looks.swap(true, SeqCst) {
            return;
        }
        (self.seen, self.next) = (count, Some(now + EVERY));
        let (kafka, topic, looks) = (self.kafka.clone(), self.topic.clone(), self.looks.clone());
        let look = move || {
            // Kafka that does not answer is told of elsewhere.
            tell(newest(&kafka, &topic).unwrap_or_default());
            looks.store(false, SeqCst);
        };
        if thread::Builder::new().name("letters".to_owned()).spawn(look).is_err() {
            self.looks.store(false, SeqCst);
        }
    }
}

/// The newest first.
fn newest(kafka: &KafkaSettings, topic: &str) -> Result<Vec<String>, SourceError> {
    let mut admin = Admin::new(kafka)?;
    let Some(topic) = admin.find(topic)? else { return Ok(Vec::new()) };
    let mut letters = Vec::new();
    for (_, batch) in admin.newest(&topic, LETTERS_MAX)? {
        for row in (0..batch.len()).rev() {
            let header = |name: &str| {
                let value = batch.headers(row).rfind(|(known, _)| *known == name.as_bytes());
                value.and_then(|(_, value)| value).map(plain)
            };
            let words = [dead_letter::REASON, dead_letter::MESSAGE].map(|name| header(name).unwrap_or_default());
            let value = plain(batch.value(row).unwrap_or_default());
            let origin = header(dead_letter::ORIGIN).unwrap_or_default();
            letters.push(format!("{} ({origin})  {value}", words.join(": ")));
        }
    }
    Ok(letters)
}
