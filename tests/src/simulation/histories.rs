//! Histories that seeds hardly ever draw, told step by step: the real lanes and stores of the simulation, and one thing that must be
//! so at the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate::lane::format::{self, PartsMessage};
use tidegate::lane::{Event, Lane, Plan, Resume, Topology};
use tidegate::record::{BatchBuilder, EventTime, Offset, Partition, RecordBatch};

use super::actor::{Actor, Pending};
use super::checkpoints::{Checkpoints, Saved, Saving};
use super::input::{BEGIN, Record, TOPIC};
use super::outputs::IDLE_GRACE;
use super::{Difference, WINDOWED, native};

type History = fn() -> Result<(), Difference>;

const HISTORIES: [(&str, History); 4] = [
    ("a session that has ended, at which nobody looked before the checkpoint", ended_before_the_checkpoint),
    ("a session that began before the checkpoint, of which nobody was told", begun_before_the_checkpoint),
    ("a part of before a rewind that comes after it", written_before_the_rewind),
    ("a checkpoint that is newer than what the group has, of one who may be no owner", never_committed),
];

/// All of them; the first that goes wrong, by name.
pub fn run_histories() -> Result<(), (&'static str, Difference)> {
    HISTORIES.into_iter().try_for_each(|(name, tell)| tell().map_err(|difference| (name, difference)))
}

