//! A click stream that is made up: seven events in eight are as they should be, the others are out of order, late, without
//! a user, or broken.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use crate::record::{EventTime, Message};

/// Event types, the frequent ones more than once.
const TYPES: [&str; 10] =
    ["page_view", "page_view", "page_view", "page_view", "page_view", "click", "click", "search", "login", "purchase"];
const COUNTRIES: [&str; 6] = ["DE", "FR", "US", "BR", "JP", "XX"];

pub(super) struct Clicks {
    topic: Arc<str>,
    partitions: i32,
    rng: Rng,
    text: String,
}

impl Clicks {
    pub fn new(topic: &str, partitions: i32, seed: u64) -> Self {
        Clicks { topic: topic.into(), partitions, rng: Rng::with_seed(seed), text: String::new() }
    }

    /// Events of the moment `clock`.
    pub fn events(&mut self, clock: EventTime, count: u32) -> Vec<Message> {
        (0..count).map(|_| self.event(clock)).collect()
    }

    fn event(&mut self, clock: EventTime) -> Message {
        let roll = self.rng.u32(0..1000);
        let time = match roll {
            0..10 => clock.minus(minutes(self.rng.u64(15..90))),
            10..60 => clock.minus(minutes(self.rng.u64(0..9))),
            60 => EventTime::from_micros(2_051_222_400_000_000), // the year 2035
            _ => clock.minus(Duration::from_millis(self.rng.u64(0..10_000))),
        };
        let user = format!("u{}", self.rng.u32(0..5_000));
        self.write(time, &user, roll);
        match roll {
            990..993 => self.text.truncate(self.text.len() / 2),
            993..995 => self.text = self.text.replace("\"timestamp\"", "\"time\""),
            _ => {}
        }
        Message {
            topic: self.topic.clone(),
            partition: Some(self.rng.i32(0..self.partitions)),
            key: Some(user.into_bytes()),
            value: Some(self.text.clone().into_bytes()),
            headers: Vec::new(),
        }
    }

    fn write(&mut self, time: EventTime, user: &str, roll: u32) {
        let rng = &mut self.rng;
        let event_type = rng.choice(TYPES).unwrap_or("page_view");
        let country = rng.choice(COUNTRIES).unwrap_or("DE");
        let (page, price) = (rng.u32(0..500), rng.u32(100..50_000));
        let user = if (900..950).contains(&roll) { "null".to_owned() } else { format!("\"{user}\"") };
        self.text.clear();
        let written = write!(
            self.text,
            r#"{{"timestamp":"{time}","user_id":{user},"event_type":"{event_type}","properties":{{"page":"/p/{page}","country":"{country}","price":{}.{:02}}}}}"#,
            price / 100,
            price % 100,
        );
        debug_assert!(written.is_ok(), "a string takes all text");
    }
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_events_are_json_and_some_of_each_kind_are_not_as_they_should_be() {
        let clock = EventTime::from_micros(1_740_830_400_000_000);
        let events = Clicks::new("t", 4, 1).events(clock, 10_000);
        let read = |event: &Message| serde_json::from_slice::<serde_json::Value>(event.value.as_deref().unwrap());
        let values: Vec<_> = events.iter().filter_map(|event| read(event).ok()).collect();
        assert!((9_900..10_000).contains(&values.len()), "{}", values.len());
        assert!(values.iter().any(|value| value["user_id"].is_null()));
        assert!(values.iter().any(|value| value["timestamp"].is_null()));
        assert!(values.iter().any(|value| value["timestamp"] == "2035-01-01T00:00:00Z"));
    }
}
