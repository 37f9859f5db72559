//! A seeded click stream as a busy site has it, made fast: events of about 250 bytes, a little out of order, some without a
//! user, few late. (The one of the tests is made to be hard; this one is made to be read.)

use std::io::Write;

use fastrand::Rng;
use jiff::Timestamp;

/// The first event's time: 2026-03-01T00:00:00Z.
pub const START_MILLIS: i64 = 1_772_323_200_000;
/// The event time that all events span, whatever their number.
const SPAN_MILLIS: i64 = 60 * 60 * 1000;

const LARGE_BYTES: usize = 2048;

const EVENT_TYPES: [&str; 6] = ["page_view", "click", "search", "login", "add_to_cart", "purchase"];
const COUNTRIES: [&str; 6] = ["DE", "FR", "US", "IN", "BR", "JP"];

/// Which events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mix {
    /// All types; one in twenty has no user, one in a thousand is late.
    Clicks,
    /// Purchases of users, none late: each becomes a document of the stateless example.
    Purchases,
    /// Purchases of 2 KB.
    Large,
}

impl Mix {
    pub fn name(self) -> &'static str {
        match self {
            Mix::Clicks => "clicks",
            Mix::Purchases => "purchases",
            Mix::Large => "large",
        }
    }

    pub fn of(name: &str) -> Option<Mix> {
        [Mix::Clicks, Mix::Purchases, Mix::Large].into_iter().find(|mix| mix.name() == name)
    }
}

/// Makes the events of one topic in the order of their clock.
pub struct Events {
    rng: Rng,
    mix: Mix,
    count: u64,
    made: u64,
}

impl Events {
    pub fn new(mix: Mix, count: u64) -> Self {
        Events { rng: Rng::with_seed(7), mix, count, made: 0 }
    }

    /// Writes the next event to `value`, and tells its record's timestamp; none when all are made.
    pub fn next(&mut self, value: &mut Vec<u8>) -> Option<i64> {
        if self.made == self.count {
            return None;
        }
        let clock = START_MILLIS + (self.made as f64 / self.count as f64 * SPAN_MILLIS as f64) as i64;
        self.made += 1;
        let rng = &mut self.rng;
        let clicks = self.mix == Mix::Clicks;
        let behind = if clicks && rng.u32(0..1000) == 0 { rng.i64(900_000..1_200_000) } else { rng.i64(0..20_000) };
        let time = Timestamp::from_millisecond(clock - behind).expect("a time of this century");
        let user = rng.u32(100_000..1_000_000);
        let event_type = if clicks { EVENT_TYPES[rng.usize(..EVENT_TYPES.len())] } else { "purchase" };
        value.clear();
        write!(value, r#"{{"timestamp":"{time:.3}","user_id":"#).expect("into memory");
        if clicks && rng.u32(0..20) == 0 {
            value.extend_from_slice(b"null");
        } else {
            write!(value, r#""user-{user}""#).expect("into memory");
        }
        write!(
            value,
            r#","event_type":"{event_type}","properties":{{"page":"/products/{}","referrer":"https://www.example.com/search","session":"{:016x}","country":"{}","ms":{},"tags":["a",null,{{"b":1.5}}]}}}}"#,
            rng.u32(1000..100_000),
            rng.u64(..),
            COUNTRIES[rng.usize(..COUNTRIES.len())],
            rng.u32(1..3000),
        )
        .expect("into memory");
        if self.mix == Mix::Large {
            value.pop();
            value.extend_from_slice(br#","text":""#);
            value.resize(LARGE_BYTES - 2, b'x');
            value.extend_from_slice(b"\"}");
        }
        Some(clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_events_have_two_kilobytes() {
        let (mut events, mut value) = (Events::new(Mix::Large, 1), Vec::new());
        assert!(events.next(&mut value).is_some());
        assert_eq!(value.len(), LARGE_BYTES);
        serde_json::from_slice::<serde_json::Value>(&value).expect("JSON");
    }

    #[test]
    fn events_are_json_of_about_250_bytes() {
        for mix in [Mix::Clicks, Mix::Purchases] {
            let (mut events, mut value, mut bytes, mut anonymous) = (Events::new(mix, 1000), Vec::new(), 0, 0);
            while events.next(&mut value).is_some() {
                let event: serde_json::Value = serde_json::from_slice(&value).expect("JSON");
                anonymous += u32::from(event["user_id"].is_null());
                bytes += value.len();
            }
            assert!((240_000..260_000).contains(&bytes), "{bytes}");
            assert_eq!(anonymous > 0, mix == Mix::Clicks);
        }
    }
}
