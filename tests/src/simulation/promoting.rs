//! The location that decided is lost, and the one with copies takes its place, as `tidegate checkpoint promote` does it.

use tidegate::lane::{Lane, Resume};
use tidegate::record::Offset;

use super::input::TOPIC;
use super::{Difference, World};

impl World {
    /// All instances are stopped for it, those that are thought to be dead too. Where the copies are not enough for the positions,
    /// nobody does it.
    pub(super) fn promote(&mut self) -> Result<(), Difference> {
        let plan = self.plan(self.added.is_none_or(|(_, is_there)| is_there), self.states);
        let mut positions = Vec::new();
        for (partition, (offset, metadata)) in self.committed.iter().filter(|(it, _)| *it.topic == *TOPIC) {
            let offset = Offset(*offset);
            let resume = Resume::Position { offset, metadata: metadata.clone(), log_end: offset };
            let wanted = Lane::wanted(&plan, partition, &resume).map_err(|error| error.to_string())?;
            positions.extend(wanted.map(|wanted| (partition.clone(), wanted)));
        }
        if !self.store.promote(&positions)? {
            return Ok(());
        }
        self.statistics.promoted += 1;
        self.say(|| "the copies take the place of the store".to_owned());
        let owners = self.actors.drain(..).filter(|actor| !actor.zombie);
        self.unowned.extend(owners.map(|actor| actor.partition));
        Ok(())
    }
}
