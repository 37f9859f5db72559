//! What made a document: the record or the parts that it comes from, step by step, with the components that are there now. It writes
//! nothing.

use std::sync::Arc;
use std::thread;

use super::lookups::Lookups;
use super::reconcile::Scope;
use super::{DeadLetterTopic, LetterFilter, Loader, PipelineError, Plugins, written};
use crate::config::{OutputSettings, PipelineSettings};
use crate::plugin::THREAD_STACK_BYTES;
use crate::record::{EventTime, Offset, Origin, Partition, RecordBatch};
use crate::sink::{Found, Looked, Wanted};
use crate::source::{Admin, RecordRange};

mod changes;
mod found;
mod made;
mod name;
mod parts;
mod refold;
mod report;
mod served;
mod times;
mod way;

pub use name::DocumentName;
pub use report::{
    CheckpointReport, ComponentReport, DocumentReport, FoundDocument, GenerationReport, LetterReport, MadeByReport,
    PartReport, RecordReport, ServedReport, SpanReport, StepReport, VersionOf, WindowReport,
};

use changes::{changes, told};
use name::{IdOf, id_of};
use parts::WantedParts;

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
    /// The source partitions, and how far each is settled.
    scope: Scope,
    /// Some of the indices cannot be looked at.
    is_blind: bool,
    report: DocumentReport,
}

