//! What made a document: the record or the parts that it comes from, step by step, with the components that are there now. It writes
//! nothing.

use std::sync::Arc;
use std::thread;

use serde::Serialize;
use serde_json::Value;

use super::lookups::Lookups;
use super::positions::{ask_store, partitions_of};
use super::{DeadLetterTopic, LetterFilter, Loader, PipelineError, Plugins, index_names};
use crate::checkpoint::Place;
use crate::config::{OutputSettings, PipelineSettings};
use crate::lane::id::revision_and_offset;
use crate::lane::{Known, Topology};
use crate::plugin::THREAD_STACK_BYTES;
use crate::record::{EventTime, Offset, Origin, Partition, RecordBatch};
use crate::sink::{Present, Wanted};
use crate::source::{Admin, RecordRange};

mod changes;
mod name;
mod parts;
mod way;

pub use name::DocumentName;

use changes::{changes, told};
use name::{IdOf, id_of};

/// Checkpoints whose headers are looked at, the newest: there are two and those of a day's hours.
const CHECKPOINTS_MAX: usize = 64;

/// What there is to say of a document.
#[derive(Clone, Default, Debug, Serialize)]
pub struct DocumentReport {
    pub id: String,
    /// Where it is; several where several indices have one of this id.
    pub found: Vec<FoundDocument>,
    /// The records that it may be of: one, unless its id is a field's text.
    pub records: Vec<RecordReport>,
    /// Of a window's document.
    pub window: Option<WindowReport>,
    /// Dead letters of it, or of its record.
    pub dead_letters: Vec<LetterReport>,
    /// The components that the pipeline file names now.
    pub components: Vec<ComponentReport>,
    /// What there is to say besides.
    pub words: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct FoundDocument {
    pub index: String,
    pub version: u64,
    /// None where the version is a field's.
    pub revision: Option<u16>,
    /// Of the record; of a window that is merged over partitions, in the parts topic.
    pub offset: Option<i64>,
    pub source: Option<Value>,
}

#[derive(Clone, Debug, Serialize)]
pub struct RecordReport {
    pub output: String,
    pub origin: String,
    /// Kafka's, RFC 3339.
    pub timestamp: Option<String>,
    /// `settled`, `not read yet`, `gone from the log`, `not written yet`, `no record`.
    pub state: String,
    pub steps: Vec<StepReport>,
    /// What the present components make of it, beside what the index has.
    pub now: String,
    /// The components that the checkpoints around the record name.
    pub checkpoints: Vec<CheckpointReport>,
}

#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// `decode`, a transform, or the windows of an output.
    pub place: String,
    /// `kept`, `changed`, `split`, `dropped`, `refused`, `folded`, `late`, `without a value`.
    pub verdict: String,
    /// The fields that changed, the reason, the window.
    pub what: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct WindowReport {
    pub output: String,
    pub start: String,
    /// As the document says it.
    pub end: Option<String>,
    /// The group as the id has it.
    pub group: String,
    /// The source partition, where the windows are not merged.
    pub partition: Option<String>,
    pub parts: Vec<PartReport>,
    /// The parts topic has lost its oldest messages.
    pub parts_are_cut: bool,
}

/// What a source partition had of the window.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PartReport {
    pub source: String,
    pub first_offset: i64,
    pub last_offset: i64,
    pub records: u64,
    /// The digest of the component that made it.
    pub component: String,
    pub revision: u16,
    /// In the parts topic.
    pub position: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct LetterReport {
    pub identity: String,
    pub reason: String,
    pub message: String,
    /// In the dead-letter topic.
    pub position: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ComponentReport {
    /// A transform's name, or an output's name and `.aggregate`.
    pub name: String,
    /// Where it is known.
    pub version: Option<String>,
    pub digest: String,
}

/// A checkpoint near a record.
#[derive(Clone, Debug, Serialize)]
pub struct CheckpointReport {
    /// The first record that is not in it.
    pub next: i64,
    pub is_before: bool,
    pub components: Vec<ComponentReport>,
}

/// Explains a document, whether it is there or not.
pub fn explain_document(settings: &PipelineSettings, name: &DocumentName) -> Result<DocumentReport, PipelineError> {
    thread::scope(|scope| {
        let explaining = thread::Builder::new().name("explain".to_owned()).stack_size(THREAD_STACK_BYTES);
        let run = || Explaining::start(settings, name)?.run();
        let joined = explaining.spawn_scoped(scope, run).map_err(PipelineError::Thread)?.join();
        joined.unwrap_or_else(|_| Err(PipelineError::Panicked { thread: "explain".to_owned() }))
    })
}

struct Explaining<'a> {
    settings: &'a PipelineSettings,
    name: &'a DocumentName,
    plugins: Plugins,
    /// The group's position on each source partition, the log's bounds, and up to where documents are settled.
    partitions: Vec<Source>,
    topology: Topology,
    report: DocumentReport,
}

struct Source {
    partition: Partition,
    log: (Offset, Offset),
    settled: Option<Offset>,
}

impl<'a> Explaining<'a> {
    fn start(settings: &'a PipelineSettings, name: &'a DocumentName) -> Result<Self, PipelineError> {
        let plugins = Plugins::load(settings, &mut Loader::default())?;
        let mut admin = Admin::new(&settings.kafka)?;
        let (mut partitions, mut sources, mut revision) = (Vec::new(), Vec::new(), 0);
        for topic in &settings.kafka.topics {
            let found = admin.describe(topic)?;
            let all = partitions_of(&found);
            let positions = admin.positions(&all)?;
            sources.push((Arc::from(topic.as_str()), i32::try_from(all.len()).unwrap_or(i32::MAX)));
            for ((partition, position), it) in all.into_iter().zip(positions).zip(&found.partitions) {
                let known = position.as_ref().and_then(|(_, text)| Known::of(text));
                revision = known.as_ref().map_or(0, |known| known.revision).max(revision);
                let settled = position.map(|(offset, _)| offset).max(known.and_then(|known| known.settled));
                partitions.push(Source { partition, log: (it.log_start, it.log_end), settled });
            }
        }
        let topology = Topology { sources, revision, parts_partitions: 1, ..Topology::default() };
        let component = |(name, version, digest): (&str, &str, String)| ComponentReport {
            name: name.to_owned(),
            version: Some(version.to_owned()),
            digest,
        };
        let report = DocumentReport {
            id: name.id.clone(),
            components: plugins.identities().map(component).collect(),
            ..DocumentReport::default()
        };
        Ok(Explaining { settings, name, plugins, partitions, topology, report })
    }

