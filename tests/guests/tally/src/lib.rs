//! Counts, as version 1.

use serde::{Deserialize, Serialize};
use tidegate_sdk::{Aggregate, Fields, Reject, Window, aggregate};

#[derive(Fields)]
struct Counted {
    records: u64,
}

#[derive(Default, Serialize, Deserialize)]
struct Tally {
    records: u64,
}

#[aggregate(state = 1)]
impl Aggregate for Tally {
    type Row<'a> = ();
    type Out = Counted;

    fn add(&mut self, (): ()) -> Result<(), Reject> {
        self.records += 1;
        Ok(())
    }

    fn merge(&mut self, later: Self) {
        self.records += later.records;
    }

    fn emit(&self, _window: &Window) -> Vec<Counted> {
        vec![Counted { records: self.records }]
    }
}