impl<'a> Explaining<'a> {
    fn start(settings: &'a PipelineSettings, name: &'a DocumentName) -> Result<Self, PipelineError> {
        let plugins = Plugins::load(settings, &mut Loader::default())?;
        let scope = Scope::of(settings, None)?;
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
        Ok(Explaining { settings, name, plugins, scope, is_blind: false, report })
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
        let topic = DeadLetterTopic::open(self.settings)?;
        self.letters(&id_of, &topic)?;
        self.served(&topic)?;
        if self.report.found.is_empty() {
            if let IdOf::Window { .. } = id_of {
                let when = "a window's document is written when the window closes, if its aggregate gives one";
                self.report
                    .words
                    .push(format!("{when}: `tidegate explain watermark` says how far event time has come"));
            }
            let indices = self.name.indices(self.settings).join(", ");
            self.report.words.insert(
                0,
                match self.is_blind {
                    false => format!("no document has this id in {indices}"),
                    true => format!("no document of this id is found in what can be looked at of {indices}"),
                },
            );
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
        let mut found = Found::default();
        for (sink, (_, outputs)) in self.settings.outputs_of_sinks().enumerate() {
            let mut names: Vec<String> = written(&outputs).into_keys().collect();
            if let Some(index) = &self.name.index {
                // At this moment: a search is as of the last refresh, but finds what has a routing too.
                let now = lookups.get(&[(sink, Wanted { index, id, routing: None })], true)?.pop();
                if let Some(Looked::There(present)) = now {
                    found.documents.push(present);
                    continue;
                }
                names = vec![index.clone()];
            }
            let Found { documents, unreadable } = lookups.find(sink, &names, id)?;
            found.documents.extend(documents);
            found.unreadable.extend(unreadable);
        }
        self.is_blind = !found.unreadable.is_empty();
        let told = |(name, why): &(String, crate::sink::Unreadable)| match name.contains('*') {
            true => format!("not all of {name} can be looked at: {why}"),
            false => format!("index {name} cannot be looked at: {why}"),
        };
        self.report.words.extend(found.unreadable.iter().map(told));
        let documents = found.documents.into_iter();
        self.report.found = documents.map(|present| self.found(id_of, present)).collect();
        Ok(())
    }

    /// Which records the version may be of: of each partition the one at its offset, where it has this id.
    fn by_version(&mut self) -> Result<(), PipelineError> {
        let partitions: Vec<Partition> = self.scope.partitions.iter().map(|it| it.partition.clone()).collect();
        if self.report.found.is_empty() {
            self.report.words.extend(self.name.no_index());
        }
        let mut tried = false;
        for found in self.report.found.clone() {
            let Some(offset) = found.offset.map(Offset) else { continue };
            tried = true;
            let outputs: Vec<_> = self.writers(&IdOf::Field, &found.index).collect();
            for output in outputs {
                for origin in partitions.iter().map(|it| it.origin(offset)) {
                    let before = self.report.records.len();
                    if !self.record(output, &origin)? {
                        self.report.records.truncate(before);
                    }
                }
            }
        }
        self.report.words.extend(match (tried, self.report.records.is_empty()) {
            (false, _) => Some(
                "the id is a field's text, and says nothing of where the document comes from; the version of a document that is there does, \
                 where it is the record's offset",
            ),
            (true, true) => Some(
                "no record at the offset of its version gives this id now: the record is gone, or other components or settings made it",
            ),
            (true, false) => None,
        }.map(str::to_owned));
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
            made_by: None,
            checkpoints: Vec::new(),
            letters: Vec::new(),
        };
        let Some(source) = self.scope.place(&origin.partition).map(|place| &self.scope.partitions[place]) else {
            report.state = "the pipeline reads no such partition".to_owned();
            self.report.records.push(report);
            return Ok(false);
        };
        let is_settled = source.position.is_some() && origin.offset < source.range.1;
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
            let way = way::way(&settings, &self.scope.topology, &plugins, &origin.partition, &Arc::new(batch))?;
            is_its = way.has(&self.name.id);
            report.now = self.now(output, &way);
            report.steps = way.steps;
        }
        if origin.offset < end && (is_settled || !self.report.found.is_empty()) {
            report.made_by = self.made_record(output, source, origin.offset);
        }
        if report.made_by.is_none() {
            report.checkpoints = served::checkpoints(self.settings, origin)?;
        }
        self.report.records.push(report);
        Ok(is_its)
    }

    /// What is made of the record now, beside what the index has.
    fn now(&self, output: &OutputSettings, way: &way::Way) -> String {
        let id = &self.name.id;
        let source = self.found_of(output).and_then(|found| found.source.as_ref());
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
        let end_time = end_time.or_else(|| Some(start.plus(times::length(self.settings, output)?)));
        let Some(wanted) = WantedParts::new(self.settings, id_of, end_time) else { return Ok(()) };
        let found = parts::of_window(self.settings, id_of, &wanted)?.unwrap_or_default();
        if of.is_none() && found.parts.is_empty() {
            self.report.words.push(match found.is_cut {
                true => {
                    "the parts topic has no part of this window any more: what is merged is deleted there".to_owned()
                }
                false => "the parts topic has no part of this window".to_owned(),
            });
        }
        let spans = match end_time {
            Some(end) if found.parts.is_empty() => self.spans(&wanted, of.as_ref(), *start, end)?,
            Some(_) | None => Vec::new(),
        };
        let made_by = self.made_window(self.output(output), &found.parts, &spans);
        let merged_by = self.merged(self.output(output), id_of);
        self.report.window = Some(WindowReport {
            output: output.clone(),
            start: start.to_string(),
            end,
            group: group.clone(),
            partition: of.as_ref().map(Partition::to_string),
            parts: found.parts,
            spans,
            parts_are_cut: found.is_cut,
            made_by,
            merged_by,
        });
        Ok(())
    }

    /// The records of a window without parts: those that are folded into it now, else those of its time.
    fn spans(
        &self,
        wanted: &WantedParts<'_>,
        of: Option<&Partition>,
        start: EventTime,
        end: EventTime,
    ) -> Result<Vec<SpanReport>, PipelineError> {
        let around = self.settings.watermark.out_of_order;
        let last = self.found_of(self.output(wanted.output)).and_then(|found| found.offset);
        let near = match (of, last) {
            (Some(of), Some(last)) => times::up_to(&self.scope, of, Offset(last)),
            (_, _) => times::spans(self.settings, &self.scope, of, start.minus(around), end.plus(around))?,
        };
        let plugins = self.plugins.of_output(self.settings, wanted.output);
        let folded = refold::refold(self.settings, &self.scope, &plugins, wanted, &near)?;
        match (folded.is_empty(), of, last) {
            (false, _, _) => Ok(folded),
            (true, Some(of), Some(last_offset)) => {
                Ok(vec![SpanReport { source: of.to_string(), first_offset: last_offset, last_offset, records: None }])
            }
            (true, _, _) => times::spans(self.settings, &self.scope, of, start, end),
        }
    }

    /// The dead letters of the document, or of its record.
    fn letters(&mut self, id_of: &IdOf, topic: &DeadLetterTopic) -> Result<(), PipelineError> {
        let id = &self.name.id;
        let mut identities = match id_of {
            IdOf::Record { output, origin, ordinal } => {
                vec![format!("{origin}/{output}/{ordinal}"), format!("{origin}//0")]
            }
            IdOf::Window { output, .. } => vec![format!("document/{output}/{id}")],
            IdOf::Field => Vec::new(),
        };
        for record in self.report.records.iter().filter(|_| *id_of == IdOf::Field) {
            identities.extend([&record.output, ""].map(|output| format!("{}/{output}/0", record.origin)));
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
        if !letters.is_empty() && !self.report.found.is_empty() {
            self.report.words.push(
                "there are dead letters of it: where a replay of one wrote the document, it was given to the components that were there then"
                    .to_owned(),
            );
        }
        self.report.dead_letters = letters;
        Ok(())
    }

    /// Where the position does not tell: what the dead letters near the records name.
    fn served(&mut self, topic: &DeadLetterTopic) -> Result<(), PipelineError> {
        let revision = self.report.found.iter().find_map(|found| found.revision).unwrap_or(self.scope.revision);
        for record in self.report.records.iter_mut().filter(|record| record.made_by.is_none()) {
            let Some(origin) = Origin::parse(&record.origin) else { continue };
            let plugins = self.plugins.of_output(self.settings, &record.output);
            let names: Vec<String> = plugins.identities().map(|(name, _, _)| name.to_owned()).collect();
            record.letters = served::letters(topic, &origin, revision, &names)?;
        }
        Ok(())
    }
}

/// The record, if it is there.
fn read(settings: &PipelineSettings, origin: &Origin) -> Result<Option<RecordBatch>, PipelineError> {
    let range = RecordRange { partition: origin.partition.clone(), start: origin.offset, end: origin.offset.next() };
    let mut found = None;
    Admin::new(&settings.kafka)?.read(&[range], |_, batch| found = Some(batch))?;
    Ok(found.filter(|batch| batch.offsets().first() == Some(&origin.offset.0)))
}
