//! Stands between a lane and its components, and remembers what each was given and what it made of it, row by row: so how
//! the rows were cut into batches does not show.

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::{PipelineSettings, PluginSettings, TransformSettings};
use crate::lane::Instances;
use crate::plugin::{Aggregate, CallError, Enrich, Filter, Instance};
use crate::record::{Accumulated, Batch, Column, Output, ReasonKind, Rejection, Slices, StateSchema, Values, Verdicts};

/// A value on a page is cut to so many characters.
const SHOWN_MAX: usize = 60;

/// A row, and what became of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Seen {
    given: String,
    made: String,
}

#[derive(Default)]
struct Log {
    rows: Vec<Seen>,
    /// Of an aggregate: what its documents were made of.
    emitted: Vec<Seen>,
}

#[derive(Clone)]
struct Witness {
    component: String,
    log: Arc<Mutex<Log>>,
}

/// One for each component, in the order of the pipeline files.
#[derive(Default)]
pub(super) struct Witnesses(Vec<Witness>);

/// What a component was seen to do in a run.
pub(super) struct Testimony {
    component: String,
    log: Log,
}

/// A component that made two things of the same row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Guilty {
    pub component: String,
    /// Which row of those that it was given, from 1 on; none of what it emits.
    pub row: Option<usize>,
    pub given: String,
    pub made: [String; 2],
}

impl Witnesses {
    pub fn attach(settings: &[PipelineSettings], instances: &mut Instances) -> Witnesses {
        let mut witnesses = Witnesses::default();
        settings.iter().for_each(|settings| witnesses.pipeline(settings));
        let mut all = witnesses.0.iter().cloned();
        *instances = std::mem::take(instances).map(|instance| match (all.next(), instance) {
            (Some(witness), Instance::Filter(inner)) => Instance::Filter(Box::new(Watched { inner, witness })),
            (Some(witness), Instance::Enrich(inner)) => Instance::Enrich(Box::new(Watched { inner, witness })),
            (Some(witness), Instance::Aggregate(inner)) => Instance::Aggregate(Box::new(Watched { inner, witness })),
            (None, instance) => instance,
        });
        witnesses
    }

    fn pipeline(&mut self, settings: &PipelineSettings) {
        self.transforms("", &settings.transforms);
        for output in &settings.outputs {
            let prefix = format!("output `{}`, ", output.name);
            self.transforms(&prefix, &output.transforms);
            if let Some(aggregate) = &output.aggregate {
                self.add(format!("{prefix}aggregate"), &aggregate.plugin);
            }
        }
    }

    fn transforms(&mut self, prefix: &str, settings: &[TransformSettings]) {
        for settings in settings {
            self.add(format!("{prefix}transform `{}`", settings.name), &settings.plugin);
        }
    }

    fn add(&mut self, place: String, plugin: &PluginSettings) {
        let file = plugin.file.file_name().unwrap_or_default().to_string_lossy();
        self.0.push(Witness { component: format!("{place} ({file})"), log: Arc::default() });
    }

    pub fn testify(self) -> Vec<Testimony> {
        self.0
            .into_iter()
            .map(|witness| {
                let log = std::mem::take(&mut *witness.log.lock().unwrap_or_else(PoisonError::into_inner));
                Testimony { component: witness.component, log }
            })
            .collect()
    }
}

impl Testimony {
    /// Guilty is who makes something else of the same row; who is given other rows is not to blame.
    pub fn differs(&self, other: &Testimony) -> Option<Guilty> {
        let guilty = |row, before: &Seen, after: &Seen| Guilty {
            component: self.component.clone(),
            row,
            given: before.given.clone(),
            made: [before.made.clone(), after.made.clone()],
        };
        let mut rows = self.log.rows.iter().zip(&other.log.rows).enumerate();
        if let Some((row, (before, after))) = rows.find(|(_, (before, after))| before != after) {
            return (before.given == after.given).then(|| guilty(Some(row + 1), before, after));
        }
        let sorted = |log: &Log| {
            let mut emitted = log.emitted.clone();
            emitted.sort();
            emitted
        };
        let (before, after) = (sorted(&self.log), sorted(&other.log));
        let mut emitted = before.iter().zip(&after);
        emitted.find(|(before, after)| before != after).map(|(before, after)| guilty(None, before, after))
    }
}

struct Watched<I: ?Sized> {
    witness: Witness,
    inner: Box<I>,
}

