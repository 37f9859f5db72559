//! Wrong outputs, and what is not supported yet.

use std::time::Duration;

use expect_test::expect;

use super::*;
use crate::config::{EmitSettings, OnLate, Tombstones, WindowSettings, WriteOperation};

#[test]
fn index_names_and_ids() {
    let output = |output| With { output, ..With::default() };
    let file = With::default().file();
    check_wrong(
        &file.replace("\"i\"", "\"Big-{window_start:%Y}\""),
        expect![[r#"
        p.toml:16:9: not an index name (with 'B'): index=`Big-{window_start:%Y}`
            Elasticsearch's rules: lowercase; none of \ / * ? " < > | # : , or space; not `-`, `_`, `+` first"#]],
    );
    check_wrong(
        &file.replace("\"i\"", "\"i-{window_start:%Y}\""),
        expect![[r#"
        p.toml:16:9: not an index name ({window_start:…} without an aggregate): index=`i-{window_start:%Y}`
            without an aggregate there is {event_time:…} and {field}"#]],
    );
    output("id = \"order\"").wrong(expect![[r#"
        p.toml:17:6: `id` has no version
            offsets order the versions of one key only: take `id = "$key"`, or `{ field = …, version = … }`"#]]);
    output("id = { version = \"v\" }").wrong(expect!["p.toml:17:6: `field` is missing in [output.id]"]);
    output("id = { field = \"$received\", version = \"a..b\" }").wrong(expect![[r#"
        p.toml:17:16: not a function of the input: field=`$received`
            a replay would receive the record at another time
        p.toml:17:39: not a field's path: version=`a..b`
            there is an empty name between the dots; `\.` is a dot itself"#]]);
}

#[test]
fn groups_and_event_times() {
    With {
        decode: "event_time = \"$received\"",
        watermark: "out_of_order = \"1m\"",
        aggregate: "window = { tumbling = \"1m\" }\ngroup_by = [\"a\", \"$key\", \"window_end\", \"\"]",
        ..With::default()
    }
    .wrong(expect![[r#"
        p.toml:8:14: not an event time: event_time=`$received`
            a replay would put the record into another window; `$timestamp` is Kafka's time of the record
        p.toml:21:18: a group's fields become fields of the document: group_by=`$key`
            put it into a field of the value with a transform first
        p.toml:21:26: a field that the host writes: group_by=`window_end`
            rename it with a transform (`shape.wasm`) first
        p.toml:21:40: not a field's path: group_by=``
            names with dots between them, such as `user.id`; `\.` is a dot itself"#]]);
    With {
        decode: "event_time = \"$offset\"",
        watermark: "out_of_order = \"1m\"",
        aggregate: "window = { tumbling = \"1m\" }\ngroup_by = [\"a\", \"b\", \"a.c\"]",
        ..With::default()
    }
    .wrong(expect![[r#"
        p.toml:8:14: not an event time: event_time=`$offset`
            a field of the value, or `$timestamp`
        p.toml:21:23: a field that is grouped by already, or lies within one that is, or around it: group_by=`a.c`"#]]);
}

#[test]
fn windows_without_a_bound_for_disorder() {
    With { aggregate: "window = { tumbling = \"1m\" }", ..With::default() }.wrong(expect![[r#"
        p.toml:9:1: `out_of_order` is missing in [watermark]
            an output has windows: say how far a record may come behind the largest event time, such as "10m""#]]);
    With { aggregate: "group_by = []", watermark: "out_of_order = \"0s\"", ..With::default() }
        .wrong(expect!["p.toml:18:1: `window` is missing in [output.aggregate]"]);
}

#[test]
fn what_is_not_there_yet() {
    With {
        root: "[[transform]]\nplugin = \"a.wasm\"\n\
               limits = { deadlin = \"1s\" }",
        decode: "format = \"avro\"",
        watermark: "out_of_order = \"1m\"",
        output: "id = \"$key\"",
        aggregate: "window = { tumbling = \"5m\" }",
        ..With::default()
    }
    .wrong(expect![[r#"
        p.toml:4:12: unknown key `deadlin` in [transform.limits]
            did you mean `deadline`?
        p.toml:10:10: this value of `source.decode.format` is not supported yet
            the only format is `json`
        p.toml:19:6: `output.id` is not supported yet
            a window's id is made of the output, the window and the group; remove it"#]]);
    With {
        watermark: "out_of_order = \"1m\"",
        aggregate: "window = { tumbling = \"30m\" }\nlimits = { memory = \"1KiB\", retire_at = \"65MiB\" }\non_trap = \"explode\"\non_breaker = \"stal\"",
        ..With::default()
    }
    .wrong(expect![[r#"
        p.toml:21:21: out of bounds: memory=`1KiB`
            from 1MiB to 4GiB
        p.toml:22:11: no such choice: on_trap=`explode`
            one of: dead-letter, pass, stop
        p.toml:23:14: no such choice: on_breaker=`stal`
            did you mean `stall`?"#]]);
}

#[test]
fn early_results_and_updates() {
    let with = |keys: &str| With {
        watermark: "out_of_order = \"1m\"",
        aggregate: Box::leak(format!("window = {{ tumbling = \"5m\" }}\n{keys}").into_boxed_str()),
        ..With::default()
    };
    let read = |keys: &str| with(keys).right().outputs[0].aggregate.clone().expect("it has one");
    assert_eq!((read("").emit, read("").late), (EmitSettings::default(), OnLate::DeadLetter));
    assert_eq!(read("emit = \"on_close\"").emit, EmitSettings::default());
    let every = Some(Duration::from_secs(10));
    assert_eq!(read("emit = { every = \"10s\" }").emit, EmitSettings { every, when_quiet: false });
    assert_eq!(read("emit = { when_quiet = true }").emit, EmitSettings { every: None, when_quiet: true });
    let late = read("late = { update_within = \"1h\" }").late;
    assert_eq!(late, OnLate::UpdateWithin(Duration::from_secs(3600)));
    with("emit = {}\nlate = { update = \"1h\" }").wrong(expect![[r#"
        p.toml:21:8: `emit` says nothing
            `{ every = "10s" }`, `{ when_quiet = true }`, or `on_close`
        p.toml:22:8: `update_within` is missing in [output.aggregate.late]
        p.toml:22:10: unknown key `update` in [output.aggregate.late]
            known here: update_within"#]]);
    with("emit = \"early\"\nlate = { update_within = 5 }").wrong(expect![[r#"
        p.toml:21:8: no such choice: emit=`early`
            one of: on_close
        p.toml:22:26: `update_within` has no unit
            a string with a number and a unit, such as "250ms", "30s", "10m", "1h30m", "1d""#]]);
    with("emit = { every = \"0s\" }\nlate = {}").wrong(expect![[r#"
        p.toml:21:18: out of bounds: every=`0s`
            from 1ms to 366d
        p.toml:22:8: `update_within` is missing in [output.aggregate.late]"#]]);
}

#[test]
fn sessions() {
    let with = |keys: &str| With {
        watermark: "out_of_order = \"1m\"",
        aggregate: Box::leak(keys.to_owned().into_boxed_str()),
        ..With::default()
    };
    let read = with("window = { session_gap = \"30m\", max_session = \"1d\" }\npartitioned_by_group = true").right();
    let aggregate = read.outputs[0].aggregate.as_ref().expect("it has one");
    let hours = |hours: u64| Duration::from_secs(3600 * hours);
    assert_eq!(aggregate.window, WindowSettings::Session { gap: hours(1) / 2, max: hours(24) });
    with("window = { session_gap = \"30m\" }\npartitioned_by_group = true")
        .wrong(expect!["p.toml:20:10: `max_session` is missing in [output.aggregate.window]"]);
    with("window = { session_gap = \"30m\", max_session = \"10m\" }\npartitioned_by_group = true").wrong(expect![[
        r#"
        p.toml:20:47: shorter than the gap: max_session=`10m`
            a session is cut at its multiples, counted from 1970 UTC"#
    ]]);
    with(
        "window = { session_gap = \"30m\", max_session = \"1d\" }\nemit = { every = \"1s\" }\n\
          late = { update_within = \"1h\" }",
    )
    .wrong(expect![[r#"
        p.toml:18:1: sessions have no early results
            the start of an open session may still move: leave out `emit`
        p.toml:18:1: sessions are not updated when they have ended
            a record behind the watermark is late: take `dead-letter` or `drop`, and a larger out_of_order waits longer"#]]);
}

#[test]
fn windows_that_slide() {
    let window =
        |window: &'static str| With { watermark: "out_of_order = \"1m\"", aggregate: window, ..With::default() };
    let read = window("window = { sliding = \"5m\", every = \"1m\" }").right();
    let aggregate = read.outputs[0].aggregate.as_ref().expect("it has one");
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    assert_eq!(aggregate.window, WindowSettings::Sliding { length: minutes(5), every: minutes(1) });
    window("window = { sliding = \"5m\" }")
        .wrong(expect!["p.toml:20:10: `every` is missing in [output.aggregate.window]"]);
    window("window = { sliding = \"5m\", every = \"6m\" }").wrong(expect![[r#"
        p.toml:20:36: longer than the windows: every=`6m`
            a record between two of them would be in none"#]]);
    window("window = { sliding = \"1d\", every = \"1s\" }").wrong(expect![[r#"
        p.toml:20:36: too short for windows of that length: every=`1s`
            a record is folded into each window that it is in, at most 1000"#]]);
    window("window = { tumbling = \"5m\", every = \"1m\" }").wrong(expect![[r#"
        p.toml:20:29: unknown key `every` in [output.aggregate.window]
            known here: tumbling"#]]);
}

#[test]
fn what_a_record_without_a_value_may_delete() {
    let file = |output| With { output, ..With::default() }.file();
    let right = file("id = \"$key\"\ntombstones = \"delete\"");
    assert_eq!(parse(&right).unwrap().outputs[0].tombstones, Tombstones::Delete);
    let by_version = file("id = { field = \"$key\", version = \"v\" }\ntombstones = \"delete\"");
    for wrong in [file("tombstones = \"delete\""), by_version, right.replace("\"i\"", "\"i-{country}\"")] {
        let errors = parse(&wrong).unwrap_err();
        assert_eq!(errors.0.len(), 1, "{errors}");
        assert_eq!(errors.0[0].message, "nothing says which document a record without a value deletes");
    }
    check_wrong(
        &file("id = \"$key\"\ntombstones = \"deleted\""),
        expect![[r#"
        p.toml:18:14: no such choice: tombstones=`deleted`
            did you mean `delete`?"#]],
    );
}

#[test]
fn what_is_done_with_documents() {
    let file = |output| With { output, ..With::default() }.file();
    let output = |lines| parse(&file(lines)).unwrap().outputs.remove(0);
    assert_eq!(output("operation = \"create\"").operation, WriteOperation::Create);
    assert_eq!(output("pipeline = \"geo\"").pipeline.as_deref(), Some("geo"));
    let updated = output("operation = \"update\"\nid = \"order.id\"\nrouting = \"$key\"");
    assert_eq!(updated.operation, WriteOperation::Update);
    assert_eq!(updated.routing.as_deref(), Some("$key"));
    let scripted = output("operation = { script = \"ctx._source.n = 1\" }\nid = \"$key\"");
    assert_eq!(scripted.operation, WriteOperation::Script("ctx._source.n = 1".to_owned()));
    let wrong = [
        ("operation = \"upsert\"", "no such choice"),
        ("operation = \"update\"", "nothing says which document is updated"),
        (
            "operation = \"update\"\nid = { field = \"a\", version = \"v\" }",
            "versions are for documents that are indexed",
        ),
        ("operation = \"update\"\nid = \"order.id\"\npipeline = \"geo\"", "an update goes through no ingest pipeline"),
        (
            "operation = { script = \"return\" }\nid = \"$key\"\npipeline = \"geo\"",
            "an update goes through no ingest pipeline",
        ),
        ("id = \"order.id\"", "`id` has no version"),
        ("operation = \"create\"\nid = \"$key\"\ntombstones = \"delete\"", "what was created is not deleted"),
        ("id = \"$key\"\nrouting = \"a\"\ntombstones = \"delete\"", "nothing says on which shard the document is"),
    ];
    for (lines, message) in wrong {
        let errors = parse(&file(lines)).expect_err(lines);
        assert_eq!(errors.0.len(), 1, "{errors}");
        assert!(errors.0[0].message.starts_with(message), "{lines}: {errors}");
    }
}
