//! Trims the parts topic behind what was committed an hour ago: it keeps records for ever, and parts are read once.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::config::KafkaSettings;
use crate::record::{Offset, Partition};
use crate::source::Admin;

/// Seldom: what is left over for some minutes is small.
const EVERY: Duration = Duration::from_secs(600);
/// A person who sets positions back by hand has this long to do it.
const BEHIND: Duration = Duration::from_secs(3600);

/// Positions that were committed, oldest first.
#[derive(Default)]
struct Committed(VecDeque<(Instant, Vec<(Partition, Offset)>)>);

impl Committed {
    /// Takes what is committed now; gives the newest of what was an hour ago.
    fn turn(&mut self, positions: Vec<(Partition, Offset)>, now: Instant) -> Vec<(Partition, Offset)> {
        self.0.push_back((now, positions));
        let old = self.0.iter().take_while(|(at, _)| now.duration_since(*at) >= BEHIND).count();
        self.0.drain(..old).next_back().map(|(_, positions)| positions).unwrap_or_default()
    }
}

/// Starts the thread; it ends within [`EVERY`] after the pipeline, or with the process.
pub(super) fn start(shared: &Arc<Shared>, kafka: &KafkaSettings) -> std::io::Result<()> {
    if shared.plan.parts_topic().is_none() {
        return Ok(());
    }
    let (shared, kafka) = (Arc::downgrade(shared), kafka.clone());
    thread::Builder::new().name("trim".to_owned()).spawn(move || run(&shared, &kafka)).map(drop)
}

fn run(shared: &Weak<Shared>, kafka: &KafkaSettings) {
    let mut committed = Committed::default();
    loop {
        thread::sleep(EVERY);
        let Some(positions) = shared.upgrade().map(|shared| shared.committed_parts()) else { return };
        let before = committed.turn(positions, Instant::now());
        let trimmed = Admin::new(kafka).and_then(|mut admin| admin.trim(&before));
        if let Err(error) = trimmed {
            tracing::warn!("the parts topic is not trimmed, and grows until it is: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_committed_an_hour_ago_is_trimmed() {
        let begun = Instant::now();
        let mut committed = Committed::default();
        let mut turn = |minutes: u64, offset| {
            let positions = vec![(Partition::new("parts", 0), Offset(offset))];
            let before = committed.turn(positions, begun + Duration::from_secs(60 * minutes));
            before.first().map(|(_, offset)| offset.0)
        };
        assert_eq!([turn(0, 1), turn(30, 2), turn(59, 3)], [None, None, None]);
        assert_eq!([turn(60, 4), turn(95, 5), turn(96, 6)], [Some(1), Some(2), None]);
    }
}
