//! Answers made of an input, for each function of each kind of component: they keep the contract or are refused, within bounds.

use tidegate::config::{OnBreaker, OnTrap, PluginLimits, PluginSettings};
use tidegate::plugin::{Aggregate, CallError, Component, Engine, Enrich, Filter, Instance, Plugin};
use tidegate::record::{
    Accumulated, Batch, Column, Output, ReasonKind, Rejection, Slices, StateSchema, Values, Verdicts,
};

use super::Came;
use crate::counting::most_bytes;
use crate::puppet::{Deed, Puppet, Script, When};

const OUTPUT_BYTES_MAX: usize = 1 << 20;
const STATE_BYTES_MAX: usize = 1 << 10;
/// What the host may have of its own for a call: what came, and what it makes of that.
const HOST_BYTES_MAX: usize = 6 * OUTPUT_BYTES_MAX;
/// An input's first three bytes: the function, how many rows or states there are, and where in the rest the answer begins, in words.
const HEAD: usize = 3;
const IMAGE_BYTES_MAX: usize = 64 << 10;

/// The puppets, to be asked again and again.
pub struct Returned {
    filter: Puppeteer<Box<dyn Filter>>,
    enrich: Puppeteer<Box<dyn Enrich>>,
    aggregate: Puppeteer<Box<dyn Aggregate>>,
}

struct Puppeteer<I> {
    plugin: Plugin,
    instance: I,
    make: fn(&Plugin) -> I,
}

impl<I> Puppeteer<I> {
    fn new(engine: &Engine, puppet: Puppet, make: fn(&Plugin) -> I) -> Self {
        let component = Component::from_bytes(engine, "puppet", &puppet.build()).expect("it is a component");
        let limits = PluginLimits {
            memory_bytes_max: 8 << 20,
            retire_at_bytes: 6 << 20,
            output_bytes_max: OUTPUT_BYTES_MAX,
            state_bytes_max: STATE_BYTES_MAX,
            ..PluginLimits::default()
        };
        let settings = PluginSettings {
            file: "puppet.wasm".into(),
            settings: "{}".into(),
            secrets: Vec::new(),
            limits,
            on_trap: OnTrap::DeadLetter,
            on_breaker: OnBreaker::Stop,
        };
        let plugin = component.plugin(&settings).expect("it is configured");
        Puppeteer { instance: make(&plugin), plugin, make }
    }

    /// Calls the instance; one whose breaker has had enough is replaced.
    fn call<T>(&mut self, call: impl FnOnce(&mut I) -> Result<T, CallError>) -> Option<T> {
        let (came, host_bytes) = most_bytes(|| call(&mut self.instance));
        assert!(host_bytes <= HOST_BYTES_MAX, "the host had {host_bytes} bytes");
        match came {
            Ok(came) => Some(came),
            Err(CallError::Trap(_) | CallError::Contract(_) | CallError::Deadline { .. }) => None,
            Err(CallError::Failing { .. }) => {
                self.instance = (self.make)(&self.plugin);
                None
            }
            Err(error @ (CallError::Start(_) | CallError::Crowded { .. })) => panic!("{error}"),
        }
    }
}

impl Returned {
    pub fn new(engine: &Engine) -> Self {
        let filter = |plugin: &Plugin| match plugin.instantiate() {
            Ok(Instance::Filter(filter)) => filter,
            other => panic!("{other:?}"),
        };
        let enrich = |plugin: &Plugin| match plugin.instantiate() {
            Ok(Instance::Enrich(enrich)) => enrich,
            other => panic!("{other:?}"),
        };
        let aggregate = |plugin: &Plugin| match plugin.instantiate() {
            Ok(Instance::Aggregate(aggregate)) => aggregate,
            other => panic!("{other:?}"),
        };
        Returned {
            filter: Puppeteer::new(engine, Puppet::filter(), filter),
            enrich: Puppeteer::new(engine, Puppet::enrich(), enrich),
            aggregate: Puppeteer::new(engine, Puppet::aggregate(), aggregate),
        }
    }

