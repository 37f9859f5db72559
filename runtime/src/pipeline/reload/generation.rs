//! Generations: the versions that a place of the pipeline file has seen, and how far each came.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::pipeline::components::Deployed;

/// How far a generation has come. Each step follows the one before it; from each of them but the last it may be refused.
///
/// ```text
/// seen ─▶ compiled ─▶ validated ─▶ rehearsed ─▶ shadowed ─▶ probation ─▶ settled
///   └─────────┴───────────┴────────────┴───────────┴─▶ refused  └─▶ rolled back
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Its component's file or its settings have changed.
    Seen,
    Compiled,
    /// Its interfaces are ours, it accepts its settings, and the pipeline fits together with it.
    Validated,
    /// It has taken over a copy of the states of the open windows.
    Rehearsed,
    /// It has served the last live batches beside the generation before; what it gave was thrown away.
    Shadowed,
    /// It serves; what it does takes effect when it has proved itself.
    Probation,
    Settled,
    /// It served on probation, or was settled, and the generation before serves again.
    RolledBack,
    Refused,
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Stage::Seen => "seen",
            Stage::Compiled => "compiled",
            Stage::Validated => "validated",
            Stage::Rehearsed => "rehearsed",
            Stage::Shadowed => "shadowed",
            Stage::Probation => "probation",
            Stage::Settled => "settled",
            Stage::RolledBack => "rolled back",
            Stage::Refused => "refused",
        }
    }
}

/// A component with its settings, at one place of the pipeline file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub struct Generation {
    /// From 1, counted at this place since the process began.
    pub number: u64,
    /// BLAKE3 of the component's bytes, in hexadecimal; empty where the file could not be read.
    pub digest: String,
    /// What the component says of itself; empty where it was not asked.
    pub version: String,
    pub stage: Stage,
    /// Why it was refused or rolled back.
    pub why: Option<String>,
    /// When it came to this stage, RFC 3339 in UTC.
    pub at: String,
}

impl Generation {
    pub(super) fn settled(deployed: &Deployed) -> Self {
        let mut generation =
            Generation::seen(deployed.generation, deployed.plugin.component().digest().to_hex().to_string());
        generation.version.clone_from(&deployed.plugin.component().identity().version);
        generation.reach(Stage::Settled, None);
        generation
    }

    pub(super) fn seen(number: u64, digest: String) -> Self {
        Generation { number, digest, version: String::new(), stage: Stage::Seen, why: None, at: now() }
    }

    pub(super) fn reach(&mut self, stage: Stage, why: Option<String>) {
        (self.stage, self.why, self.at) = (stage, why, now());
    }
}

fn now() -> String {
    format!("{:.0}", Timestamp::now())
}
