//! Adds up what the components of a pipeline take of its memory.

use super::Problem;
use super::components::Plugins;
use crate::cli::columns::count;
use crate::config::{PipelineSettings, Places, show_size};
use crate::pipeline::engine_settings;

/// A line that says it, and what is wrong where not even fresh instances fit.
pub(super) fn check(settings: &PipelineSettings, plugins: &Plugins, places: &Places) -> (String, Option<Problem>) {
    let share = engine_settings(settings).memory_bytes_max;
    let (mut first, mut most, mut number) = (0usize, 0usize, 0u64);
    for (plugin, settings) in plugins.all(settings) {
        let begins = usize::try_from(plugin.usage().read().memory_bytes_most).unwrap_or(usize::MAX);
        first = first.saturating_add(begins);
        most = most.saturating_add(settings.limits.memory_bytes_max);
        number += 1;
    }
    if number == 0 {
        return (String::new(), None);
    }
    let workers = settings.limits.workers;
    let (first, most) = (first.saturating_mul(workers), most.saturating_mul(workers));
    let line = format!(
        "memory of components: {} by {}, {} when they start, {} by their limits, {} at most by [limits] memory\n",
        count(number, "plugin"),
        count(workers as u64, "worker"),
        show_size(first),
        show_size(most),
        show_size(share.min(most)),
    );
    let problem = (first > share).then(|| {
        let message = format!(
            "the components of workers=`{workers}` have {} of memory when they start, and [limits] memory leaves {} for them",
            show_size(first),
            show_size(share)
        );
        let hint = format!("have fewer `workers`, or at least {} for `memory`", show_size((first / 3 + 1) * 8));
        Problem::config(places.error("limits.memory", message, Some(hint)))
    });
    (line, problem)
}
