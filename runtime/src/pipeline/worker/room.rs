//! What a worker holds back: lanes take nothing more while they, or all lanes together, have too much in flight.

use std::time::{Duration, Instant};

use super::{Answer, Running};
use crate::lane::Event;
use crate::pipeline::slot::LaneKey;

/// How soon it is looked again whether lanes that are gone have left room.
pub(super) const CROWDED_LOOK: Duration = Duration::from_millis(50);

impl Running {
    /// An event of the source: at once, or after those that are held back.
    pub(super) fn take(&mut self, lane: LaneKey, event: Event, at: Instant) {
        let Some(owned) = self.lanes.get_mut(&lane) else { return };
        owned.held.push_back((event, at));
        self.release(lane);
    }

    /// An answer: it makes room for what is held back.
    pub(super) fn answer(&mut self, Answer { lane, event, letters_bytes }: Answer) {
        match self.lanes.get_mut(&lane) {
            Some(owned) if letters_bytes > 0 => owned.refusals.push_back((event, letters_bytes)),
            Some(_) | None => self.step(lane, event),
        }
        self.release(lane);
    }

    pub(super) fn release(&mut self, lane: LaneKey) {
        while let Some(owned) = self.lanes.get_mut(&lane) {
            let (in_flight, room) = (owned.slot.in_flight_bytes(), self.shared.lane_bytes_max());
            let fits = |(_, bytes): &mut (Event, usize)| in_flight == 0 || in_flight + *bytes <= room;
            if let Some((refusal, _)) = owned.refusals.pop_front_if(fits) {
                self.step(lane, refusal);
                continue;
            }
            if !owned.refusals.is_empty() || in_flight >= room {
                return;
            }
            if owned.lane.blocked().is_some() {
                return;
            }
            if !owned.held.is_empty() && self.shared.is_crowded() {
                self.is_crowded = true;
                return;
            }
            let Some((event, at)) = owned.held.pop_front() else { return };
            if let Event::Batch(batch) = &event {
                owned.slot.unqueue();
                self.shared.counters.waited(at.max(owned.free_since).elapsed());
                if self.shared.plan.parts_topic() != Some(&owned.slot.partition.topic) {
                    self.recent.keep(&owned.slot.partition, batch);
                }
            }
            self.step(lane, event);
        }
    }

    /// There may be room again that no answer of these lanes has made.
    pub(super) fn release_all(&mut self) {
        self.is_crowded = false;
        let lanes: Vec<LaneKey> = self.lanes.keys().copied().collect();
        lanes.into_iter().for_each(|lane| self.release(lane));
    }
}
