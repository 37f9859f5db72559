//! A deliberate replay while nobody is a member of the group: as `tidegate rewind` does it, but for how it finds where to.

use tidegate::lane::{Known, Rewinding, RewoundSource};
use tidegate::record::{EventTime, Offset, Partition};

use super::input::TOPIC;
use super::outputs::{IDLE_GRACE, plans};
use super::{Difference, World, native};

/// More of them leave no time for anything else.
const REWINDS_MAX: u16 = 2;

impl World {
    /// Whoever has a partition is stopped, or goes on as a zombie. Half of the time all is read again, else each partition from some
    /// record on that was read.
    pub(super) fn rewind(&mut self) -> Result<(), Difference> {
        if self.revision == REWINDS_MAX {
            return Ok(());
        }
        self.revision += 1;
        self.statistics.rewinds += 1;
        while let Some(actor) = self.actors.iter().position(|actor| !actor.zombie) {
            self.crash(actor)?;
        }
        let rewinding = Rewinding::new(&native::settings(IDLE_GRACE)).map_err(|error| error.to_string())?;
        let (sources, parts): (Vec<_>, Vec<_>) =
            self.partitions().into_iter().partition(|partition| *partition.topic == *TOPIC);
        let from_earliest = self.rng.bool();
        let known = |world: &Self, partition: &Partition| {
            let position = world.committed.get(partition).and_then(|(_, metadata)| Known::of(metadata));
            position.unwrap_or_default().generations
        };
        let mut targets: Vec<(Partition, i64, EventTime)> = Vec::new();
        for partition in sources {
            let read = self.committed.get(&partition).map_or(0, |position| position.0);
            let to = if from_earliest { 0 } else { self.rng.i64(0..=read) };
            let before = match to {
                0 => EventTime::MIN,
                to => rewinding.largest(&partition, self.batch(&partition, 0, to as usize, EventTime::MIN)),
            };
            targets.push((partition, to, before));
        }
        let before_any = targets.iter().map(|(_, _, before)| *before).max().unwrap_or(EventTime::MIN);
        let (revision, parts_partitions) = (self.revision, self.parts.len() as i32);
        let topics = [(TOPIC.into(), targets.len() as i32)];
        for (partition, to, before) in targets {
            let source = RewoundSource {
                offset: Offset(to),
                revision,
                topic_id: None,
                parts_partitions,
                seen: before,
                before,
                before_any,
                stays: None,
                generations: known(self, &partition),
            };
            let position = rewinding.source(&source).map_err(|error| error.to_string())?;
            self.say(|| format!("{partition} is rewound to {position:?}"));
            self.rewound[partition.number as usize] = before;
            self.committed.insert(partition, (position.offset.0, position.metadata));
        }
        for partition in parts {
            let end = Offset(self.parts[partition.number as usize].len() as i64);
            let position =
                rewinding.parts(end, revision, &topics, known(self, &partition)).map_err(|error| error.to_string())?;
            self.committed.insert(partition, (position.offset.0, position.metadata));
        }
        self.plans = plans(self.produced.len(), parts_partitions, revision, &self.outputs);
        self.store.rewound();
        Ok(())
    }
}
