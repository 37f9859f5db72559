//! The components of the simulation, native: versions of a filter, an output's own filter, and an aggregate whose
//! documents tell which records are in them.

use std::time::Duration;

use tidegate::config::{
    AggregateSettings, Auth, DeadLetterSettings, DecodeSettings, ElasticsearchSettings, EmitSettings, Format,
    IndexPart, IndexPattern, KafkaSettings, LimitSettings, OnBreaker, OnDataLoss, OnFuture, OnLate, OnTrap,
    OnWrongType, OutputSettings, PipelineSettings, PluginLimits, PluginSettings, ReloadSettings, Start, TimestampUnit,
    Tombstones, TransformSettings, WatermarkSettings, WindowSettings, WriteOperation,
};
use tidegate::lane::{Components, Described, Instances, OutputComponents, PluginId, StateDescription};
use tidegate::plugin::{Aggregate, CallError, Filter, Instance};
use tidegate::record::{Accumulated, Batch, Column, Field, Kind, Output, Ports, Slices, StateSchema, Values, Verdicts};

use super::input::{MAX_FUTURE, OUT_OF_ORDER, OWN, TOPIC};

/// An output with windows.
pub struct Windowed {
    pub name: &'static str,
    /// In seconds, as all that follows.
    pub length: i64,
    /// How often a window begins.
    pub every: i64,
    /// For how long after their end windows change.
    pub update_within: i64,
    /// Early results whenever event time has passed a multiple of it; 0: none.
    pub early: i64,
    pub when_quiet: bool,
    /// Its windows are not merged over partitions.
    pub partitioned: bool,
    /// It has a filter of its own.
    pub filtered: bool,
    /// The gap of sessions and where they are cut, in place of windows of one length.
    pub session: Option<(i64, i64)>,
}

pub const WINDOWED: [Windowed; 8] = [
    Windowed { name: "short", length: 10, every: 10, update_within: 0, early: 0, ..Windowed::MERGED },
    Windowed { name: "long", length: 25, every: 10, early: 20, filtered: true, ..Windowed::MERGED },
    Windowed { name: "updated", length: 10, every: 10, update_within: 15, when_quiet: true, ..Windowed::MERGED },
    Windowed { name: "own", update_within: 25, early: 7, when_quiet: true, partitioned: true, ..Windowed::MERGED },
    Windowed { name: "trips", session: Some((15, 60)), ..Windowed::MERGED },
    Windowed { name: "journeys", session: Some((30, 120)), ..Windowed::MERGED },
    Windowed { name: "visits", session: Some((40, 120)), partitioned: true, ..Windowed::MERGED },
    Windowed { name: "stops", session: Some((6, 60)), partitioned: true, ..Windowed::MERGED },
];
pub const PLAIN: &str = "plain";

impl Windowed {
    const MERGED: Windowed = Windowed {
        name: "",
        length: 20,
        every: 5,
        update_within: 0,
        early: 0,
        when_quiet: false,
        partitioned: false,
        filtered: false,
        session: None,
    };
}

/// Keeps the rows whose `keep` has a bit.
struct KeepBit(u8);

impl Filter for KeepBit {
    fn filter(&mut self, batch: &Batch) -> Result<Verdicts, CallError> {
        let Values::Integers(values) = &batch.columns[0].values else { unreachable!("asked as integers") };
        Ok(Verdicts {
            keep: values.iter().map(|keep| u8::from(keep & i64::from(self.0) != 0)).collect(),
            rejected: vec![],
        })
    }
}

/// The versions of the aggregates' states, which count from 1.
pub const STATES_MAX: u32 = 3;

/// Counts records, and adds up the squares of their ids: few sets of records have both in common. Each version of its states
/// reads the sum in another way, so that a state which was migrated twice, or not, does not add up.
struct Fold(u32);

pub fn square(id: u64) -> u64 {
    (id + 1).wrapping_mul(id + 1)
}

/// What a version has its sums larger by.
fn shift(version: u32) -> u64 {
    u64::from(version) << 40
}

