//! What a pipeline file says of a plugin, wherever it names one: its file, its settings, its limits, what follows when it breaks.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::secret::Secret;

/// `plugin`, `settings`, `limits`, `on_trap` and `on_breaker`: a component, what it is configured with, what it may take, and
/// what becomes of records on which it breaks, in `[[transform]]`, `[[output.transform]]` and `[output.aggregate]`.
#[derive(Clone, PartialEq, Eq)]
pub struct PluginSettings {
    /// The component's file, looked up in the plugin directory.
    /// Key: `plugin`.
    /// Value: a path. Required.
    pub file: PathBuf,
    /// Given to the component as JSON. A string `"@NAME"` stands for the text of a file beside the pipeline file (at
    /// most 64 MiB, UTF-8); `"@@NAME"` is the string `@NAME`. A date or time becomes a string.
    /// Value: a table. Default: empty.
    pub settings: String,
    /// What `${…}` in the settings stood for: the component's words are shown without it.
    pub secrets: Vec<Secret>,
    /// What each of its instances may take: `{ deadline = "500ms", memory = "128MiB" }`. Each worker has an instance of its own.
    /// Value: a table, whose keys are below. Default: what is said there.
    pub limits: PluginLimits,
    /// What becomes of a record on which the component traps, does not come back in time, or breaks its contract; the other
    /// records of the batch go on. `pass` is for filters: the record goes on unjudged. `stop`: the pipeline stops, and
    /// nothing is lost.
    /// Value: `dead-letter`, `pass` or `stop`. Default: `dead-letter`.
    pub on_trap: OnTrap,
    /// What happens when it breaks on more than half of 1,000 records, which are no single records any more. `stop` ends the
    /// program with exit code 7. `stall`: it stays up, holds its positions, and waits for a better component.
    /// Value: `stop` or `stall`. Default: `stop`.
    pub on_breaker: OnBreaker,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnTrap {
    DeadLetter,
    Pass,
    Stop,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnBreaker {
    Stop,
    Stall,
    /// In a replay, where all that comes has broken before.
    GoOn,
}

/// Without the settings, in which a secret may be.
impl fmt::Debug for PluginSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginSettings").field("file", &self.file).finish_non_exhaustive()
    }
}

/// `limits` of a plugin: what each of its instances may take. What happens beyond is in [limits.md](limits.md).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PluginLimits {
    /// CPU time for a batch. A thousand times what a batch takes as a rule, so that a slow machine harms nobody.
    /// Value: a duration from 10ms to 1m. Default: `1s`.
    pub deadline: Duration,
    /// Its linear memories together. Enough for an interpreter and a batch.
    /// Key: `memory`.
    /// Value: a size from 1MiB to 4GiB. Default: `64MiB`.
    pub memory_bytes_max: usize,
    /// An instance whose memory has grown to this makes room for a fresh one between two batches: memory never shrinks,
    /// and one that leaks would break on innocent records some day.
    /// Key: `retire_at`.
    /// Value: a size from 1MiB to 4GiB. Default: three quarters of `memory`.
    pub retire_at_bytes: usize,
    /// What it may give back for a batch, or hand over to the log at once. It is refused before it is copied.
    /// Key: `output`.
    /// Value: a size from 64KiB to 1GiB. Default: `16MiB`.
    pub output_bytes_max: usize,
    /// The state of a group in a window. A record that would make it larger is rejected.
    /// Key: `state`.
    /// Value: a size from 1KiB to 512KiB. Default: `64KiB`.
    pub state_bytes_max: usize,
    /// Tables in the component.
    /// Key: `tables`.
    /// Value: 1 to 10000. Default: 128.
    pub tables_max: usize,
    /// Core instances in the component; one of an interpreter has some dozens.
    /// Key: `instances`.
    /// Value: 1 to 10000. Default: 512.
    pub instances_max: usize,
    /// Lines that it may log in a second; the others are counted.
    /// Key: `log_lines`.
    /// Value: 0 to 100000. Default: 100.
    pub log_lines_max: usize,
}

impl Default for PluginLimits {
    fn default() -> Self {
        let memory_bytes_max = 64 << 20;
        PluginLimits {
            deadline: Duration::from_secs(1),
            memory_bytes_max,
            retire_at_bytes: PluginLimits::retire_at(memory_bytes_max),
            output_bytes_max: 16 << 20,
            state_bytes_max: 64 << 10,
            tables_max: 128,
            instances_max: 512,
            log_lines_max: 100,
        }
    }
}

impl PluginLimits {
    /// Where an instance that may have so much memory is replaced, unless the file says otherwise.
    pub fn retire_at(memory_bytes_max: usize) -> usize {
        memory_bytes_max / 4 * 3
    }
}
