//! Aggregates under test: folded at once, and in every split, which must come to the same.

use std::marker::PhantomData;

use serde_json::{Map, Value};

use super::{Plugin, Ports, Verdict, columns, readable, record};
use crate::aggregate::{AggregateGlue, emit_reads, encode};
use crate::bindings::data::Slices;
use crate::configured::Configured;

/// What an aggregate made of the records.
#[derive(Clone, PartialEq, Debug)]
pub struct Folded {
    /// The fields of the window's documents.
    pub documents: Vec<Value>,
    /// The number of each rejected record, and why.
    pub rejected: Vec<(usize, String)>,
}

pub(super) struct AggregateTest<P>(PhantomData<P>);

impl<P> AggregateTest<P> {
    pub(super) fn new() -> Self {
        AggregateTest(PhantomData)
    }
}

const WINDOW_MICROS: i64 = 60_000_000;

impl<P: AggregateGlue> Plugin for AggregateTest<P> {
    type Report = Folded;

    fn ports(self, settings: &str) -> Result<Ports, String> {
        Configured::<P>::aggregate_plugin(settings).map(|configured| Ports::of(&configured))
    }

    fn run(self, settings: &str, records: &[Value]) -> Result<Folded, String> {
        let configured = Configured::<P>::aggregate_plugin(settings)?;
        let (_, rows, verdicts) = readable(configured.reads.fields(), records);
        let mut rejected: Vec<(usize, String)> = verdicts
            .into_iter()
            .enumerate()
            .filter_map(|(index, verdict)| match verdict {
                Verdict::Rejected(reason) => Some((index, reason)),
                Verdict::Passed(_) | Verdict::Split(_) | Verdict::Dropped => None,
            })
            .collect();

        let fold = Fold { configured: &configured, records };
        let (state, refused) = fold.add(&new_group(), &rows);
        rejected.extend(refused);
        rejected.sort();
        let documents = fold.emit(&state);
        fold.try_one_by_one(&rows, &documents);
        for split in 1..rows.len() {
            fold.try_split(&rows, split, &documents);
        }
        Ok(Folded { documents, rejected })
    }

    fn migrate(self, settings: &str, version: u32, state: &[u8]) -> Result<Vec<Value>, String> {
        let configured = Configured::<P>::aggregate_plugin(settings)?;
        let states = Slices { offsets: vec![0, state.len() as u32], bytes: state.to_vec() };
        let states = configured.migrate(P::STATE_NAME, version, &states)?;
        Ok(Fold { configured: &configured, records: &[] }.emit(&states))
    }
}

fn new_group() -> Slices {
    Slices { offsets: vec![0, 0], bytes: Vec::new() }
}

struct Fold<'a, P> {
    configured: &'a Configured<P>,
    records: &'a [Value],
}

impl<P: AggregateGlue> Fold<'_, P> {
    fn add(&self, state: &Slices, rows: &[usize]) -> (Slices, Vec<(usize, String)>) {
        let batch = columns::batch(self.configured.reads.fields(), self.records, rows);
        let groups = vec![0; rows.len()];
        let (state, rejected) = self.configured.accumulate(state, &groups, &batch);
        let rejected = rejected.into_iter().map(|rejection| (rows[rejection.row as usize], rejection.reason));
        (state, rejected.collect())
    }

    fn emit(&self, state: &Slices) -> Vec<Value> {
        let window = serde_json::json!({
            "$window_start": crate::Timestamp::from_micros(0).to_string(),
            "$window_end": crate::Timestamp::from_micros(WINDOW_MICROS).to_string(),
        });
        let context = columns::batch(&emit_reads(), &[window], &[0]);
        let output = self.configured.emit(state, &context);
        if let Some(rejection) = output.rejected.first() {
            panic!("`emit` rejected the state: {}", rejection.reason);
        }
        let documents = output.rows.map_or(1, |rows| rows.len());
        let fields = self.configured.writes.fields();
        let document = |position| {
            let empty = Value::Object(Map::new());
            record::write(&empty, fields, &output.columns, position)
                .unwrap_or_else(|reason| panic!("`emit` gave what cannot be written: {reason}"))
        };
        (0..documents).map(document).collect()
    }

    /// Batches of one record, the state kept as bytes in between.
    fn try_one_by_one(&self, rows: &[usize], expected: &[Value]) {
        let mut state = encode(std::iter::once(P::State::default()));
        for row in rows {
            let (after, rejected) = self.add(&state, std::slice::from_ref(row));
            if !rejected.is_empty() && after != state {
                panic!(
                    "record {row} was rejected, but it changed the state: return the error before `self` is changed"
                );
            }
            state = after;
        }
        self.check(&state, expected, "are added one by one");
    }

    fn try_split(&self, rows: &[usize], split: usize, expected: &[Value]) {
        let (earlier, later) = rows.split_at(split);
        let (earlier, _) = self.add(&new_group(), earlier);
        let (later, _) = self.add(&new_group(), later);
        let merged = self.configured.merge(&earlier, &later);
        self.check(&merged, expected, &format!("are split before record {}, and merged", rows[split]));
    }

    fn check(&self, state: &Slices, expected: &[Value], how: &str) {
        let got = self.emit(state);
        let same = got.len() == expected.len() && got.iter().zip(expected).all(|(got, expected)| alike(got, expected));
        assert!(same, "other documents come out when the records {how}:\n  at once: {expected:?}\n  so:      {got:?}");
    }
}

/// Equal, up to the rounding of floats.
fn alike(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
            _ => false,
        },
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, value)| b.get(name).is_some_and(|other| alike(value, other)))
        }
        (left, right) => left == right,
    }
}
