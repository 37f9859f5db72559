//! The names of indices that are written to. A field with many values in an index's name makes as many indices, and an index server
//! stops to work long before it says no: so there is a bound on how many are live.

use std::time::{Duration, Instant};

use hashbrown::HashMap;

/// A name to which nothing was written for so long is live no more.
const LIVE: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(crate) struct LiveNames {
    max: usize,
    /// When it was looked last whether each is written to.
    seen: HashMap<String, Instant>,
    /// That of the document before: mostly it is that of the next one too.
    last: String,
}

impl LiveNames {
    pub fn new(max: usize) -> Self {
        LiveNames { max, seen: HashMap::new(), last: String::new() }
    }

    /// Why nothing may be written to it, in words.
    pub fn refuse(&mut self, name: &str, now: Instant) -> Option<String> {
        if self.last == name {
            return None;
        }
        if let Some(seen) = self.seen.get_mut(name) {
            *seen = now;
        } else {
            if self.seen.len() >= self.max {
                let last = self.last.as_str();
                self.seen.retain(|name, seen| name == last || now.duration_since(*seen) < LIVE);
            }
            if self.seen.len() >= self.max {
                return Some(format!(
                    "indices_max=`{}` other indices are written to already: look at what is in the index's name, or allow more",
                    self.max
                ));
            }
            self.seen.insert(name.to_owned(), now);
        }
        // Until now the one before was written to.
        if let Some(seen) = self.seen.get_mut(&self.last) {
            *seen = now;
        }
        self.last.clear();
        self.last.push_str(name);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_and_others_when_they_are_not_written_to_any_more() {
        let start = Instant::now();
        let mut names = LiveNames::new(2);
        let mut refused = |name: &str, seconds| names.refuse(name, start + Duration::from_secs(seconds)).is_some();
        assert_eq!([refused("a", 0), refused("b", 0), refused("c", 0), refused("a", 1)], [false, false, true, false]);
        // The last one is written to all the time.
        assert_eq!([refused("a", 4000), refused("c", 4000), refused("d", 4000)], [false, false, true]);
        assert_eq!([refused("a", 4001), refused("b", 4002)], [false, true]);
    }
}