    fn run(mut self) -> Result<DocumentReport, PipelineError> {
        let id_of = id_of(&self.name.id, &self.settings.outputs);
        self.look(&id_of)?;
        match &id_of {
            IdOf::Record { output, origin, .. } => {
                let output = self.output(output);
                self.record(output, origin)?;
            }
            IdOf::Window { .. } => self.window(&id_of)?,
            IdOf::Field => self.by_version()?,
        }
        self.letters(&id_of)?;
        if self.report.found.is_empty() {
            let indices = self.name.indices(self.settings).join(", ");
            self.report.words.insert(0, format!("no document has this id in {indices}"));
        }
        Ok(self.report)
    }

    fn output(&self, name: &str) -> &'a OutputSettings {
        self.settings.outputs.iter().find(|output| output.name == name).expect("the id names an output that there is")
    }

    /// Looks for the document.
    fn look(&mut self, id_of: &IdOf) -> Result<(), PipelineError> {
        let lookups = Lookups::new(self.settings)?;
        let id = self.name.id.as_str();
        let mut found: Vec<Present> = Vec::new();
        for (sink, (_, outputs)) in self.settings.outputs_of_sinks().enumerate() {
            match &self.name.index {
                // At this moment: a search is as of the last refresh.
                Some(index) => {
                    let wanted = [(sink, Wanted { index, id, routing: None })];
                    found.extend(lookups.get(&wanted, true)?.into_iter().flatten());
                }
                None => found.extend(lookups.find(sink, &index_names(&outputs), id)?),
            }
        }
        let by_offset = match id_of {
            IdOf::Record { .. } | IdOf::Window { .. } => true,
            IdOf::Field => self.fields().any(|output| output.id.as_ref().is_some_and(|id| id.version.is_none())),
        };
        self.report.found = found
            .into_iter()
            .map(|Present { index, version, source }| {
                let (revision, offset) = revision_and_offset(version);
                FoundDocument {
                    index,
                    version,
                    revision: by_offset.then_some(revision),
                    offset: by_offset.then_some(offset.0),
                    source,
                }
            })
            .collect();
        Ok(())
    }

