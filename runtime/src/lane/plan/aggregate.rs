//! The plan of an aggregate: its windows, when they are written, and what is read and written.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{AggregateSettings, EmitSettings, OnLate, WindowSettings};
use crate::decode::{Composer, Decoder, Reads};
use crate::lane::LaneError;
use crate::lane::metadata::hash_of;
use crate::record::{EventTime, Field, Kind, StateSchema};
use crate::sink::GivenUpBy;
use crate::window::{SessionWindows, TimeWindows, Window};

use super::{Described, PluginId, StateDescription, plan_error};

/// So often while a gap goes by it is looked whether sessions have ended: each time costs a marker.
const LOOKS_IN_GAP: u32 = 8;

pub(in crate::lane) struct AggregatePlan {
    pub output: Arc<str>,
    /// What messages and the dead letters that it causes say of it.
    pub by: Arc<GivenUpBy>,
    pub plugin: PluginId,
    pub reads: Reads,
    pub group_by: Reads,
    pub groups: Vec<String>,
    /// Where windows are sessions: when it is looked whether some have ended.
    pub windows: TimeWindows,
    pub sessions: Option<SessionWindows>,
    pub groups_max: Option<u32>,
    pub late: OnLate,
    /// For how long after its end a window still changes, by event time.
    pub update_within: Duration,
    pub emit: EmitSettings,
    /// Its windows are merged over partitions by the parts topic.
    pub merged: bool,
    pub schema: StateSchema,
    pub component: String,
    pub fingerprint: u64,
    pub emit_reads: Vec<Field>,
    /// The group's fields and the window's bounds, then what the aggregate writes.
    pub composer: Composer,
    /// The group's fields and the window's bounds alone.
    pub own_composer: Composer,
}

impl AggregatePlan {
    /// A window as ids name it: a session by its start and the gap, for its end may still move.
    pub fn named(&self, window: Window) -> Window {
        self.sessions.map_or(window, |sessions| sessions.of(window.start))
    }

    /// Windows that end by it change no more when event time is `watermark`.
    pub fn finished_by(&self, watermark: EventTime) -> EventTime {
        watermark.minus(self.update_within)
    }

    /// How many multiples of `emit.every` event time has passed; the same for all times without it, and before there is one.
    pub fn tick(&self, watermark: EventTime) -> i64 {
        match self.emit.every {
            Some(every) if watermark != EventTime::MIN => {
                let every = i64::try_from(every.as_micros()).unwrap_or(i64::MAX).max(1);
                watermark.micros().div_euclid(every)
            }
            Some(_) | None => i64::MIN,
        }
    }
}

/// The plan of one aggregate.
pub(super) fn aggregate_plan(
    decoder: &Decoder,
    output: &str,
    settings: &AggregateSettings,
    described: &Described,
) -> Result<AggregatePlan, LaneError> {
    let field = |path: &str, kind| Field { path: path.to_owned(), kind, required: false };
    let groups: Vec<Field> = settings.group_by.iter().map(|path| field(path, Kind::Json)).collect();
    let Some(StateDescription { schema, emit_reads }) = described.state.clone() else {
        return Err(LaneError::Plan("an aggregate's component does not describe its state".to_owned()));
    };
    for read in &emit_reads {
        let known =
            matches!(read.path.as_str(), "$window_start" | "$window_end") || settings.group_by.contains(&read.path);
        if !known {
            let path = &read.path;
            return Err(LaneError::Plan(format!(
                "the aggregate makes its documents with field=`{path}`, which is neither in group_by nor $window_start or \
                 $window_end"
            )));
        }
    }
    // A field of the record's own (`$key`) is written without its mark: no document's field begins with one.
    let named = |group: &Field| Field { path: group.path.trim_start_matches('$').to_owned(), ..group.clone() };
    let mut fields: Vec<Field> = groups.iter().map(named).collect();
    fields.push(field("window_start", Kind::Timestamp));
    fields.push(field("window_end", Kind::Timestamp));
    let own_composer = Composer::new(&fields).map_err(plan_error)?;
    fields.extend(described.ports.writes.iter().cloned());
    let windows = match settings.window {
        WindowSettings::Tumbling { length } => TimeWindows::tumbling(length),
        WindowSettings::Sliding { length, every } => TimeWindows::sliding(length, every),
        WindowSettings::Session { gap, .. } => TimeWindows::tumbling(gap / LOOKS_IN_GAP),
    };
    let sessions = match settings.window {
        WindowSettings::Session { gap, max } => Some(SessionWindows::new(gap, max)),
        WindowSettings::Tumbling { .. } | WindowSettings::Sliding { .. } => None,
    };
    Ok(AggregatePlan {
        output: output.into(),
        by: described.gives_up(format!("{output}.aggregate"), false),
        plugin: described.id,
        reads: decoder.reads(&described.ports.reads).map_err(plan_error)?,
        group_by: decoder.reads(&groups).map_err(plan_error)?,
        groups: settings.group_by.clone(),
        windows,
        sessions,
        groups_max: settings.groups_max,
        late: settings.late,
        update_within: settings.late.update_within(),
        emit: settings.emit,
        merged: !settings.partitioned_by_group,
        schema,
        component: described.digest.clone(),
        fingerprint: fingerprint(settings),
        emit_reads,
        composer: Composer::new(&fields).map_err(plan_error)?,
        own_composer,
    })
}

/// Of what a state is of: parts with different ones must not meet. What the plugin's own settings mean for a state is the
/// plugin's word, by the name of its state's schema.
fn fingerprint(settings: &AggregateSettings) -> u64 {
    let windows = match settings.window {
        WindowSettings::Tumbling { length } => length.as_micros().to_string(),
        WindowSettings::Sliding { length, every } => format!("{} every {}", length.as_micros(), every.as_micros()),
        WindowSettings::Session { gap, max } => format!("sessions {} {}", gap.as_micros(), max.as_micros()),
    };
    hash_of(&format!("{:?} {windows}", settings.group_by))
}
