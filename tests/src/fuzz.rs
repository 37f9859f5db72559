//! What the fuzz targets do with an input, and inputs to begin with: bytes that say they are a component, and memory that a guest
//! answers with. `tests/fuzz` runs them as long as one likes, `tests/tests/fuzz.rs` for some seconds.

mod mutate;
mod returned;
mod seeds;

use std::time::Duration;

use tidegate::plugin::{Engine, inspect_bytes};

use crate::counting::most_bytes;
pub use mutate::Mutator;
pub use returned::Returned;
pub use seeds::{inspect_seeds, returned_seeds};

/// What a component may take to start, to describe itself and to be configured.
const STEP: Duration = Duration::from_millis(50);
/// What the host may have of its own for a file that it inspects: it reads, validates and compiles it. (Only what is allocated in the
/// thread that asks.)
const INSPECT_BYTES_MAX: usize = 64 << 20;

/// What became of an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Came {
    /// It is a component, or an answer, that keeps the contract.
    Taken,
    Refused,
}

/// What `tidegate inspect` says of these bytes: something, within bounds.
pub fn inspect(engine: &Engine, bytes: &[u8]) -> Came {
    let (inspected, host_bytes) = most_bytes(|| inspect_bytes(engine, "fuzz", bytes, None, STEP));
    assert!(host_bytes <= INSPECT_BYTES_MAX + 64 * bytes.len(), "the host had {host_bytes} bytes for {}", bytes.len());
    match inspected {
        Ok(inspection) => {
            assert!(!inspection.digest.is_empty());
            Came::Taken
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            Came::Refused
        }
    }
}
