//! Aggregates: rows are added to states, states are merged, and emitted when their window closes. States live with the
//! host, as bytes, between two calls.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::data::{Batch, Column, Output, Rejection, Slices, Values};
use crate::configured::{Configured, Slots, parse};
use crate::enrich::{OutputBuilder, OutputRow};
use crate::fields::{Columns, Reads};
use crate::{Field, Kind, Reject, Timestamp};

/// The state of one group in one window, for `#[aggregate(state = 1)]`.
///
/// It begins as `Default` and is kept as bytes, written with postcard, between calls; the number is its version. A
/// change of its fields is a new version. States are those of the package; `schema = "name"` in the brackets names them
/// where the package is renamed.
pub trait Aggregate: Default + Serialize + DeserializeOwned {
    /// What is read of each record: a struct with `#[derive(Fields)]`, or `()`.
    type Row<'a>;
    /// What a window's document gets besides its group and times: a struct with `#[derive(Fields)]`.
    type Out;

    /// An error rejects the record; return it before `self` is changed.
    fn add(&mut self, row: Self::Row<'_>) -> Result<(), Reject>;

    /// Takes in the state of records that come later: those of another partition, or the rest of a batch.
    fn merge(&mut self, later: Self);

    /// One document as a rule; none or several where that makes sense.
    fn emit(&self, window: &Window) -> Vec<Self::Out>;

    /// Makes a state of one that an older version wrote; an error refuses the new version.
    fn migrate(state: OldState<'_>) -> Result<Self, String> {
        Err(state.refuse())
    }
}

/// The window that is emitted: from `start` until just before `end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    start: Timestamp,
    end: Timestamp,
}

impl Window {
    pub const fn new(start: Timestamp, end: Timestamp) -> Self {
        Window { start, end }
    }

    pub const fn start(&self) -> Timestamp {
        self.start
    }

    pub const fn end(&self) -> Timestamp {
        self.end
    }
}

/// A state that an older version wrote.
#[derive(Clone, Copy, Debug)]
pub struct OldState<'a> {
    version: u32,
    bytes: &'a [u8],
}

impl OldState<'_> {
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Reads it as the type that it was.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, String> {
        postcard::from_bytes(self.bytes).map_err(|error| format!("a state of version {}: {error}", self.version))
    }

    /// The error for versions that nobody knows.
    pub fn refuse(&self) -> String {
        format!("states of version {} cannot be read by this version", self.version)
    }
}

