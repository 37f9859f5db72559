//! A filter that keeps the first record of each batch: so it depends on how records are cut into batches, which nobody
//! promises. It is written without the SDK, which does not show where a batch begins.

wit_bindgen::generate!({ path: "../../../wit", world: "filter-plugin", generate_all });

use exports::tidegate::plugin::filter::{Batch, Guest as Filter, Verdicts};
use exports::tidegate::plugin::plugin::{Guest as Plugin, Identity, Ports};

struct Firsts;

impl Plugin for Firsts {
    fn describe() -> Identity {
        Identity { name: "firsts".into(), version: "0.1.0".into(), settings_schema: String::new() }
    }

    fn configure(_settings: String) -> Result<Ports, String> {
        Ok(Ports { reads: Vec::new(), writes: Vec::new() })
    }
}

impl Filter for Firsts {
    fn filter(batch: Batch) -> Verdicts {
        Verdicts { keep: (0..batch.rows).map(|row| u8::from(row == 0)).collect(), rejected: Vec::new() }
    }
}

export!(Firsts);
