//! Wrong files, a test for each class of mistake.

use expect_test::expect;

use super::*;

#[test]
fn a_file_that_is_not_toml() {
    check_wrong(
        "name = \"p\nx = \n[source.kafka\ntopics = [\"a\" \"b\"]",
        expect![[r#"
        p.toml:1:10: not TOML: invalid basic string, expected `"`
        p.toml:2:5: not TOML: string values must be quoted, expected literal string
        p.toml:3:14: not TOML: unclosed table, expected `]`
        p.toml:4:15: not TOML: missing comma between array elements, expected `,`"#]],
    );
}

#[test]
fn an_empty_file() {
    check_wrong(
        "",
        expect![[r#"
        p.toml:1:1: `name` is missing
        p.toml:1:1: `brokers` is missing in [source.kafka]
        p.toml:1:1: `topics` is missing in [source.kafka]
        p.toml:1:1: there is no `[[output]]`
            a pipeline has at least one: a name and an index
        p.toml:1:1: `urls` is missing in [sink.elasticsearch]"#]],
    );
}

#[test]
fn a_file_that_is_not_there() {
    let errors = PipelineSettings::load(Path::new("no/such.toml"), &environment, None).unwrap_err();
    expect!["no/such.toml: cannot read the pipeline file: No such file or directory (os error 2)"]
        .assert_eq(&errors.to_string());
}

#[test]
fn unknown_keys() {
    With {
        root: "nam = \"x\"\ncolour = 1",
        kafka: "topic = [\"t\"]\nstrat = \"latest\"",
        elasticsearch: "auth = { apikey = \"x\" }",
        output: "indxe = 1",
        aggregate: "window = { tumblng = \"1m\" }",
        watermark: "out_of_order = \"1m\"",
        ..With::default()
    }
    .wrong(expect![[r#"
        p.toml:2:1: unknown key `nam`
            did you mean `name`?
        p.toml:3:1: unknown key `colour`
            known here: name, plugins, source, transform, output, watermark, sink, dead_letters, checkpoint, audit, limits, reload
        p.toml:7:1: unknown key `topic` in [source.kafka]
            did you mean `topics`?
        p.toml:8:1: unknown key `strat` in [source.kafka]
            did you mean `start`?
        p.toml:15:10: unknown key `apikey` in [sink.elasticsearch.auth]
            did you mean `api_key`?
        p.toml:19:1: unknown key `indxe` in [[output]]
            did you mean `index`?
        p.toml:22:10: `tumbling` is missing in [output.aggregate.window]
        p.toml:22:12: unknown key `tumblng` in [output.aggregate.window]
            did you mean `tumbling`?"#]]);
}

#[test]
fn values_of_another_type() {
    With {
        kafka: "group = 12\nlibrdkafka = 3\nstart = [1]",
        watermark: "out_of_order = 10\nidle_after = true",
        elasticsearch: "auth = \"key\"\nin_flight_max = \"4\"\nbulk_bytes_max = 1000",
        output: "transform = { plugin = \"a.wasm\" }",
        ..With::default()
    }
    .wrong(expect![[r#"
        p.toml:6:9: `group` must be a string, not an integer
        p.toml:7:14: `librdkafka` must be a table, not an integer
        p.toml:8:9: `start` must be a string, not an array
        p.toml:12:16: `out_of_order` has no unit
            a string with a number and a unit, such as "250ms", "30s", "10m", "1h30m", "1d"
        p.toml:13:14: `idle_after` must be a string, not a boolean
        p.toml:16:8: `auth` must be a table, not a string
        p.toml:17:17: `in_flight_max` must be an integer, not a string
        p.toml:18:18: `bulk_bytes_max` has no unit
            a string with a number and a unit, such as "512MiB", "8MB", "100kB"
        p.toml:22:13: `transform` is a list of tables
            write `[[output.transform]]`"#]]);
    check_wrong(
        "name = 1\nsource = 2\nsink = []\noutput = 3",
        expect![[r#"
        p.toml:1:8: `name` must be a string, not an integer
        p.toml:2:10: `source` must be a table, not an integer
        p.toml:3:8: `sink` must be a table, not an array
        p.toml:4:10: `output` is a list of tables
            write `[[output]]`"#]],
    );
}

#[test]
fn choices_that_there_are_not() {
    With {
        kafka: "start = \"earlist\"\non_data_loss = \"halt\"",
        decode: "format = \"xml\"\ntimestamp_unit = \"milis\"\non_wrong_type = \"deadletter\"",
        watermark: "out_of_order = \"1m\"\non_future = \"drop\"",
        aggregate: "window = { tumbling = \"1m\" }\nemit = \"on_update\"\nlate = \"keep\"",
        ..With::default()
    }
    .wrong(expect![[r#"
        p.toml:6:9: no such start: start=`earlist`
            earliest, latest, or a time such as 2026-01-31T00:00:00Z
        p.toml:7:16: no such choice: on_data_loss=`halt`
            one of: stop, continue
        p.toml:9:10: no such format: format=`xml`
            the only format is `json`
        p.toml:10:18: no such choice: timestamp_unit=`milis`
            one of: auto, seconds, milliseconds, microseconds, nanoseconds
        p.toml:11:17: no such choice: on_wrong_type=`deadletter`
            did you mean `dead-letter`?
        p.toml:14:13: no such choice: on_future=`drop`
            one of: dead-letter, clamp
        p.toml:25:8: no such choice: emit=`on_update`
            one of: on_close
        p.toml:26:8: no such choice: late=`keep`
            one of: dead-letter, drop"#]]);
}

#[test]
fn values_out_of_bounds() {
    With {
        root: "limits = { memory = \"1MiB\", workers = 0 }",
        watermark: "out_of_order = \"400d\"\nidle_after = \"1ms\"\nmax_future = \"5\"\nidle_grace = \"1m1h\"",
        elasticsearch: "bulk_bytes_max = \"1GB\"\nbulk_age_max = \"1ms\"\nin_flight_max = -1\ntimeout = \"1h\"",
        aggregate: "window = { tumbling = \"0s\" }",
        ..With::default()
    }
    .wrong(expect![[r#"
        p.toml:2:21: out of bounds: memory=`1MiB`
            from 64MiB to 1TiB
        p.toml:2:39: out of bounds: workers=`0`
            from 1 to 1024
        p.toml:10:16: out of bounds: out_of_order=`400d`
            from 0s to 366d
        p.toml:11:14: out of bounds: idle_after=`1ms`
            from 10ms to 1d
        p.toml:12:14: not a duration: max_future=`5`
            a string with a number and a unit, such as "250ms", "30s", "10m", "1h30m", "1d"
        p.toml:13:14: not a duration: idle_grace=`1m1h`
            a string with a number and a unit, such as "250ms", "30s", "10m", "1h30m", "1d"
        p.toml:16:18: out of bounds: bulk_bytes_max=`1GB`
            from 1KiB to 100MB
        p.toml:17:16: out of bounds: bulk_age_max=`1ms`
            from 10ms to 1m
        p.toml:18:17: out of bounds: in_flight_max=`-1`
            from 1 to 64
        p.toml:19:11: out of bounds: timeout=`1h`
            from 100ms to 10m
        p.toml:26:23: out of bounds: tumbling=`0s`
            from 1ms to 366d"#]]);
}

#[test]
fn names_and_topics() {
    With { root: "[dead_letters]\ntopic = \"t\"", ..With::default() }.wrong(expect![[r#"
        p.toml:3:9: dead letters would be read again: their topic is one of the sources
            take another topic"#]]);
    let file = With::default().file();
    check_wrong(
        &file.replace("\"p\"", "\"a b\"").replace("\"o\"", "\"\""),
        expect![[r#"
        p.toml:1:8: not a name: name=`a b`
            letters, digits, `.`, `_`, `-`; 1 to 200 characters
        p.toml:15:8: not a name: name=``
            letters, digits, `.`, `_`, `-`; 1 to 200 characters"#]],
    );
    check_wrong(
        &file.replace("\"t\"", "\"t\", \"^click.*\", \"t\", \"\""),
        expect![[r#"
            p.toml:5:16: not a topic's name: topics=`^click.*`
                topics are named one by one, patterns are not supported
            p.toml:5:28: a topic that is named twice: topics=`t`
            p.toml:5:33: not a topic's name: topics=``
                letters, digits, `.`, `_`, `-`; 1 to 249 characters"#]],
    );
    check_wrong(
        &file.replace("\"t\"", "\"t\", \"t\""),
        expect!["p.toml:5:16: a topic that is named twice: topics=`t`"],
    );
    check_wrong(
        &file.replace("\"t\"", "\"p.parts\", \"p.dead-letters\""),
        expect![[r#"
            p.toml:5:10: dead letters would be read again: topics=`p.dead-letters`
                give them another topic with [dead_letters] topic
            p.toml:5:10: the topic of the pipeline's parts is one of its sources: topics=`p.parts`
                it is the pipeline's name and `.parts`: take another name"#]],
    );
    check_wrong(
        &file.replace("b:9092", "b:port, "),
        expect![[r#"
        p.toml:4:11: not a list of brokers: brokers=`b:port, `
            `host:port`, separated by commas"#]],
    );
    check_wrong(
        &file.replace("\"http://e:9200\"", "\"e:9200\", \"http://\""),
        expect![[r#"
        p.toml:12:9: not an address: urls=`e:9200`
            such as `https://localhost:9200`
        p.toml:12:19: not an address: urls=`http://`
            such as `https://localhost:9200`"#]],
    );
}

#[test]
fn names_that_are_taken() {
    With {
        root: "[[transform]]\nplugin = \"where.wasm\"\n[[transform]]\nplugin = \"x.wasm\"\nname = \"where\"",
        output: "[[output.transform]]\nplugin = \"where.wasm\"\n[[output]]\nname = \"o\"\nindex = \"j\"",
        ..With::default()
    }
    .wrong(expect![[r#"
        p.toml:6:8: there is a transform of this name already: name=`where`
            names are unique in a pipeline
        p.toml:22:10: there is a transform of this name already: plugin=`where`
            a transform is named after its file: give one of them a `name`
        p.toml:24:8: there is an output of this name already: name=`o`
            outputs are told apart by their names"#]]);
}

#[test]
fn plugins() {
    With {
        root: "[[transform]]\nname = \"a\"\n[[transform]]\nplugin = \"..\"\nsettings = [1]\n\
               [[transform]]\nplugin = \"b.wasm\"\nsettings = { table = \"@none.csv\", x = nan }",
        ..With::default()
    }
    .wrong(expect![[r#"
        p.toml:2:1: `plugin` is missing in [[transform]]
        p.toml:5:10: not a component's file: plugin=`..`
            a file's name, looked up in the plugin directory
        p.toml:6:12: `settings` must be a table, not an array
        p.toml:9:22: cannot read a file that the settings name (No such file or directory (os error 2)): table=`none.csv`
            "@NAME" stands for the text of a file beside the pipeline file; write "@@…" for the character
        p.toml:9:39: `x` is not a finite number
            JSON has no others"#]]);
}

#[test]
fn keys_that_the_runtime_owns() {
    With {
        kafka: "librdkafka = { \"group.id\" = \"x\", \"acks\" = 0, sasl.password = \"x\", \"rebalance_cb\" = \"x\", \
                \"client.rack\" = [] }",
        ..With::default()
    }
    .wrong(expect![[r#"
        p.toml:6:29: librdkafka's `group.id` belongs to the runtime
            write `group`
        p.toml:6:43: librdkafka's `acks` belongs to the runtime
            parts and dead letters are acknowledged by all replicas, in order, however long it takes
        p.toml:6:46: `sasl` is a table
            librdkafka's keys have dots in them: write them with quotes, "sasl.password" = …
        p.toml:6:84: librdkafka's `rebalance_cb` cannot be set from a file
        p.toml:6:105: `client.rack` must be a string, a number or a boolean, not an array"#]]);
}

#[test]
fn whatever_the_source_sets_itself_is_refused_here() {
    for key in crate::source::OWNED_KEYS {
        let file = With::default().file().replace("[source.decode]", &format!("librdkafka = {{ \"{key}\" = 1 }}"));
        let errors = parse(&file).unwrap_err().to_string();
        assert!(errors.contains("belongs to the runtime"), "{key}: {errors}");
    }
}

#[test]
fn what_is_not_set() {
    With {
        kafka: "group = \"${NOBODY}\"\nlibrdkafka = { \"sasl.password\" = \"${file:none}\" }",
        elasticsearch: "auth = { api_key = \"${KEY\" }",
        ..With::default()
    }
    .wrong(expect![[r#"
        p.toml:6:9: `${NOBODY}` is not set: group=…
            set it in the environment that starts tidegate, or name a file with `${file:PATH}`
        p.toml:7:34: cannot read the file of `${file:none}`: No such file or directory (os error 2): sasl.password=…
            a path that is not absolute is looked up beside the pipeline file
        p.toml:14:20: `${` without its `}`: api_key=…
            `${NAME}` is the environment, `${file:PATH}` a file; write `$${` for the characters themselves"#]]);
}

#[test]
fn a_transform_that_is_named_like_an_aggregate() {
    With { root: "[[transform]]\nplugin = \"counts.aggregate.wasm\"", ..With::default() }.wrong(expect![[r#"
        p.toml:3:10: a transform has the name of an output's aggregate: plugin=`counts.aggregate`
            take a `name` that ends otherwise"#]]);
}

#[test]
fn a_transform_that_is_named_like_a_place_of_every_pipeline() {
    let root = "[[transform]]\nplugin = \"window.wasm\"\n[[transform]]\nname = \"sink\"\nplugin = \"a.wasm\"";
    With { root, ..With::default() }.wrong(expect![[r#"
        p.toml:3:10: a transform has the name of a place of every pipeline: plugin=`window`
            give it another `name`
        p.toml:5:8: a transform has the name of a place of every pipeline: name=`sink`
            give it another `name`"#]]);
}

#[test]
fn files_of_components_with_strange_names() {
    let root = "[[transform]]\nplugin = \"a b.wasm\"\n[[transform]]\nname = \"a\"\nplugin = \"a\\nb.wasm\"\n\
                [[transform]]\nname = \"b\"\nplugin = \"a b.wasm\"\n[[transform]]\nplugin = \"..\"";
    With { root, ..With::default() }.wrong(expect![[r#"
        p.toml:3:10: not a name: plugin=`a b`
            letters, digits, `.`, `_`, `-`; 1 to 200 characters
        p.toml:6:10: not a component's file: plugin=`a\nb.wasm`
            a file's name, looked up in the plugin directory
        p.toml:11:10: not a component's file: plugin=`..`
            a file's name, looked up in the plugin directory"#]]);
}

#[test]
fn defaults_and_versions() {
    With {
        decode: "event_time = \"at\"\ndefaults = { user.country = \"x\", \"$key\" = 1, at = 1, a = [1], \"b..c\" = 1, d = nan, e = \"${NOT_SET}\" }\n\
                 schema_version = \"$topic\"\nschema_versions = [\"1\", \"1\", 2]",
        ..With::default()
    }
    .wrong(expect![[r#"
        p.toml:9:14: `user` is a table
            put the whole path in quotes: "user.country" = …
        p.toml:9:43: the record's own has no default: `$key`
            name a field of the value
        p.toml:9:51: the event time has no default
            a record without one is a dead letter
        p.toml:9:58: `a` must be a text, a number, a boolean or a time, not an array
        p.toml:9:72: not a field's path: `b..c`
            there is an empty name between the dots; `\.` is a dot itself
        p.toml:9:79: `d` is not a finite number
            JSON has no others
        p.toml:9:88: `${NOT_SET}` is not set: e=…
            set it in the environment that starts tidegate, or name a file with `${file:PATH}`
        p.toml:10:18: not the version of a record: schema_version=`$topic`
            a field of the value, or `$header.NAME`
        p.toml:11:25: a version that is named twice: schema_versions=`1`
        p.toml:11:30: `schema_versions` must be a string, not an integer"#]]);
    With { decode: "defaults = 1\nschema_version = \"v\"", ..With::default() }.wrong(expect![[r#"
        p.toml:7:1: `schema_version` has no `schema_versions`
            list those that the components can read
        p.toml:8:12: `defaults` must be a table, not an integer"#]]);
    With { decode: "schema_versions = []", ..With::default() }.wrong(expect![[r#"
        p.toml:8:19: `schema_versions` is empty
            every record would be a dead letter"#]]);
    With { decode: "schema_versions = [\"\"]", ..With::default() }.wrong(expect![[r#"
        p.toml:7:1: `schema_versions` has no `schema_version`
            name the field or header that says it"#]]);
}

#[test]
fn a_name_in_the_group() {
    With { kafka: "instance = \"a b\"\nlibrdkafka = { \"group.instance.id\" = \"a\" }", ..With::default() }.wrong(
        expect![[r#"
            p.toml:6:12: not an instance's name: instance=`a b`
                letters, digits, `.`, `_`, `-`; 1 to 249 characters
            p.toml:7:38: librdkafka's `group.instance.id` belongs to the runtime
                write `instance`"#]],
    );
}
