//! An aggregate that writes into each document which one of its call it is: so it depends on how states are cut into calls,
//! which nobody promises. It is written without the SDK, which does not show where a call begins.

wit_bindgen::generate!({ path: "../../../wit", world: "aggregate-plugin", generate_all });

use exports::tidegate::plugin::aggregate::{Accumulated, Batch, Description, Guest as Aggregate, Output, Slices, StateSchema};
use exports::tidegate::plugin::plugin::{Guest as Plugin, Identity, Ports};
use tidegate::plugin::data::{Column, Field, Kind, Values};

struct Ranker;

impl Plugin for Ranker {
    fn describe() -> Identity {
        Identity { name: "ranker".into(), version: "0.1.0".into(), settings_schema: String::new() }
    }

    fn configure(_settings: String) -> Result<Ports, String> {
        let rank = Field { path: "rank".into(), kind: Kind::Integer, required: true };
        Ok(Ports { reads: Vec::new(), writes: vec![rank] })
    }
}

impl Aggregate for Ranker {
    fn describe_state() -> Description {
        Description { state: StateSchema { name: "ranker".into(), version: 1 }, emit_reads: Vec::new() }
    }

    fn accumulate(states: Slices, _groups: Vec<u32>, _batch: Batch) -> Accumulated {
        Accumulated { states, rejected: Vec::new() }
    }

    fn merge(left: Slices, _right: Slices) -> Slices {
        left
    }

    fn emit(_states: Slices, context: Batch) -> Output {
        let rank = Column { values: Values::Integers((0..i64::from(context.rows)).collect()), present: Vec::new() };
        Output { rows: None, columns: vec![rank], rejected: Vec::new() }
    }

    fn migrate(_from: StateSchema, states: Slices) -> Result<Slices, String> {
        Ok(states)
    }
}

export!(Ranker);
