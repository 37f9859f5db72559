//! `tidegate checkpoint inspect`.

use std::fmt::Write;

use clap::Args;
use serde_json::{Value, json};

use super::wait;
use super::which::Chosen;
use crate::checkpoint::{Checkpoint, CheckpointError, Header, Item, Kept, Unreadable};
use crate::cli::columns::Columns;
use crate::lane::{GroupValue, group_values};
use crate::record::EventTime;
use crate::window::{GroupState, Hold};

#[derive(Args)]
pub(super) struct InspectArgs {
    #[command(flatten)]
    chosen: Chosen,
    /// Shows so many groups of each window
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    groups: usize,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// The windows of an output.
struct Output {
    name: String,
    state: String,
    windows: Vec<Window>,
}

struct Window {
    start: String,
    /// The first record that a restart without the checkpoint would have to read for it.
    first: Option<i64>,
    groups: u64,
    records: u64,
    state_bytes: u64,
    shown: Vec<Group>,
}

struct Group {
    /// The values of `group_by`.
    key: Vec<Value>,
    records: u64,
    state_bytes: usize,
    last: i64,
}

pub(super) fn run(args: &InspectArgs) -> anyhow::Result<String> {
    let (store, place) = args.chosen.open()?;
    let (kept, checkpoint) = wait(async {
        let kept = args.chosen.which.find(&store, &place).await?;
        Ok((kept, store.read(&place, kept.slot).await?))
    })?;
    let unreadable = |why| CheckpointError::Unreadable { object: format!("{place}/{}", kept.slot), why };
    let (header, outputs) = (checkpoint.header(), read(&checkpoint, args.groups).map_err(unreadable)?);
    Ok(match args.json {
        true => format!("{:#}\n", as_json(&kept, header, &outputs)),
        false => text(&kept, header, &outputs)?,
    })
}

impl Window {
    fn new(start: EventTime, hold: Option<Hold>) -> Self {
        let first = hold.map(|hold| hold.offset.0);
        Window { start: start.to_string(), first, groups: 0, records: 0, state_bytes: 0, shown: Vec::new() }
    }
}

impl Output {
    /// A group of the last window; so many of each are shown.
    fn add(&mut self, group: GroupState<'_>, groups_max: usize) {
        let Some(window) = self.windows.last_mut() else { return };
        window.groups += 1;
        window.records += group.count;
        window.state_bytes += group.state.len() as u64;
        if window.shown.len() < groups_max {
            window.shown.push(Group {
                key: group_values(group.key).map(value).collect(),
                records: group.count,
                state_bytes: group.state.len(),
                last: group.last.0,
            });
        }
    }
}

fn read(checkpoint: &Checkpoint, groups: usize) -> Result<Vec<Output>, Unreadable> {
    let mut outputs = Vec::new();
    for windows in checkpoint.windows() {
        let mut windows = windows?;
        let state = format!("{} {}", windows.schema.name, windows.schema.version);
        let mut output = Output { name: windows.output.clone(), state, windows: Vec::new() };
        while let Some(item) = windows.next()? {
            match item {
                Item::Window { start, hold } => output.windows.push(Window::new(start, hold)),
                Item::Group(group) => output.add(group, groups),
                Item::Session(session) => {
                    output.windows.push(Window::new(session.window.start, Some(session.hold)));
                    output.add(session.group(), groups);
                }
            }
        }
        outputs.push(output);
    }
    Ok(outputs)
}

fn value(value: GroupValue<'_>) -> Value {
    match value {
        GroupValue::Null => Value::Null,
        GroupValue::Boolean(boolean) => boolean.into(),
        GroupValue::Integer(number) => number.into(),
        GroupValue::Unsigned(number) => number.into(),
        GroupValue::Float(number) => number.into(),
        GroupValue::Text(text) => text.into(),
    }
}

fn topic_id(header: &Header) -> Option<String> {
    header.topic_id.map(|id| id.to_string())
}

fn text(kept: &Kept, header: &Header, outputs: &[Output]) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(out, "{}/{} of pipeline {}", header.place.partition, header.slot, header.place.pipeline)?;
    writeln!(out, "  put          {}, {} bytes", kept.modified, kept.bytes)?;
    writeln!(out, "  next offset  {}", header.next)?;
    writeln!(out, "  revision     {}", header.revision)?;
    writeln!(out, "  topic id     {}", topic_id(header).unwrap_or_else(|| "not known".to_owned()))?;
    writeln!(out, "  position     {}", String::from_utf8_lossy(&header.position).escape_debug())?;
    for component in &header.components {
        writeln!(out, "  component    {} {}", component.name, component.digest)?;
    }
    for output in &header.fingerprints {
        writeln!(out, "  fingerprint  {} {:016x}", output.output, output.fingerprint)?;
    }
    for Output { name, state, windows } in outputs {
        writeln!(out, "\noutput {name}, state {state}")?;
        let mut columns = Columns::new(["window", "groups", "records", "state bytes", "first offset"]);
        for Window { start, first, groups, records, state_bytes, .. } in windows {
            let first = first.map_or_else(String::new, |first| first.to_string());
            columns.row(vec![start.clone(), groups.to_string(), records.to_string(), state_bytes.to_string(), first]);
        }
        out += &columns.show();
        let mut columns = Columns::new(["window", "group", "records", "state bytes", "last offset"]);
        for window in windows {
            for Group { key, records, state_bytes, last } in &window.shown {
                let key = Value::Array(key.clone()).to_string();
                columns.row(vec![
                    window.start.clone(),
                    key,
                    records.to_string(),
                    state_bytes.to_string(),
                    last.to_string(),
                ]);
            }
        }
        if !columns.is_empty() {
            write!(out, "\n{}", columns.show())?;
        }
    }
    Ok(out)
}

fn as_json(kept: &Kept, header: &Header, outputs: &[Output]) -> Value {
    let group = |group: &Group| json!({ "key": group.key, "records": group.records, "state_bytes": group.state_bytes, "last": group.last });
    let window = |window: &Window| {
        json!({
            "start": window.start,
            "first": window.first,
            "groups": window.groups,
            "records": window.records,
            "state_bytes": window.state_bytes,
            "shown": window.shown.iter().map(group).collect::<Vec<_>>(),
        })
    };
    let output = |output: &Output| {
        json!({
            "output": output.name,
            "state": output.state,
            "windows": output.windows.iter().map(window).collect::<Vec<_>>(),
        })
    };
    json!({
        "pipeline": &*header.place.pipeline,
        "topic": &*header.place.partition.topic,
        "partition": header.place.partition.number,
        "slot": header.slot.to_string(),
        "modified": kept.modified.to_string(),
        "bytes": kept.bytes,
        "next": header.next.0,
        "revision": header.revision,
        "topic_id": topic_id(header),
        "position": String::from_utf8_lossy(&header.position),
        "components": header.components.iter().map(|one| json!({ "name": one.name, "digest": one.digest })).collect::<Vec<_>>(),
        "fingerprints": header.fingerprints.iter().map(|one| json!({ "output": one.output, "fingerprint": format!("{:016x}", one.fingerprint) })).collect::<Vec<_>>(),
        "outputs": outputs.iter().map(output).collect::<Vec<_>>(),
    })
}