impl Fold {
    fn read(&self, state: &[u8]) -> (u64, u64) {
        let word = |at: usize| u64::from_le_bytes(state[at..at + 8].try_into().expect("8 bytes"));
        if state.is_empty() { (0, 0) } else { (word(0), word(8).wrapping_sub(shift(self.0))) }
    }

    fn write(&self, (count, sum): (u64, u64)) -> Vec<u8> {
        [count.to_le_bytes(), sum.wrapping_add(shift(self.0)).to_le_bytes()].concat()
    }
}

impl Aggregate for Fold {
    fn accumulate(&mut self, states: &Slices, groups: &[u32], batch: &Batch) -> Result<Accumulated, CallError> {
        let Values::Integers(ids) = &batch.columns[0].values else { unreachable!("asked as integers") };
        let mut folded: Vec<(u64, u64)> = states.iter().map(|state| self.read(state)).collect();
        for (group, id) in groups.iter().zip(ids) {
            let state = &mut folded[*group as usize];
            *state = (state.0 + 1, state.1.wrapping_add(square(*id as u64)));
        }
        Ok(Accumulated { states: folded.into_iter().map(|state| self.write(state)).collect(), rejected: vec![] })
    }

    fn merge(&mut self, left: &Slices, right: &Slices) -> Result<Accumulated, CallError> {
        let merged = left.iter().zip(right.iter()).map(|(left, right)| {
            let (left, right) = (self.read(left), self.read(right));
            self.write((left.0 + right.0, left.1.wrapping_add(right.1)))
        });
        Ok(Accumulated { states: merged.collect(), rejected: vec![] })
    }

    fn emit(&mut self, states: &Slices, _context: &Batch) -> Result<Output, CallError> {
        let column = |part: fn((u64, u64)) -> u64| Column {
            values: Values::Integers(states.iter().map(|state| part(self.read(state)) as i64).collect()),
            present: vec![],
        };
        Ok(Output { rows: None, columns: vec![column(|state| state.0), column(|state| state.1)], rejected: vec![] })
    }

    fn migrate(&mut self, from: &StateSchema, states: &Slices) -> Result<Result<Slices, String>, CallError> {
        if from.version >= self.0 {
            return Ok(Err(format!("there is nothing to migrate from {}", from.version)));
        }
        let before = Fold(from.version);
        Ok(Ok(states.iter().map(|state| self.write(before.read(state))).collect()))
    }
}

const KEEP: PluginId = PluginId(1);
const OWN_FILTER: PluginId = PluginId(2);

/// The aggregate of an output by its place. Another version of it is another plugin.
fn fold_of(output: usize, states: u32) -> PluginId {
    PluginId(output as u64 + 100 * u64::from(states))
}

/// The instances of a worker that runs this version of the shared filter, and any of the aggregates.
pub fn instances(version: u8) -> Instances {
    let filter = |bit: u8| Instance::Filter(Box::new(KeepBit(1 << bit)));
    let filters = [(KEEP, filter(version)), (OWN_FILTER, filter(OWN))];
    let aggregates = (1..=STATES_MAX).flat_map(|states| {
        let fold = move |output| (fold_of(output, states), Instance::Aggregate(Box::new(Fold(states))));
        (0..WINDOWED.len()).map(fold)
    });
    filters.into_iter().chain(aggregates).collect()
}

/// With this version of the aggregates.
pub fn components(states: u32) -> Components {
    let field = |path: &str| Field { path: path.to_owned(), kind: Kind::Integer, required: true };
    let filter = |id| Described {
        id,
        ports: Ports { reads: vec![field("keep")], writes: vec![] },
        state: None,
        digest: "filter".to_owned(),
        ..Described::default()
    };
    let aggregate = |output| Described {
        id: fold_of(output, states),
        ports: Ports { reads: vec![field("id")], writes: vec![field("count"), field("sum")] },
        state: Some(StateDescription {
            schema: StateSchema { name: "fold".to_owned(), version: states },
            emit_reads: vec![],
        }),
        digest: "fold".to_owned(),
        ..Described::default()
    };
    let windowed = WINDOWED.iter().enumerate().map(|(place, output)| OutputComponents {
        transforms: output.filtered.then(|| filter(OWN_FILTER)).into_iter().collect(),
        aggregate: Some(aggregate(place)),
    });
    Components { transforms: vec![filter(KEEP)], outputs: windowed.chain([OutputComponents::default()]).collect() }
}