    /// Makes a puppet answer with the input, for the first of some rows.
    pub fn answer(&mut self, input: &[u8]) -> Came {
        let (Some(head), Some(image)) = (input.get(..HEAD), input.get(HEAD..)) else { return Came::Refused };
        let image = &image[..image.len().min(IMAGE_BYTES_MAX)];
        let rows = u32::from(head[1] % 3) + 1;
        let script = Script::raw(image).answered_after(u32::from(head[2]) * 4);
        let taken = match head[0] % 6 {
            0 => self.filter.call(|it| it.filter(&keys(&script, rows))).is_some_and(|came| verdicts(&came, rows)),
            1 => self.enrich.call(|it| it.enrich(&keys(&script, rows))).is_some_and(|came| output(&came, rows, 7)),
            2 => {
                let before = states(&Script::does(Deed::Answer), 2);
                let groups: Vec<u32> = (0..rows).map(|row| row % 2).collect();
                let call = |it: &mut Box<dyn Aggregate>| it.accumulate(&before, &groups, &keys(&script, rows));
                self.aggregate.call(call).is_some_and(|came| folded(&came, 2, rows))
            }
            3 => {
                let (left, right) = (states(&script.at(When::Merge), rows), states(&Script::does(Deed::Answer), rows));
                let large = left.iter().any(|state| state.len() > STATE_BYTES_MAX);
                let merged = self.aggregate.call(|it| it.merge(&left, &right));
                merged.is_some_and(|came| large || folded(&came, rows as usize, rows))
            }
            4 => {
                let context = Batch { rows, columns: Vec::new() };
                let states = states(&script.at(When::Emit), rows);
                self.aggregate.call(|it| it.emit(&states, &context)).is_some_and(|came| output(&came, rows, 1))
            }
            _ => {
                let schema = StateSchema { name: "puppet".into(), version: 0 };
                let states = states(&script.at(When::Migrate), rows);
                let came = self.aggregate.call(|it| it.migrate(&schema, &states));
                came.is_some_and(|came| came.is_ok_and(|came| are_states(&came, rows as usize)))
            }
        };
        if taken { Came::Taken } else { Came::Refused }
    }
}

/// The script is the first row's key.
fn keys(script: &Script, rows: u32) -> Batch {
    let script = script.to_bytes();
    let keys: Slices = (0..rows).map(|row| if row == 0 { script.as_slice() } else { &[] }).collect();
    let present = (0..rows).map(|row| u8::from(row == 0)).collect();
    Batch { rows, columns: vec![Column { values: Values::Slices(keys), present }] }
}

/// The script is in the first state.
fn states(script: &Script, count: u32) -> Slices {
    let mut first = vec![0; 8];
    first.extend(script.to_bytes());
    (0..count).map(|row| if row == 0 { first.clone() } else { vec![1, 0, 0, 0, 0, 0, 0, 0] }).collect()
}

/// Whether none of the rows broke the call; what is said of them holds in any case.
fn whole(rejected: &[Rejection], rows: u32) -> bool {
    assert!(rejected.is_sorted_by(|one, other| one.row < other.row), "each row once, in order");
    assert!(rejected.iter().all(|one| one.row < rows && one.reason.message.len() <= 1024));
    let broke = [ReasonKind::Trap, ReasonKind::Deadline, ReasonKind::Contract];
    !rejected.iter().any(|one| broke.contains(&one.reason.kind))
}

fn verdicts(came: &Verdicts, rows: u32) -> bool {
    assert_eq!(came.keep.len(), rows as usize);
    assert!(came.rejected.iter().all(|one| came.keep[one.row as usize] == 0));
    whole(&came.rejected, rows)
}

fn output(came: &Output, rows: u32, columns: usize) -> bool {
    let count = came.rows.as_ref().map_or(rows as usize, Vec::len);
    if let Some(from) = &came.rows {
        assert!(from.is_sorted() && from.iter().all(|row| *row < rows));
        assert!(came.rejected.iter().all(|one| !from.contains(&one.row)));
    }
    assert_eq!(came.columns.len(), columns);
    for Column { values, present } in &came.columns {
        assert!(present.is_empty() || present.len() == count);
        let len = match values {
            Values::Presence => count,
            Values::Booleans(values) => {
                assert!(values.iter().all(|value| *value <= 1));
                values.len()
            }
            Values::Integers(values) => values.len(),
            Values::Floats(values) => values.len(),
            Values::Slices(values) => {
                assert!(are_states(values, values.len()));
                values.len()
            }
        };
        assert_eq!(len, count);
    }
    whole(&came.rejected, rows)
}

fn folded(came: &Accumulated, count: usize, rows: u32) -> bool {
    assert!(are_states(&came.states, count));
    assert!(came.states.iter().all(|state| state.len() <= STATE_BYTES_MAX), "a state stays within its limit");
    whole(&came.rejected, rows)
}

/// Each value is within the bytes.
fn are_states(states: &Slices, count: usize) -> bool {
    assert_eq!(states.iter().map(<[u8]>::len).sum::<usize>(), states.bytes.len());
    states.len() == count
}
