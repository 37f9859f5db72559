//! Components that cannot be used, and pipeline files that name none: the pipeline does not start, with a message and an exit code.

use std::fs;
use std::time::Duration;

use expect_test::{Expect, expect};
use tidegate::pipeline::Loader;
use tidegate::plugin::{Engine, inspect_bytes};
use tidegate::record::Kind;
use tidegate_tests::evil::Job;
use tidegate_tests::puppet::{Deed, Puppet, Script, ZEROS, ZEROS_LEN, field, module, wit};
use tidegate_tests::reload::guest;

use super::{LIMITS, transform};

/// Each: exit code and message of a pipeline that starts with it.
fn check(name: &str, stages: &str, components: Vec<(&str, Vec<u8>)>, expected: Expect) {
    let mut loader = Loader::default();
    let mut table = String::new();
    for (what, bytes) in components {
        let (code, said) = Job::new(name, stages, &[("puppet", &bytes)]).refusal(&mut loader);
        table.push_str(&format!("{what} → {code}: {said}\n"));
    }
    expected.assert_eq(&table);
}

#[test]
fn bytes_that_are_no_component_of_ours() {
    let whole = fs::read(guest("moody")).expect("it is built");
    let puppet = Puppet::filter();
    let core = puppet.build();
    let plain = wat::parse_str(puppet.text("")).expect("valid text");
    let version = |number: &str| {
        let changed = |text: String| text.replace("@0.1.0", number);
        module(&changed(puppet.text("")), &changed(wit()), "", "filter-plugin")
    };
    let foreign = "package acme:all; world foreign { include tidegate:plugin/filter-plugin@0.1.0; import acme:db/query@1.0.0; } \
                   package acme:db@1.0.0 { interface query { run: func(); } }";
    let import = r#"(import "acme:db/query@1.0.0" "run" (func))"#;
    let both = "package acme:all; world both { include tidegate:plugin/filter-plugin@0.1.0; export tidegate:plugin/enrich@0.1.0; }";
    let enrich =
        r#"(func (export "tidegate:plugin/enrich@0.1.0#enrich") (param i32 i32 i32) (result i32) unreachable)"#;
    let none = "package acme:all; world none { export run: func(); }";
    let other_types = wit().replace("filter: func(batch: batch) -> verdicts;", "filter: func(batch: batch) -> u32;");
    let without_post = puppet.text("").replace("cabi_post_tidegate:plugin/filter@0.1.0#filter", "unused");
    let newer_log = wit().replace("write: func(level: level, message: string);", "flush: func();");
    let flushes = puppet.text("").replace("\"write\" (func $log (param i32 i32 i32))", "\"flush\" (func $flush)");
    let flushes = flushes.replacen("(memory", "(func $log (param i32 i32 i32)) (memory", 1);
    let components = vec![
        ("no bytes", Vec::new()),
        ("text", b"(module)".to_vec()),
        ("a component that is cut short", whole[..whole.len() / 2].to_vec()),
        ("a core module that is cut short", core[..core.len() / 2].to_vec()),
        ("a component with damage in its midst", {
            let mut bytes = whole.clone();
            bytes[whole.len() / 2..whole.len() / 2 + 64].fill(0xff);
            bytes
        }),
        ("a core module without a component type", plain),
        ("a component for a newer interface", version("@0.2.0")),
        ("a component for an older interface", version("@0.0.9")),
        (
            "a component of two kinds",
            module(&(puppet.text("").trim_end_matches(')').to_owned() + ")" + enrich + ")"), &wit(), both, "both"),
        ),
        ("a component of no kind", module("(module (func (export \"run\")))", &wit(), none, "none")),
        ("a component that imports something foreign", module(&puppet.text(import), &wit(), foreign, "foreign")),
        ("a component that imports a newer log", module(&flushes, &newer_log, "", "filter-plugin")),
        ("a filter of another type", module(&without_post, &other_types, "", "filter-plugin")),
        ("an aggregate where a transform belongs", Puppet::aggregate().build()),
        ("a core module that traps as it starts", {
            let text = puppet.text("").replacen("(memory", "(func $begin_so unreachable) (start $begin_so) (memory", 1);
            module(&text, &wit(), "", "filter-plugin")
        }),
        ("a memory beyond its limit", {
            let text = puppet.text("").replace("(memory (export \"memory\") 64)", "(memory (export \"memory\") 4096)");
            module(&text, &wit(), "", "filter-plugin")
        }),
        ("a table beyond its limit", {
            let text = puppet.text("").replacen("(memory", "(table 10000000 funcref) (memory", 1);
            module(&text, &wit(), "", "filter-plugin")
        }),
    ];
    check(
        "components",
        &transform("puppet"),
        components,
        expect![[r#"
            no bytes → 3: transform `puppet`: `puppet` cannot be used as a plugin: it is not WebAssembly: its 0 bytes do not begin with `\0asm`
            text → 3: transform `puppet`: `puppet` cannot be used as a plugin: it is not WebAssembly: its 8 bytes do not begin with `\0asm`
            a component that is cut short → 3: transform `puppet`: `puppet` cannot be used as a plugin: it is cut short: it has 63975 bytes, and its section at byte 465 ends at 124223
            a core module that is cut short → 3: transform `puppet`: `puppet` cannot be used as a plugin: it is cut short: it has 1667 bytes, and its section at byte 437 ends at 1850
            a component with damage in its midst → 3: transform `puppet`: `puppet` cannot be used as a plugin: it does not compile: failed to compile: wasm[0]::function[182]: WebAssembly translation error: Invalid input WebAssembly code at offset 63979: invalid var_u32: integer representation too long
            a core module without a component type → 3: transform `puppet`: `puppet` cannot be used as a plugin: it is a core module, and carries no component type; build it with the SDK (is there a `#[filter]`, `#[enrich]` or `#[aggregate]` in it?), or with the linker `wasm-component-ld`, for the target wasm32-unknown-unknown
            a component for a newer interface → 3: transform `puppet`: `puppet` cannot be used as a plugin: it is built for tidegate:plugin@0.2.0, and this runtime takes tidegate:plugin@0.1.0; build it against that version, or use a runtime that knows its own
            a component for an older interface → 3: transform `puppet`: `puppet` cannot be used as a plugin: it is built for tidegate:plugin@0.0.9, and this runtime takes tidegate:plugin@0.1.0; build it against that version, or use a runtime that knows its own
            a component of two kinds → 3: transform `puppet`: `puppet` cannot be used as a plugin: it exports `filter`, `enrich` at once, so it is not clear what it is for; make a component of each
            a component of no kind → 3: transform `puppet`: `puppet` cannot be used as a plugin: it exports none of tidegate:plugin/filter, enrich and aggregate (its exports: `run`); build it against one of the worlds `filter-plugin`, `enrich-plugin` and `aggregate-plugin`
            a component that imports something foreign → 3: transform `puppet`: `puppet` cannot be used as a plugin: it imports `acme:db/query@1.0.0`, which this runtime does not have; a component may import tidegate:plugin/log, and wasi:… which is answered but gives nothing
            a component that imports a newer log → 3: transform `puppet`: `puppet` cannot be used as a plugin: it imports `tidegate:plugin/log@0.1.0` (`flush`), and this runtime has tidegate:plugin@0.1.0, which knows nothing of it; build it against that version, or use a newer runtime
            a filter of another type → 3: transform `puppet`: `puppet` cannot be used as a plugin: its interface `filter` has other types than this runtime's: failed to convert function to given type: type mismatch with results: expected `record` found `u32`
            an aggregate where a transform belongs → 2: transform `puppet`: the component does not belong here, kind=`aggregate`; a transform is a filter or an enricher; an aggregate belongs into [output.aggregate]
            a core module that traps as it starts → 3: transform `puppet`: the plugin `puppet` does not start: the plugin trapped: wasm `unreachable` instruction executed; in begin_so
            a memory beyond its limit → 3: transform `puppet`: the plugin `puppet` does not start: the plugin trapped: it asked for 268435456 bytes of memory, its limit is 134217728
            a table beyond its limit → 3: transform `puppet`: the plugin `puppet` does not start: the plugin trapped: it asked for 10000001 entries of tables, its limit is 262144
        "#]],
    );
}

#[test]
fn a_component_says_who_it_is_and_what_it_wants() {
    let describes =
        |name: &str, version: &str, schema: &str| Script::answers(|image| image.identity(name, version, schema));
    let raw = Script::raw_words;
    let describing = [
        ("traps", Script::does(Deed::Trap)),
        ("takes memory for ever", Script::does(Deed::Hoard)),
        ("recurses for ever", Script::does(Deed::Recurse)),
        ("answers at an odd address", Script::does(Deed::Answer).answering(ZEROS + 3)),
        ("answers out of its memory", Script::does(Deed::Answer).answering(0xffff_fff0)),
        ("a name of 4 GiB", raw(&[ZEROS, u32::MAX, 0, 0, 0, 0])),
        ("a name of 300 bytes", describes(&"x".repeat(300), "1", "")),
        ("a name with an end of line", describes("a\nb", "1", "")),
        ("a version of 300 bytes", describes("a", &"1".repeat(300), "")),
        ("a schema that is no JSON", describes("a", "1", "{no}")),
        ("a schema of 2 MiB", raw(&[ZEROS, 0, ZEROS, 0, ZEROS, ZEROS_LEN])),
    ];
    let configures = |reads: &[_], writes: &[_]| Script::answers(|image| image.ports(reads, writes));
    let text = |path: &str| field(path, Kind::Text);
    let fields = |words: [u32; 3]| {
        Script::answers(|image| {
            let field = image.words(&words);
            image.words(&[0, field, 1, 0, 0])
        })
    };
    let configuring = [
        ("traps", Script::does(Deed::Trap)),
        ("takes memory for ever", Script::does(Deed::Hoard)),
        ("refuses", Script::answers(|image| image.words_of("`fields` is missing"))),
        ("refuses with words that clear the screen", Script::answers(|image| image.words_of("\u{1b}[2Jno\r"))),
        ("refuses with 2 MiB of words", raw(&[1, ZEROS, ZEROS_LEN, 0, 0])),
        ("neither takes nor refuses", raw(&[2, 0, 0, 0, 0])),
        ("reads as many fields as its memory holds", raw(&[0, ZEROS, 100_000, 0, 0])),
        ("reads 4 Gi fields", raw(&[0, ZEROS, u32::MAX, 0, 0])),
        ("reads 1025 fields", configures(&vec![text("a"); 1025], &[])),
        ("reads a field without a name", configures(&[text("")], &[])),
        ("reads a path with an end of line", configures(&[text("a\nb")], &[])),
        ("reads a path of 2 KiB", configures(&[text(&"x".repeat(2048))], &[])),
        ("reads a path with an empty part", configures(&[text("a..b")], &[])),
        ("reads a path with half an escape", configures(&[text("a\\")], &[])),
        ("reads what no record has", configures(&[text("$nonsense")], &[])),
        ("reads the time as a boolean", configures(&[field("$event_time", Kind::Boolean)], &[])),
        ("reads a kind that there is not", fields([ZEROS, 0, 99])),
        ("reads a path that is not in its memory", fields([0xffff_fff0, 8, 0])),
    ];
    let writing = [
        ("writes a field twice", configures(&[], &[text("a"), text("a")])),
        ("writes a field without a name", configures(&[], &[text("")])),
        ("writes a field within one that it writes", configures(&[], &[text("a"), text("a.b")])),
        ("writes presence", configures(&[], &[field("a", Kind::Presence)])),
        ("writes the key", configures(&[], &[text("$key")])),
        ("writes a path with half an escape", configures(&[], &[text("a\\")])),
    ];
    let mut components: Vec<(String, Vec<u8>)> = Vec::new();
    let filter = Puppet::filter;
    for (what, script) in &describing {
        components.push((format!("describe: {what}"), filter().describing(script).build()));
    }
    for (what, script) in &configuring {
        components.push((format!("configure: {what}"), filter().configuring(script).build()));
    }
    for (what, script) in &writing {
        components.push((format!("configure: {what}"), Puppet::enrich().configuring(script).build()));
    }
    components.push(("configure: a filter that writes".into(), filter().configuring(&writing[0].1).build()));
    let components = components.iter().map(|(what, bytes)| (what.as_str(), bytes.clone())).collect();
    check(
        "says",
        &transform("puppet"),
        components,
        expect![[r#"
            describe: traps → 3: transform `puppet`: the plugin `puppet` failed in `describe`: the plugin trapped: wasm `unreachable` instruction executed; in perform
            describe: takes memory for ever → 3: transform `puppet`: the plugin `puppet` failed in `describe`: the plugin trapped: it asked for 135266304 bytes of memory, its limit is 134217728; in perform
            describe: recurses for ever → 3: transform `puppet`: the plugin `puppet` failed in `describe`: the plugin trapped: call stack exhausted; in deep
            describe: answers at an odd address → 3: transform `puppet`: the plugin `puppet` failed in `describe`: the plugin broke the contract of its interface: its values cannot be read or written: return pointer not aligned
            describe: answers out of its memory → 3: transform `puppet`: the plugin `puppet` failed in `describe`: the plugin broke the contract of its interface: its values cannot be read or written: pointer out of bounds of memory
            describe: a name of 4 GiB → 3: transform `puppet`: the plugin `puppet` failed in `describe`: the plugin broke the contract of its interface: its values cannot be read or written: string pointer/length out of bounds of memory
            describe: a name of 300 bytes → 3: transform `puppet`: `puppet` cannot be used as a plugin: it names itself with 300 bytes, the limit is 256
            describe: a name with an end of line → 3: transform `puppet`: `puppet` cannot be used as a plugin: it names itself with a control character: "a\nb"
            describe: a version of 300 bytes → 3: transform `puppet`: `puppet` cannot be used as a plugin: it names its version with 300 bytes, the limit is 256
            describe: a schema that is no JSON → 3: transform `puppet`: `puppet` cannot be used as a plugin: its settings schema is not JSON: key must be a string at line 1 column 2
            describe: a schema of 2 MiB → 3: transform `puppet`: `puppet` cannot be used as a plugin: its settings schema has 2097152 bytes, the limit is 1048576
            configure: traps → 3: transform `puppet`: the plugin `puppet` failed in `configure`: the plugin trapped: wasm `unreachable` instruction executed; in perform
            configure: takes memory for ever → 3: transform `puppet`: the plugin `puppet` failed in `configure`: the plugin trapped: it asked for 9437184 bytes of memory, its limit is 8388608; in perform
            configure: refuses → 3: transform `puppet`: the plugin `puppet` does not accept its settings: `fields` is missing
            configure: refuses with words that clear the screen → 3: transform `puppet`: the plugin `puppet` does not accept its settings: \u{1b}[2Jno\r
            configure: refuses with 2 MiB of words → 3: transform `puppet`: the plugin `puppet` failed in `configure`: the plugin broke the contract of its interface: it hands over more bytes in one call than its output limit
            configure: neither takes nor refuses → 3: transform `puppet`: the plugin `puppet` failed in `configure`: the plugin broke the contract of its interface: its values cannot be read or written: invalid expected discriminant
            configure: reads as many fields as its memory holds → 3: transform `puppet`: the plugin `puppet` failed in `configure`: the plugin broke the contract of its interface: it hands over more bytes in one call than its output limit
            configure: reads 4 Gi fields → 3: transform `puppet`: the plugin `puppet` failed in `configure`: the plugin broke the contract of its interface: its values cannot be read or written: list pointer/length out of bounds of memory
            configure: reads 1025 fields → 3: transform `puppet`: `puppet` cannot be used as a plugin: it reads 1025 fields, the limit is 1024
            configure: reads a field without a name → 3: transform `puppet`: `puppet` cannot be used as a plugin: the path of field 0 that it reads is empty
            configure: reads a path with an end of line → 3: transform `puppet`: `puppet` cannot be used as a plugin: it reads a field whose path has a control character: "a\nb"
            configure: reads a path of 2 KiB → 3: transform `puppet`: `puppet` cannot be used as a plugin: the path of field 0 that it reads is longer than 1024 bytes
            configure: reads a path with an empty part → 2: the pipeline does not fit together: the pipeline cannot be built: a path cannot be read, a name in it is empty: path=`a..b`; names are separated by single dots; a dot in a name is `\.`
            configure: reads a path with half an escape → 2: the pipeline does not fit together: the pipeline cannot be built: a path cannot be read, a backslash escapes nothing: path=`a\`; escapes are `\.`, `\$` and `\\`
            configure: reads what no record has → 2: the pipeline does not fit together: the pipeline cannot be built: a path cannot be read, a record has no such property: path=`$nonsense`; the record's own are $key, $value, $timestamp, $event_time, $received, $topic, $partition, $offset and $header.NAME; a field whose name begins with a dollar sign is written `\$name`
            configure: reads the time as a boolean → 2: the pipeline does not fit together: the pipeline cannot be built: a field cannot be read as this kind: field=`$event_time`, kind=`boolean`; it can be read as presence, timestamp, text, json
            configure: reads a kind that there is not → 3: transform `puppet`: the plugin `puppet` failed in `configure`: the plugin broke the contract of its interface: its values cannot be read or written: unexpected discriminant: 99
            configure: reads a path that is not in its memory → 3: transform `puppet`: the plugin `puppet` failed in `configure`: the plugin broke the contract of its interface: its values cannot be read or written: string pointer/length out of bounds of memory
            configure: writes a field twice → 3: transform `puppet`: `puppet` cannot be used as a plugin: it writes `a` twice
            configure: writes a field without a name → 3: transform `puppet`: `puppet` cannot be used as a plugin: the path of field 0 that it writes is empty
            configure: writes a field within one that it writes → 2: the pipeline does not fit together: the pipeline cannot be built: a plugin writes a field and something in it: one=`a`, other=`a.b`; write one of them
            configure: writes presence → 3: transform `puppet`: `puppet` cannot be used as a plugin: it writes `a` as presence, which is not a value
            configure: writes the key → 3: transform `puppet`: `puppet` cannot be used as a plugin: it writes `$key`; paths that begin with `$` are the record's own
            configure: writes a path with half an escape → 2: the pipeline does not fit together: the pipeline cannot be built: a path cannot be read, a backslash escapes nothing: path=`a\`; escapes are `\.`, `\$` and `\\`
            configure: a filter that writes → 3: transform `puppet`: `puppet` cannot be used as a plugin: it is a filter and says that it writes `a`; only `enrich` can
        "#]],
    );
}

#[test]
fn an_aggregate_says_what_its_states_are() {
    let stages = format!(
        "[[output]]\nname = \"counts\"\nindex = \"counts\"\n[output.aggregate]\nplugin = \"puppet.wasm\"\n{LIMITS}\n\
         group_by = [\"g\"]\nwindow = {{ tumbling = \"1m\" }}\n"
    );
    let says = |script: &Script| Puppet::aggregate().describing_state(script).build();
    let state = |name: &str, reads: &[_]| Script::answers(|image| image.state_description(name, 1, reads));
    let components = vec![
        ("traps", says(&Script::does(Deed::Trap))),
        ("answers out of its memory", says(&Script::does(Deed::Answer).answering(0xffff_fff0))),
        ("a name of 300 bytes", says(&state(&"x".repeat(300), &[]))),
        ("a name with an end of line", says(&state("a\nb", &[]))),
        (
            "a name that is not UTF-8",
            says(&Script::answers(|image| {
                let name = image.bytes(b"\xff");
                image.words(&[name.0, name.1, 1, 0, 0])
            })),
        ),
        ("reads 1025 fields", says(&state("a", &vec![field("a", Kind::Text); 1025]))),
        ("reads a field that is not of the group", says(&state("a", &[field("user", Kind::Text)]))),
        ("a filter", Puppet::filter().build()),
    ];
    check(
        "state",
        &stages,
        components,
        expect![[r#"
        traps → 3: output `counts`, aggregate: the plugin `puppet` failed in `describe-state`: the plugin trapped: wasm `unreachable` instruction executed; in perform
        answers out of its memory → 3: output `counts`, aggregate: the plugin `puppet` failed in `describe-state`: the plugin broke the contract of its interface: its values cannot be read or written: pointer out of bounds of memory
        a name of 300 bytes → 3: output `counts`, aggregate: `puppet` cannot be used as a plugin: it names its state with 300 bytes, the limit is 256
        a name with an end of line → 3: output `counts`, aggregate: `puppet` cannot be used as a plugin: it names its state with a control character: "a\nb"
        a name that is not UTF-8 → 3: output `counts`, aggregate: the plugin `puppet` failed in `describe-state`: the plugin broke the contract of its interface: its values cannot be read or written: invalid utf-8 sequence of 1 bytes from index 0
        reads 1025 fields → 3: output `counts`, aggregate: `puppet` cannot be used as a plugin: it reads in `emit` 1025 fields, the limit is 1024
        reads a field that is not of the group → 2: the pipeline does not fit together: the pipeline cannot be built: the aggregate makes its documents with field=`user`, which is neither in group_by nor $window_start or $window_end
        a filter → 2: output `counts`, aggregate: the component does not belong here, kind=`filter`; only an aggregate can fold windows; this belongs into [[output.transform]]
    "#]],
    );
}

/// A start has ten seconds; here it has less.
#[test]
fn a_component_that_does_not_come_back_from_its_start_is_refused() {
    let engine = Engine::new().expect("an engine");
    let spins = Script::does(Deed::Spin);
    let begins =
        Puppet::filter().text("").replacen("(memory", "(func $begin_so (loop (br 0))) (start $begin_so) (memory", 1);
    let components = [
        ("does not start", module(&begins, &wit(), "", "filter-plugin")),
        ("failed in `describe`", Puppet::filter().describing(&spins).build()),
        ("failed in `configure`", Puppet::filter().configuring(&spins).build()),
        ("failed in `describe-state`", Puppet::aggregate().describing_state(&spins).build()),
    ];
    for (what, component) in components {
        let inspected = inspect_bytes(&engine, "puppet", &component, None, Duration::from_millis(40));
        let error = inspected.expect_err("it never comes back").to_string();
        assert!(error.contains(what) && error.contains("did not come back"), "{error}");
    }
}

#[test]
fn a_pipeline_file_names_components_that_are_there_once() {
    let mut loader = Loader::default();
    let mut refused = |stages: &str, plugins: &[(&str, &[u8])]| {
        let (code, said) = Job::new("files", stages, plugins).refusal(&mut loader);
        let said = said.replace(&tidegate_tests::workspace::target().display().to_string(), "TARGET");
        format!("{code}: {said}\n")
    };
    let twice = "[[transform]]\nplugin = \"puppet.wasm\"\n".to_owned() + &transform("puppet");
    let puppet = Puppet::filter().build();
    let table = [
        refused(&transform("puppet"), &[]),
        refused(&transform("../evil-files"), &[]),
        refused(&twice, &[("puppet", &puppet)]),
    ];
    expect![[r#"
        2: transform `puppet`: cannot read the component: No such file or directory (os error 2); file=`TARGET/test-scratch/evil-files/./puppet.wasm`
        2: transform `evil-files`: cannot read the component: No such file or directory (os error 2); file=`TARGET/test-scratch/evil-files/./../evil-files.wasm`
        2: TARGET/test-scratch/evil-files/pipeline.toml:16:10: there is a transform of this name already: plugin=`puppet`
            a transform is named after its file: give one of them a `name`
    "#]].assert_eq(&table.concat());
}