fn plugin() -> PluginSettings {
    PluginSettings {
        file: "native.wasm".into(),
        settings: "{}".to_owned(),
        secrets: Vec::new(),
        limits: PluginLimits::default(),
        on_trap: OnTrap::DeadLetter,
        on_breaker: OnBreaker::Stop,
    }
}

fn transform(name: &str) -> TransformSettings {
    TransformSettings { name: name.to_owned(), plugin: plugin() }
}

fn output(name: &str, windowed: Option<&Windowed>) -> OutputSettings {
    let seconds = |seconds: i64| Duration::from_secs(seconds as u64);
    let aggregate = windowed.map(|output| AggregateSettings {
        plugin: plugin(),
        group_by: vec!["group".to_owned()],
        window: match output.session {
            Some((gap, max)) => WindowSettings::Session { gap: seconds(gap), max: seconds(max) },
            None if output.length == output.every => WindowSettings::Tumbling { length: seconds(output.length) },
            None => WindowSettings::Sliding { length: seconds(output.length), every: seconds(output.every) },
        },
        groups_max: None,
        emit: EmitSettings { every: (output.early > 0).then(|| seconds(output.early)), when_quiet: output.when_quiet },
        late: match output.update_within {
            0 => OnLate::DeadLetter,
            within => OnLate::UpdateWithin(seconds(within)),
        },
        partitioned_by_group: output.partitioned,
    });
    let index = IndexPattern(vec![IndexPart::Literal(name.to_owned())]);
    let is_filtered = windowed.is_some_and(|output| output.filtered);
    let transforms = is_filtered.then(|| transform("own")).into_iter().collect();
    OutputSettings {
        name: name.to_owned(),
        index,
        sink: "elasticsearch".to_owned(),
        operation: WriteOperation::Index,
        id: None,
        routing: None,
        template: None,
        pipeline: None,
        tombstones: Tombstones::Skip,
        transforms,
        aggregate,
    }
}

pub fn settings(idle_grace: Duration) -> PipelineSettings {
    PipelineSettings {
        name: "sim".to_owned(),
        plugins: "plugins".into(),
        folder: ".".into(),
        code_cache: None,
        kafka: KafkaSettings {
            brokers: "none".to_owned(),
            topics: vec![TOPIC.to_owned()],
            group: "sim".to_owned(),
            instance: None,
            start: Start::Earliest,
            on_data_loss: OnDataLoss::Stop,
            librdkafka: Default::default(),
        },
        decode: DecodeSettings {
            format: Format::Json,
            event_time: "time".to_owned(),
            timestamp_unit: TimestampUnit::Seconds,
            on_wrong_type: OnWrongType::DeadLetter,
            defaults: Default::default(),
            schema_version: None,
            schema_versions: Vec::new(),
        },
        watermark: WatermarkSettings {
            out_of_order: Duration::from_secs(OUT_OF_ORDER as u64),
            idle_after: Duration::from_secs(30),
            idle_grace,
            max_future: Duration::from_secs(MAX_FUTURE as u64),
            on_future: OnFuture::DeadLetter,
        },
        transforms: vec![transform("keep")],
        sinks: vec![ElasticsearchSettings {
            name: "elasticsearch".to_owned(),
            urls: vec!["none".to_owned()],
            auth: Auth::None,
            ca: None,
            client_certificate: None,
            bulk_bytes_max: 0,
            bulk_age_max: Duration::ZERO,
            in_flight_max: 0,
            gzip: false,
            indices_max: 0,
            timeout: Duration::ZERO,
            policy: Vec::new(),
        }],
        outputs: WINDOWED.iter().map(|one| output(one.name, Some(one))).chain([output(PLAIN, None)]).collect(),
        dead_letters: DeadLetterSettings { topic: "dead".to_owned(), percent_max: None, run_max: None, archive: None },
        checkpoint: None,
        audit: None,
        limits: LimitSettings { memory_bytes: 0, stack_bytes: 512 << 10, workers: 1 },
        reload: ReloadSettings { watch: false },
        included: Vec::new(),
    }
}