/// Sessions with a gap of 40 s, at which the lane looks each 5 s.
fn ended_before_the_checkpoint() -> Result<(), Difference> {
    let mut owner = Owner::begin("visits", 0, 0)?;
    owner.read(&[event(2, 0)])?;
    owner.read(&[event(51, 1)])?;
    owner.read(&[event(53, 1)])?;
    owner.checkpoint()?;
    owner.restart()?;
    owner.read(&[event(70, 1)])?;
    let counts: Vec<&str> = owner.documents.values().map(String::as_str).collect();
    match counts.iter().filter(|body| body.contains(r#""group":"g0""#) && body.contains(r#""count":1"#)).count() {
        1 => Ok(()),
        _ => Err(format!("the session of g0 is not there: {counts:?}")),
    }
}

/// Sessions with a gap of 30 s, at which the lane looks each 3.75 s: at 43 s, and not yet again at 45 s.
fn begun_before_the_checkpoint() -> Result<(), Difference> {
    let mut owner = Owner::begin("journeys", 0, 0)?;
    owner.read(&[event(53, 0)])?;
    owner.read(&[event(44, 2), event(55, 0)])?;
    owner.checkpoint()?;
    owner.messages.clear();
    owner.restart()?;
    let said = owner.messages.iter().filter_map(|value| match format::decode(value) {
        Ok(PartsMessage::Marker(marker)) => Some(marker.watermark_micros / 1_000_000 - BEGIN),
        Ok(PartsMessage::Part(_)) | Err(_) => None,
    });
    match said.collect::<Vec<i64>>()[..] {
        [watermark] if watermark <= 43 => Ok(()),
        ref said => Err(format!("nobody was told of the session of 44 s, and markers say {said:?}")),
    }
}

/// Who wrote it keeps a record that those after the rewind do not keep, so its part goes further.
fn written_before_the_rewind() -> Result<(), Difference> {
    let records = [event(0, 0), event(1, 0), Record::Event { time: BEGIN + 2, group: 0, keep: 1, id: 7 }, event(40, 1)];
    let (mut before, mut after) = (Owner::begin("short", 0, 0)?, Owner::begin("short", 1, 1)?);
    before.read(&records)?;
    after.read(&records)?;
    let plan = plan("short", 1);
    let topic = plan.parts_topic().expect("its windows are merged").clone();
    let partition = Partition::new(&topic, 0);
    let mut parts = Actor::new(&plan, 1, partition, Resume::Fresh { offset: Offset(0) }, None, 1)?;
    let mut builder = BatchBuilder::new(EventTime::MIN);
    for (offset, message) in before.messages.iter().chain(&after.messages).enumerate() {
        builder.push(Offset(offset as i64), None, None, Some(message));
    }
    parts.step(Event::Batch(Arc::new(builder.finish())))?;
    let mut bodies = Vec::new();
    for pending in &parts.pending {
        if let Pending::Index { documents, .. } = pending {
            bodies
                .extend((0..documents.len()).map(|row| String::from_utf8_lossy(documents.get(row).body).into_owned()));
        }
    }
    match &bodies[..] {
        [body] if body.contains(r#""count":2"#) => Ok(()),
        bodies => Err(format!("one document of two records should be there: {bodies:?}")),
    }
}

/// Others have read its records since, with a filter that keeps less.
fn never_committed() -> Result<(), Difference> {
    let mut owner = Owner::begin("visits", 0, 0)?;
    let committed = owner.position()?;
    let records = [event(0, 0), event(1, 0), Record::Event { time: BEGIN + 2, group: 0, keep: 1, id: 7 }];
    owner.read(&records)?;
    owner.checkpoint()?;
    owner.version = 1;
    owner.go_on(committed)?;
    owner.read_on(&records)?;
    owner.read(&[event(70, 1)])?;
    match owner.documents.values().find(|body| body.contains(r#""group":"g0""#)) {
        Some(body) if body.contains(r#""count":2"#) => Ok(()),
        body => Err(format!("two records should be in the session of g0: {body:?}")),
    }
}

/// That every version of the filter keeps.
fn event(second: i64, group: u64) -> Record {
    Record::Event { time: BEGIN + second, group, keep: u8::MAX, id: second as u64 }
}

/// With one partition, and one output with windows.
fn plan(output: &str, revision: u16) -> Arc<Plan> {
    let (mut settings, mut components) = (native::settings(IDLE_GRACE), native::components(1));
    let place = WINDOWED.iter().position(|windowed| windowed.name == output).expect("an output of the simulation");
    settings.outputs = vec![settings.outputs.swap_remove(place)];
    components.outputs = vec![components.outputs.swap_remove(place)];
    let sources = vec![(TOPIC.into(), 1)];
    let topology = Topology { sources, parts_partitions: 1, revision, ..Topology::default() };
    Plan::new(&settings, &components, topology).expect("the plan is right").into()
}

/// Who has the partition; what it asks for is done at once.
struct Owner {
    plan: Arc<Plan>,
    version: u8,
    actor: Actor,
    store: Checkpoints,
    /// The newest of each id.
    documents: BTreeMap<String, String>,
    messages: Vec<Vec<u8>>,
}

impl Owner {
    fn begin(output: &str, revision: u16, version: u8) -> Result<Self, Difference> {
        let (plan, mut store) = (plan(output, revision), Checkpoints::new(false));
        let actor = claim(&plan, &mut store, Resume::Fresh { offset: Offset(0) }, version)?;
        let (documents, messages) = (BTreeMap::new(), Vec::new());
        let mut owner = Owner { plan, version, actor, store, documents, messages };
        owner.perform()?;
        Ok(owner)
    }

    /// As one batch.
    fn read(&mut self, records: &[Record]) -> Result<(), Difference> {
        let batch = batch(self.actor.read, records);
        self.actor.read += records.len();
        self.step(Event::Batch(Arc::new(batch)))
    }

    fn checkpoint(&mut self) -> Result<(), Difference> {
        self.step(Event::Checkpoint)
    }

    /// Of these records, which begin with the topic's first, those that it has not read yet.
    fn read_on(&mut self, records: &[Record]) -> Result<(), Difference> {
        let records = records.get(self.actor.read..).unwrap_or_default();
        if records.is_empty() { Ok(()) } else { self.read(records) }
    }

    /// What it would commit.
    fn position(&self) -> Result<Resume, Difference> {
        let (offset, metadata) = self.actor.commitment()?;
        let offset = Offset(offset);
        Ok(Resume::Position { offset, metadata, log_end: offset })
    }

    /// Another goes on at the position that it commits.
    fn restart(&mut self) -> Result<(), Difference> {
        let position = self.position()?;
        self.go_on(position)
    }

    fn go_on(&mut self, resume: Resume) -> Result<(), Difference> {
        self.actor = claim(&self.plan, &mut self.store, resume, self.version)?;
        self.perform()
    }

    fn step(&mut self, event: Event) -> Result<(), Difference> {
        self.actor.step(event)?;
        self.perform()
    }

    fn perform(&mut self) -> Result<(), Difference> {
        while !self.actor.pending.is_empty() {
            let answer = match self.actor.pending.remove(0) {
                Pending::Write { ticket, messages } => {
                    self.messages.extend(messages.into_iter().filter_map(|message| message.value));
                    Event::Written { ticket }
                }
                Pending::Index { ticket, documents, .. } => {
                    for document in (0..documents.len()).map(|row| documents.get(row)) {
                        let body = String::from_utf8_lossy(document.body).into_owned();
                        self.documents.insert(document.id.to_owned(), body);
                    }
                    Event::Indexed { ticket, rejected: Vec::new() }
                }
                Pending::Save { ticket, frozen } => {
                    let owner = self.actor.owner.as_mut().expect("it has claimed its partition");
                    let saving = Saving { frozen: &frozen, is_zombie: false, committed: self.actor.committed };
                    match self.store.save(owner, &saving, None) {
                        Saved::Kept(Some(id)) => Event::Saved { ticket, kept: Some(id) },
                        other => return Err(format!("the checkpoint is not kept: {other:?}")),
                    }
                }
            };
            self.actor.step(answer)?;
        }
        Ok(())
    }
}

fn claim(plan: &Arc<Plan>, store: &mut Checkpoints, resume: Resume, version: u8) -> Result<Actor, Difference> {
    let partition = Partition::new(TOPIC, 0);
    let wanted = Lane::wanted(plan, &partition, &resume).map_err(|error| error.to_string())?;
    let claimed = wanted.map(|wanted| store.claim(&partition, &wanted)).transpose()?;
    Actor::new(plan, 1, partition, resume, claimed, version)
}

fn batch(at: usize, records: &[Record]) -> RecordBatch {
    let mut builder = BatchBuilder::new(EventTime::MIN);
    for (offset, record) in (at..).zip(records) {
        let stamp = EventTime::from_micros(record.stamp() * 1_000_000);
        builder.push(Offset(offset as i64), Some(stamp), None, Some(&record.value()));
    }
    builder.finish()
}
