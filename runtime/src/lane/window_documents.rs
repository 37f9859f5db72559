//! The documents of windows: group, bounds, and what the aggregate makes of a state.

use crate::config::TimestampUnit;
use crate::decode::column_of_json;
use crate::plugin::Aggregate;
use crate::record::{
    Batch, Column, DocumentBatch, EventTime, Partition, Reason, ReasonKind, RejectedDocument, Rejection, Slices, Values,
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

/// Appends the documents of these groups; a state that the aggregate rejects, or that is not whole, and a window whose index cannot
/// be named, come back as a document refused.
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
    let mut index = |group: usize| output.index.name(&Batch::default(), 0, due.windows[group].start, names);

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
        let named = index(group).map_err(|message| Reason::new(ReasonKind::Document, message));
        let index = match plan.composer.write(&columns, row, &mut body).and(named) {
            Ok(index) => index,
            Err(reason) => {
                refused.push((group, reason));
                continue;
            }
        };
        id::window_id(&output.name, plan.named(due.windows[group]), due.of, due.keys[group], ordinal, &mut id_text);
        documents.push(&index, &id_text, due.versions[group], |bytes| bytes.extend_from_slice(&body));
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
        let (status, attempts, error_type) = (None, 0, String::new());
        // Empty where none can be named.
        let index = index(group).map_or_else(|_| String::new(), |index| index.to_string());
        let version = Some(due.versions[group]);
        RejectedDocument {
            row: 0,
            reason,
            status,
            attempts,
            error_type,
            index,
            id: id_text.clone(),
            version,
            body,
            is_dropped: false,
        }
    };
    Ok(refused.into_iter().map(letter).collect())
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::PipelineSettings;
    use crate::lane::{Components, Described, OutputComponents, Plan, StateDescription, Topology};
    use crate::plugin::CallError;
    use crate::record::{Accumulated, Output, StateSchema};

    /// Adds nothing to what the host writes.
    struct Nothing;

    impl Aggregate for Nothing {
        fn accumulate(&mut self, _: &Slices, _: &[u32], _: &Batch) -> Result<Accumulated, CallError> {
            unreachable!("windows have ended")
        }

        fn merge(&mut self, _: &Slices, _: &Slices) -> Result<Accumulated, CallError> {
            unreachable!("windows have ended")
        }

        fn emit(&mut self, _: &Slices, _: &Batch) -> Result<Output, CallError> {
            Ok(Output::default())
        }

        fn migrate(&mut self, _: &StateSchema, _: &Slices) -> Result<Result<Slices, String>, CallError> {
            unreachable!("windows have ended")
        }
    }

    fn plan(index: &str) -> Plan {
        let file = format!(
            "name = \"p\"\n[source.kafka]\nbrokers = \"b\"\ntopics = [\"t\"]\n[watermark]\nout_of_order = \"1m\"\n\
             [sink.elasticsearch]\nurls = [\"http://e\"]\n[[output]]\nname = \"counts\"\nindex = \"{index}\"\n\
             [output.aggregate]\nplugin = \"count.wasm\"\nwindow = {{ tumbling = \"1m\" }}"
        );
        let parsed = PipelineSettings::parse(&file, Path::new("p.toml"), &|_| None, None);
        let (settings, _) = parsed.unwrap_or_else(|errors| panic!("{errors}"));
        let schema = StateSchema { name: "count".to_owned(), version: 1 };
        let state = Some(StateDescription { schema, emit_reads: Vec::new() });
        let aggregate = Some(Described { state, ..Described::default() });
        let outputs = vec![OutputComponents { transforms: Vec::new(), aggregate }];
        let components = Components { transforms: Vec::new(), outputs };
        Plan::new(&settings, &components, Topology::default()).expect("a plan")
    }

    /// Seconds since 1970 have a sign before it, and no index's name begins with one.
    #[test]
    fn a_window_whose_index_cannot_be_named_is_refused_and_the_others_are_written() {
        let plan = plan("{window_start:%s}-counts");
        let output = &plan.outputs[0];
        let aggregate = output.aggregate.as_ref().expect("it has one");
        let due = Due {
            windows: [-60_000_000, 0].map(|start| aggregate.windows.starting_at(EventTime::from_micros(start))).into(),
            of: None,
            keys: vec![&b""[..], b""],
            states: [b"a", b"b"].into_iter().collect(),
            broken: Vec::new(),
            versions: vec![7, 8],
        };
        let mut documents = DocumentBatch::default();
        let refused = emit(output, aggregate, &due, &mut Nothing, &mut NameCache::default(), &mut documents);
        let refused = refused.expect("nothing stops the lane");
        let written: Vec<_> = documents.iter().map(|document| (document.index, document.version)).collect();
        assert_eq!(written, [("0-counts", Some(8))]);
        let [one] = refused.as_slice() else { panic!("{refused:?}") };
        assert_eq!((one.reason.kind, one.index.as_str(), one.version), (ReasonKind::Document, "", Some(7)));
        assert!(one.reason.message.contains("name=`-60-counts`"), "{}", one.reason.message);
        assert!(!one.body.is_empty() && one.id.starts_with("counts:"), "{one:?}");
    }
}