impl Witness {
    fn rows(&self, batch: &Batch, made: impl Fn(u32) -> String) {
        self.tell(batch, made, |log| &mut log.rows);
    }

    fn tell(&self, batch: &Batch, made: impl Fn(u32) -> String, of: impl Fn(&mut Log) -> &mut Vec<Seen>) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = (0..batch.rows).map(|row| Seen { given: cells(&batch.columns, row as usize), made: made(row) });
        of(&mut log).extend(seen);
    }
}

impl Filter for Watched<dyn Filter> {
    fn filter(&mut self, batch: &Batch) -> Result<Verdicts, CallError> {
        let verdicts = self.inner.filter(batch)?;
        self.witness.rows(batch, |row| {
            let kept = verdicts.keep.get(row as usize).is_some_and(|keep| *keep != 0);
            rejected(&verdicts.rejected, row).unwrap_or_else(|| if kept { "kept" } else { "dropped" }.to_owned())
        });
        Ok(verdicts)
    }
}

impl Enrich for Watched<dyn Enrich> {
    fn enrich(&mut self, batch: &Batch) -> Result<Output, CallError> {
        let output = self.inner.enrich(batch)?;
        self.witness.rows(batch, |row| written(&output, row));
        Ok(output)
    }
}

impl Aggregate for Watched<dyn Aggregate> {
    fn accumulate(&mut self, states: &Slices, groups: &[u32], batch: &Batch) -> Result<Accumulated, CallError> {
        let accumulated = self.inner.accumulate(states, groups, batch)?;
        self.witness.rows(batch, |row| rejected(&accumulated.rejected, row).unwrap_or_else(|| "taken".to_owned()));
        Ok(accumulated)
    }

    fn merge(&mut self, left: &Slices, right: &Slices) -> Result<Accumulated, CallError> {
        self.inner.merge(left, right)
    }

    fn emit(&mut self, states: &Slices, context: &Batch) -> Result<Output, CallError> {
        let output = self.inner.emit(states, context)?;
        self.witness.tell(context, |row| written(&output, row), |log| &mut log.emitted);
        Ok(output)
    }

    fn migrate(&mut self, from: &StateSchema, states: &Slices) -> Result<Result<Slices, String>, CallError> {
        self.inner.migrate(from, states)
    }
}

fn rejected(rejections: &[Rejection], row: u32) -> Option<String> {
    let reason = &rejections.iter().find(|rejection| rejection.row == row)?.reason;
    Some(match reason.kind {
        // How much memory or time there was may be in the words.
        ReasonKind::Trap | ReasonKind::Deadline | ReasonKind::Contract => format!("rejected ({})", reason.kind),
        ReasonKind::Json
        | ReasonKind::Schema
        | ReasonKind::EventTime
        | ReasonKind::Future
        | ReasonKind::Field
        | ReasonKind::Plugin
        | ReasonKind::Late
        | ReasonKind::Groups
        | ReasonKind::LatePart
        | ReasonKind::Document
        | ReasonKind::Sink => format!("rejected: {}", reason.message),
    })
}

/// What a row was written as.
fn written(output: &Output, row: u32) -> String {
    if let Some(words) = rejected(&output.rejected, row) {
        return words;
    }
    let rows: Vec<String> = match &output.rows {
        None => vec![cells(&output.columns, row as usize)],
        Some(rows) => {
            let places = rows.iter().enumerate().filter(|(_, from)| **from == row);
            places.map(|(place, _)| cells(&output.columns, place)).collect()
        }
    };
    if rows.is_empty() { "dropped".to_owned() } else { format!("written as {}", rows.join(" and ")) }
}

fn cells(columns: &[Column], row: usize) -> String {
    let mut text = String::from("(");
    for (place, column) in columns.iter().enumerate() {
        text.push_str(if place == 0 { "" } else { ", " });
        text.push_str(&cell(column, row));
    }
    text + ")"
}

fn cell(column: &Column, row: usize) -> String {
    if !column.is_present(row) {
        return "null".to_owned();
    }
    match &column.values {
        Values::Presence => "there".to_owned(),
        Values::Booleans(values) => (values[row] != 0).to_string(),
        Values::Integers(values) => values[row].to_string(),
        Values::Floats(values) => values[row].to_string(),
        Values::Slices(values) => String::from_utf8_lossy(values.get(row)).into_owned(),
    }
}

/// As much of a row as fits on a line.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_MAX).collect();
    if shown.len() < text.len() {
        let _ = write!(shown, "…");
    }
    shown
}
