//! The dead letter of a part that came after its window was final.

use crate::lane::format::Part;
use crate::lane::plan::Plan;
use crate::record::{EventTime, Message, Offset, Partition, Reason, ReasonKind};
use crate::sink::LatePart;

pub(super) fn dead_letter(plan: &Plan, part: &Part<'_>, offset: Offset) -> Message {
    let start = EventTime::from_micros(part.window_start_micros);
    let end = EventTime::from_micros(part.window_start_micros.saturating_add(part.window_length_micros));
    let message = format!(
        "a part of records={} at offset={offset} of the parts topic came after its window, which ended at {end}, was final",
        part.count
    );
    let late = LatePart {
        source: &Partition::new(part.topic, part.partition),
        offset: Offset(part.last_offset),
        output: part.output,
        group: part.group,
        window_start: start,
        window_end: end,
        revision: part.revision.0.into(),
        records: part.count,
        state: part.state,
    };
    plan.dead_letters.part(&late, &Reason::new(ReasonKind::LatePart, message))
}