    /// The outputs whose ids are fields.
    fn fields(&self) -> impl Iterator<Item = &'a OutputSettings> + use<'a> {
        self.settings.outputs.iter().filter(|output| output.id.is_some())
    }

    /// Which records the version may be of: of each partition the one at its offset, where it has this id.
    fn by_version(&mut self) -> Result<(), PipelineError> {
        let offsets: Vec<Offset> = self.report.found.iter().filter_map(|found| found.offset.map(Offset)).collect();
        let outputs: Vec<&OutputSettings> = self.fields().collect();
        if offsets.is_empty() {
            self.report.words.push(
                "the id is a field's text, and says nothing of where the document comes from; the version of a document that is there does, \
                 where it is the record's offset"
                    .to_owned(),
            );
        }
        let partitions: Vec<Partition> = self.partitions.iter().map(|it| it.partition.clone()).collect();
        for output in outputs {
            for origin in offsets.iter().flat_map(|offset| partitions.iter().map(|it| it.origin(*offset))) {
                let before = self.report.records.len();
                let is_its = self.record(output, &origin)?;
                if !is_its {
                    self.report.records.truncate(before);
                }
            }
        }
        if !offsets.is_empty() && self.report.records.is_empty() {
            self.report.words.push(
                "no record at the offset of its version gives this id now: the record is gone, or other components or settings made it"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// What became of a record, and what becomes of it now; whether a document of this id is made of it.
    fn record(&mut self, output: &OutputSettings, origin: &Origin) -> Result<bool, PipelineError> {
        let mut report = RecordReport {
            output: output.name.clone(),
            origin: origin.to_string(),
            timestamp: None,
            state: String::new(),
            steps: Vec::new(),
            now: String::new(),
            checkpoints: self.checkpoints(origin)?,
        };
        let Some(source) = self.partitions.iter().find(|it| it.partition == origin.partition) else {
            report.state = "the pipeline reads no such partition".to_owned();
            self.report.records.push(report);
            return Ok(false);
        };
        let is_settled = source.settled.is_some_and(|settled| origin.offset < settled);
        let (start, end) = source.log;
        let batch = match origin.offset {
            offset if offset < start => {
                report.state = format!("gone from the log, which begins at {start}");
                None
            }
            offset if offset >= end => {
                report.state = format!("not written yet: the log ends at {end}");
                None
            }
            _ => {
                let batch = read(self.settings, origin)?;
                report.state = match (&batch, is_settled) {
                    (None, _) => "no record: the log has lost it, or it was never one".to_owned(),
                    (Some(_), true) => "settled".to_owned(),
                    (Some(_), false) => "not settled yet".to_owned(),
                };
                batch
            }
        };
        let mut is_its = false;
        if let Some(batch) = batch {
            report.timestamp = batch.timestamp(0).map(|time| time.to_string());
            let mut settings = self.settings.clone();
            settings.outputs.retain(|one| one.name == output.name);
            let plugins = self.plugins.of_output(self.settings, &output.name);
            let way = way::way(&settings, &self.topology, &plugins, &origin.partition, &Arc::new(batch))?;
            is_its = way.has(&self.name.id);
            report.now = self.now(&way);
            report.steps = way.steps;
        }
        self.report.records.push(report);
        Ok(is_its)
    }

    /// What is made of the record now, beside what the index has.
    fn now(&self, way: &way::Way) -> String {
        let id = &self.name.id;
        let source = self.report.found.first().and_then(|found| found.source.as_ref());
        match (way.body(id), source) {
            (Some(now), Some(there)) if now == *there => "the same as the document in the index".to_owned(),
            (Some(now), Some(there)) => {
                format!("another document than the index has: {}", told(&changes(there, &now)))
            }
            (Some(_), None) => "a document of this id, which the index does not have".to_owned(),
            (None, _) if way.has(id) => "the deletion of this document".to_owned(),
            (None, _) => match way.refused.first() {
                Some(letter) => format!("no document: it is refused, {}: {}", letter.reason(), letter.message()),
                None => "no document of this id".to_owned(),
            },
        }
    }

    fn window(&mut self, id_of: &IdOf) -> Result<(), PipelineError> {
        let IdOf::Window { output, start, of, group, .. } = id_of else { return Ok(()) };
        let source = self.report.found.first().and_then(|found| found.source.as_ref());
        let end = source.and_then(|source| source["window_end"].as_str()).map(str::to_owned);
        let end_time = end.as_ref().and_then(|end| end.parse::<jiff::Timestamp>().ok());
        let end_time = end_time.map(|end| EventTime::from_micros(end.as_microsecond()));
        let found = parts::of_window(self.settings, id_of, end_time)?.unwrap_or_default();
        if of.is_none() && found.parts.is_empty() {
            self.report.words.push(match found.is_cut {
                true => {
                    "the parts topic has no part of this window any more: what is merged is deleted there".to_owned()
                }
                false => "the parts topic has no part of this window".to_owned(),
            });
        }
        self.report.window = Some(WindowReport {
            output: output.clone(),
            start: start.to_string(),
            end,
            group: group.clone(),
            partition: of.as_ref().map(Partition::to_string),
            parts: found.parts,
            parts_are_cut: found.is_cut,
        });
        Ok(())
    }

    /// The dead letters of the document, or of its record.
    fn letters(&mut self, id_of: &IdOf) -> Result<(), PipelineError> {
        let id = &self.name.id;
        let topic = DeadLetterTopic::open(self.settings)?;
        let mut identities = match id_of {
            IdOf::Record { output, origin, ordinal } => {
                vec![format!("{origin}/{output}/{ordinal}"), format!("{origin}//0")]
            }
            IdOf::Window { output, .. } => vec![format!("document/{output}/{id}")],
            IdOf::Field => Vec::new(),
        };
        for record in self.report.records.iter().filter(|_| *id_of == IdOf::Field) {
            identities.push(format!("{}/{}/0", record.origin, record.output));
        }
        let mut letters = Vec::new();
        for filter in [
            LetterFilter { identities, ..LetterFilter::default() },
            LetterFilter { ids: vec![id.clone()], ..LetterFilter::default() },
        ] {
            // An empty filter fits all.
            if filter.is_empty() {
                continue;
            }
            topic.each(&filter, |found| {
                let letter = &found.letter;
                let report = LetterReport {
                    identity: letter.identity().to_owned(),
                    reason: letter.reason().to_owned(),
                    message: letter.message().to_owned(),
                    position: format!("{}-{}", letter.position.partition.number, letter.position.offset),
                };
                if letters.iter().all(|known: &LetterReport| known.identity != report.identity) {
                    letters.push(report);
                }
                std::ops::ControlFlow::Continue(())
            })?;
        }
        self.report.dead_letters = letters;
        Ok(())
    }

    /// The newest checkpoint before the record, and the oldest behind it.
    fn checkpoints(&self, origin: &Origin) -> Result<Vec<CheckpointReport>, PipelineError> {
        let place = Place { pipeline: self.settings.name.as_str().into(), partition: origin.partition.clone() };
        let headers = ask_store(self.settings, async |store| {
            let mut headers = Vec::new();
            for kept in store.list(&place).await?.iter().take(CHECKPOINTS_MAX) {
                // One that is damaged says nothing.
                headers.extend(store.header(&place, kept).await.ok());
            }
            Ok(headers)
        })?;
        let headers = headers.unwrap_or_default();
        let before = headers.iter().filter(|header| header.next <= origin.offset).max_by_key(|header| header.next);
        let after = headers.iter().filter(|header| header.next > origin.offset).min_by_key(|header| header.next);
        let report = |header: &crate::checkpoint::Header| CheckpointReport {
            next: header.next.0,
            is_before: header.next <= origin.offset,
            components: header
                .components
                .iter()
                .map(|it| ComponentReport { name: it.name.clone(), version: None, digest: it.digest.clone() })
                .collect(),
        };
        Ok(before.into_iter().chain(after).map(report).collect())
    }
}

/// The record, if it is there.
fn read(settings: &PipelineSettings, origin: &Origin) -> Result<Option<RecordBatch>, PipelineError> {
    let range = RecordRange { partition: origin.partition.clone(), start: origin.offset, end: origin.offset.next() };
    let mut found = None;
    Admin::new(&settings.kafka)?.read(&[range], |_, batch| found = Some(batch))?;
    Ok(found.filter(|batch| batch.offsets().first() == Some(&origin.offset.0)))
}
