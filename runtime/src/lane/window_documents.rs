//! The documents of windows: group, bounds, and what the aggregate makes of a state.

use crate::config::TimestampUnit;
use crate::decode::column_of_json;
use crate::plugin::Aggregate;
use crate::record::{
    Batch, Column, DocumentBatch, EventTime, Partition, Reason, RejectedDocument, Rejection, Slices, Values,
};
use crate::window::Window;

use super::index::NameCache;
use super::plan::{AggregatePlan, OutputPlan};
use super::{LaneError, group, id};

/// So many states go to the aggregate at once.
pub(super) const STATES_MAX: usize = 4096;

/// Groups of windows that are due, with a state and a version for each.
pub(super) struct Due<'a> {
    pub windows: Vec<Window>,
    /// The lane's own partition, where the window is not merged over partitions.
    pub of: Option<&'a Partition>,
    pub keys: Vec<&'a [u8]>,
    pub states: Slices,
    /// Groups whose states could not be merged.
    pub broken: Vec<Rejection>,
    pub versions: Vec<u64>,
}

/// Appends the documents of these groups; a state that the aggregate rejects, or that is not whole, comes back as a document
/// refused.
pub(super) fn emit(
    output: &OutputPlan,
    plan: &AggregatePlan,
    due: &Due<'_>,
    aggregate: &mut dyn Aggregate,
    names: &mut NameCache,
    documents: &mut DocumentBatch,
) -> Result<Vec<RejectedDocument>, LaneError> {
    documents.write_with(&output.options);
    let groups = due.keys.len();
    let own = own_columns(plan, due);
    let context = Batch { rows: groups as u32, columns: context(plan, &own, groups)? };
    let failed = |error| LaneError::Call { plugin: plan.by.plugin.clone(), error };
    let mut emitted = aggregate.emit(&due.states, &context).map_err(failed)?;
    if !due.broken.is_empty() {
        emitted.rejected.retain(|one| !due.broken.iter().any(|broken| broken.row == one.row));
        emitted.rejected.extend(due.broken.iter().cloned());
    }
    let mut index = |group: usize| {
        output.index.name(&Batch::default(), 0, due.windows[group].start, names).map_err(LaneError::Plan)
    };

    let mut rejected_rows: Vec<u32> = emitted.rejected.iter().map(|rejection| rejection.row).collect();
    rejected_rows.sort_unstable();
    let rows: Vec<u32> = match emitted.rows {
        Some(rows) => rows,
        None => (0..groups as u32).collect(),
    };
    let own_in_order: Vec<Column> = own.iter().map(|column| column.take(&rows)).collect();
    let columns: Vec<&Column> = own_in_order.iter().chain(&emitted.columns).collect();
    let (mut id_text, mut ordinal) = (String::new(), 0);
    let mut refused: Vec<(usize, Reason)> = Vec::new();
    let mut body = Vec::new();
    for (row, group) in rows.iter().enumerate().filter(|(_, group)| rejected_rows.binary_search(group).is_err()) {
        ordinal = if row > 0 && rows[row - 1] == *group { ordinal + 1 } else { 0 };
        let group = *group as usize;
        body.clear();
        if let Err(reason) = plan.composer.write(&columns, row, &mut body) {
            refused.push((group, reason));
            continue;
        }
        id::window_id(&output.name, plan.named(due.windows[group]), due.of, due.keys[group], ordinal, &mut id_text);
        documents.push(&index(group)?, &id_text, due.versions[group], |bytes| bytes.extend_from_slice(&body));
    }
    let rejections = emitted.rejected.into_iter();
    refused.extend(rejections.map(|one| (one.row as usize, one.reason)));
    let own: Vec<&Column> = own.iter().collect();
    let letter = |(group, reason): (usize, Reason)| {
        id::window_id(&output.name, plan.named(due.windows[group]), due.of, due.keys[group], 0, &mut id_text);
        let mut body = Vec::new();
        if plan.own_composer.write(&own, group, &mut body).is_err() {
            body.clear(); // a group's own fields are JSON already
        }
        let (status, error_type) = (None, String::new());
        let index = index(group)?.to_string();
        let version = Some(due.versions[group]);
        Ok(RejectedDocument {
            row: 0,
            reason,
            status,
            error_type,
            index,
            id: id_text.clone(),
            version,
            body,
            is_dropped: false,
        })
    };
    refused.into_iter().map(letter).collect()
}

/// What the host writes into each document: the group's fields as JSON, then the window's start and end.
fn own_columns(plan: &AggregatePlan, due: &Due<'_>) -> Vec<Column> {
    let mut groups: Vec<Slices> = plan.groups.iter().map(|_| Slices::default()).collect();
    for key in &due.keys {
        let mut values = group::values(key);
        for column in &mut groups {
            let value = values.next().unwrap_or(group::Value::Null);
            column.push_with(|json| group::write_json(value, json));
        }
    }
    let bound = |of: fn(&Window) -> EventTime| {
        let micros = due.windows.iter().map(|window| of(window).micros()).collect();
        Column { values: Values::Integers(micros), present: Vec::new() }
    };
    let mut columns: Vec<Column> =
        groups.into_iter().map(|json| Column { values: Values::Slices(json), present: Vec::new() }).collect();
    columns.extend([bound(|window| window.start), bound(|window| window.end)]);
    columns
}

/// The columns that the aggregate asked for with `emit-reads`.
fn context(plan: &AggregatePlan, own: &[Column], groups: usize) -> Result<Vec<Column>, LaneError> {
    let bounds = plan.groups.len();
    let mut columns = Vec::new();
    for field in &plan.emit_reads {
        let place = match field.path.as_str() {
            "$window_start" => bounds,
            "$window_end" => bounds + 1,
            path => plan.groups.iter().position(|group| group == path).unwrap_or(bounds),
        };
        let json: Vec<Option<Vec<u8>>> = (0..groups).map(|row| json_of(&own[place], row)).collect();
        let unit = if place >= bounds { TimestampUnit::Microseconds } else { TimestampUnit::Auto };
        let values = json.iter().map(|json| json.as_deref().filter(|json| *json != b"null"));
        let column = column_of_json(values, field.kind, unit).map_err(|(_, what)| LaneError::State {
            plugin: plan.by.plugin.clone(),
            what: format!("a group's field=`{}` cannot be read as {}: {what}", field.path, field.kind.name()),
        })?;
        columns.push(column);
    }
    Ok(columns)
}

fn json_of(column: &Column, row: usize) -> Option<Vec<u8>> {
    match &column.values {
        Values::Slices(json) => Some(json.get(row).to_vec()),
        Values::Integers(micros) => Some(micros[row].to_string().into_bytes()),
        Values::Presence | Values::Booleans(_) | Values::Floats(_) => None,
    }
}