/// What `#[aggregate]` implements.
pub trait AggregateGlue: Sized + 'static {
    const STATE_NAME: &'static str;
    const STATE_VERSION: u32;
    type Settings: DeserializeOwned;
    type State: Default + Serialize + DeserializeOwned;
    type Row<'a>: Reads<'a>;
    /// The plugin, what it reads and what it emits.
    fn configure(settings: Self::Settings) -> Result<(Self, Slots, Slots), String>;
    fn add(&self, state: &mut Self::State, row: Self::Row<'_>) -> Result<(), Reject>;
    fn merge(&self, state: &mut Self::State, later: Self::State);
    fn emit(&self, state: &Self::State, window: &Window, out: &mut OutputRow<'_, '_>) -> Result<(), Reject>;
    fn migrate(&self, state: OldState<'_>) -> Result<Self::State, String>;
}

/// What `add` may give back.
#[diagnostic::on_unimplemented(message = "`add` gives back nothing or `Result<(), Reject>`, not `{Self}`")]
pub trait Added {
    fn added(self) -> Result<(), Reject>;
}

impl Added for () {
    #[inline]
    fn added(self) -> Result<(), Reject> {
        Ok(())
    }
}

impl<E: Into<Reject>> Added for Result<(), E> {
    #[inline]
    fn added(self) -> Result<(), Reject> {
        self.map_err(Into::into)
    }
}

/// No bytes are a new group.
pub(crate) fn decode_state<S: Default + DeserializeOwned>(bytes: &[u8]) -> S {
    if bytes.is_empty() {
        return S::default();
    }
    postcard::from_bytes(bytes).expect("the runtime gives back states of this version as they were written")
}

pub(crate) fn get(states: &Slices, index: usize) -> &[u8] {
    &states.bytes[states.offsets[index] as usize..states.offsets[index + 1] as usize]
}

pub(crate) fn count(states: &Slices) -> usize {
    states.offsets.len().saturating_sub(1)
}

pub(crate) fn encode<S: Serialize>(states: impl ExactSizeIterator<Item = S>) -> Slices {
    let mut offsets = Vec::with_capacity(states.len() + 1);
    offsets.push(0);
    let mut bytes = Vec::new();
    for state in states {
        bytes = postcard::to_extend(&state, bytes).expect("a state can be written with postcard");
        offsets.push(u32::try_from(bytes.len()).expect("the states of a call are bounded far below 4 GiB"));
    }
    Slices { offsets, bytes }
}

/// The context that every aggregate asks for.
pub(crate) fn emit_reads() -> Vec<Field> {
    ["$window_start", "$window_end"].map(|path| Field::new(path, Kind::Timestamp).required()).to_vec()
}

fn times(column: Option<&Column>) -> &[i64] {
    match column.map(|column| &column.values) {
        Some(Values::Integers(times)) => times,
        Some(Values::Presence | Values::Booleans(_) | Values::Floats(_) | Values::Slices(_)) | None => {
            panic!("the runtime sends a window's start and end")
        }
    }
}

impl<P: AggregateGlue> Configured<P> {
    pub(crate) fn aggregate_plugin(settings: &str) -> Result<Self, String> {
        let (plugin, reads, emits) = P::configure(parse(settings)?)?;
        Configured::new(plugin, reads, emits)
    }

    pub(crate) fn accumulate(&self, states: &Slices, groups: &[u32], batch: &Batch) -> (Slices, Vec<Rejection>) {
        let views = P::Row::views(&Columns { slots: &self.reads, columns: &batch.columns });
        let mut rejected = Vec::new();
        let mut states: Vec<P::State> = (0..count(states)).map(|index| decode_state(get(states, index))).collect();
        for row in 0..batch.rows {
            let state = &mut states[groups[row as usize] as usize];
            let added = match P::Row::read(&views, row as usize) {
                Ok(values) => self.plugin.add(state, values),
                Err(misfit) => Err(self.reads.explain(misfit)),
            };
            if let Err(reject) = added {
                rejected.push(Rejection { row, reason: reject.into_reason() });
            }
        }
        (encode(states.iter()), rejected)
    }

    pub(crate) fn merge(&self, left: &Slices, right: &Slices) -> Slices {
        encode((0..count(left)).map(|index| {
            let mut state: P::State = decode_state(get(left, index));
            self.plugin.merge(&mut state, decode_state(get(right, index)));
            state
        }))
    }

    pub(crate) fn emit(&self, states: &Slices, context: &Batch) -> Output {
        let (starts, ends) = (times(context.columns.first()), times(context.columns.get(1)));
        let mut out = OutputBuilder::new(&self.writes, context.rows);
        for row in 0..context.rows {
            let index = row as usize;
            let window = Window::new(Timestamp::from_micros(starts[index]), Timestamp::from_micros(ends[index]));
            let state: P::State = decode_state(get(states, index));
            out.row(row, |out| self.plugin.emit(&state, &window, out));
        }
        out.finish(context.rows)
    }

    pub(crate) fn migrate(&self, name: &str, version: u32, states: &Slices) -> Result<Slices, String> {
        if name != P::STATE_NAME {
            return Err(format!("states of `{name}` cannot be read by `{}`", P::STATE_NAME));
        }
        if version == P::STATE_VERSION {
            return Ok(states.clone());
        }
        let migrated: Result<Vec<P::State>, String> = (0..count(states))
            .map(|index| match get(states, index) {
                [] => Ok(P::State::default()),
                bytes => self.plugin.migrate(OldState { version, bytes }),
            })
            .collect();
        Ok(encode(migrated?.iter()))
    }
}
