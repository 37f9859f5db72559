//! An aggregate that numbers its documents, and keeps the number where the runtime does not know of it.

use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};
use tidegate_sdk::{Aggregate, Fields, Reject, Window, aggregate};

static DOCUMENTS: AtomicU32 = AtomicU32::new(0);

#[derive(Fields)]
struct Numbered {
    number: u32,
}

#[derive(Default, Serialize, Deserialize)]
struct Nothing;

#[aggregate(state = 1)]
impl Aggregate for Nothing {
    type Row<'a> = ();
    type Out = Numbered;

    fn add(&mut self, (): ()) -> Result<(), Reject> {
        Ok(())
    }

    fn merge(&mut self, _later: Self) {}

    fn emit(&self, _window: &Window) -> Vec<Numbered> {
        vec![Numbered { number: DOCUMENTS.fetch_add(1, Ordering::Relaxed) }]
    }
}
