//! Counts, as version 2, which knows how many records version 1 had counted: those of a state that is migrated twice, or folded
//! twice, do not add up any more.

use serde::{Deserialize, Serialize};
use tidegate_sdk::{Aggregate, Fields, OldState, Reject, Window, aggregate};

#[derive(Fields)]
struct Counted {
    records: u64,
    before: u64,
}

#[derive(Default, Serialize, Deserialize)]
struct Tally {
    before: u64,
    since: u64,
}

#[derive(Deserialize)]
struct First {
    records: u64,
}

#[aggregate(state = 2)]
impl Aggregate for Tally {
    type Row<'a> = ();
    type Out = Counted;

    fn add(&mut self, (): ()) -> Result<(), Reject> {
        self.since += 1;
        Ok(())
    }

    fn merge(&mut self, later: Self) {
        self.before += later.before;
        self.since += later.since;
    }

    fn emit(&self, _window: &Window) -> Vec<Counted> {
        vec![Counted { records: self.before + self.since, before: self.before }]
    }

    fn migrate(state: OldState<'_>) -> Result<Self, String> {
        let First { records } = state.read()?;
        Ok(Tally { before: records, since: 0 })
    }
}
