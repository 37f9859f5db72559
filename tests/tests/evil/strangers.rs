//! Components that use what this runtime does not have: asynchronous functions, streams and futures, WASI 0.3, resources. They are
//! refused with a message, or what is strange about them is not used.

use expect_test::{Expect, expect};
use tidegate::pipeline::Loader;
use tidegate_tests::evil::{Job, Record};
use tidegate_tests::puppet::{Puppet, module, wit};

use super::transform;

/// A filter whose world also has this, of another package.
fn filter(more: &str, package: &str, imports: &str, functions: &str) -> Vec<u8> {
    let world = format!(
        "package acme:all; world strange {{ include tidegate:plugin/filter-plugin@0.1.0; {more} }}
         package {package}"
    );
    let text = Puppet::filter().text(imports);
    let text = text.trim_end().trim_end_matches(')').to_owned() + ")" + functions + ")";
    module(&text, &wit(), &world, "strange")
}

/// Why a pipeline does not start with it.
fn refused(what: &str, bytes: &[u8], expected: Expect) {
    let (code, said) =
        Job::new("strangers", &transform("puppet"), &[("puppet", bytes)]).refusal(&mut Loader::default());
    expected.assert_eq(&format!("{what} → {code}: {said}\n"));
}

#[test]
fn what_this_runtime_does_not_have_is_refused() {
    let asynchronous = wit().replace("filter: func(", "filter: async func(");
    let without_post = Puppet::filter().text("").replace("cabi_post_tidegate:plugin/filter@0.1.0#filter", "unused");
    refused(
        "an asynchronous filter",
        &module(&without_post, &asynchronous, "", "filter-plugin"),
        expect![[r#"
            an asynchronous filter → 3: transform `puppet`: `puppet` cannot be used as a plugin: it has asynchronous functions, streams or futures, and this runtime has none; build it without, and for WASI 0.2 where its language needs one: it does not compile: failed to parse WebAssembly module: async component functions require the component model async feature (at offset 0x10ac)
        "#]],
    );
    let describes = wit().replace("describe: func()", "describe: async func()");
    refused(
        "an asynchronous `describe`",
        &module(&Puppet::filter().text(""), &describes, "", "filter-plugin"),
        expect![[r#"
            an asynchronous `describe` → 3: transform `puppet`: `puppet` cannot be used as a plugin: it has asynchronous functions, streams or futures, and this runtime has none; build it without, and for WASI 0.2 where its language needs one: it does not compile: failed to parse WebAssembly module: async component functions require the component model async feature (at offset 0xcf3)
        "#]],
    );
    refused(
        "an import of an asynchronous function",
        &filter(
            "import wasi:clocks/monotonic-clock@0.3.0;",
            "wasi:clocks@0.3.0 { interface monotonic-clock { wait-for: async func(how-long: u64); } }",
            r#"(import "wasi:clocks/monotonic-clock@0.3.0" "wait-for" (func (param i64)))"#,
            "",
        ),
        expect![[r#"
            an import of an asynchronous function → 3: transform `puppet`: `puppet` cannot be used as a plugin: it has asynchronous functions, streams or futures, and this runtime has none; build it without, and for WASI 0.2 where its language needs one: it does not compile: failed to parse WebAssembly module: async component functions require the component model async feature (at offset 0xb)
        "#]],
    );
    refused(
        "an import that takes a stream",
        &filter(
            "import wasi:cli/stdout@0.3.0;",
            "wasi:cli@0.3.0 { interface stdout { write-via-stream: func(data: stream<u8>); } }",
            r#"(import "wasi:cli/stdout@0.3.0" "write-via-stream" (func (param i32)))"#,
            "",
        ),
        expect![[r#"
            an import that takes a stream → 3: transform `puppet`: `puppet` cannot be used as a plugin: it has asynchronous functions, streams or futures, and this runtime has none; build it without, and for WASI 0.2 where its language needs one: it does not compile: failed to parse WebAssembly module: `stream` requires the component model async feature (at offset 0xb)
        "#]],
    );
    refused(
        "an import that gives a future",
        &filter(
            "import wasi:cli/stdin@0.3.0;",
            "wasi:cli@0.3.0 { interface stdin { read: func() -> future<u8>; } }",
            r#"(import "wasi:cli/stdin@0.3.0" "read" (func (result i32)))"#,
            "",
        ),
        expect![[r#"
            an import that gives a future → 3: transform `puppet`: `puppet` cannot be used as a plugin: it has asynchronous functions, streams or futures, and this runtime has none; build it without, and for WASI 0.2 where its language needs one: it does not compile: failed to parse WebAssembly module: `future` requires the component model async feature (at offset 0xb)
        "#]],
    );
    refused(
        "an export of an asynchronous function",
        &filter(
            "export acme:other/run@1.0.0;",
            "acme:other@1.0.0 { interface run { run: async func(); } }",
            "",
            r#"(func (export "acme:other/run@1.0.0#run"))"#,
        ),
        expect![[r#"
            an export of an asynchronous function → 3: transform `puppet`: `puppet` cannot be used as a plugin: it has asynchronous functions, streams or futures, and this runtime has none; build it without, and for WASI 0.2 where its language needs one: it does not compile: failed to parse WebAssembly module: async component functions require the component model async feature (at offset 0xd15)
        "#]],
    );
    refused(
        "a resource of somebody else",
        &filter(
            "import acme:db/connections@1.0.0;",
            "acme:db@1.0.0 { interface connections { resource connection { constructor(); } } }",
            r#"(import "acme:db/connections@1.0.0" "[constructor]connection" (func (result i32)))"#,
            "",
        ),
        expect![[r#"
            a resource of somebody else → 3: transform `puppet`: `puppet` cannot be used as a plugin: it imports `acme:db/connections@1.0.0`, which this runtime does not have; a component may import tidegate:plugin/log, and wasi:… which is answered but gives nothing
        "#]],
    );
}

/// Nobody makes one, so nobody drops one.
#[test]
fn a_resource_that_is_exported_is_not_used() {
    let bytes = filter(
        "export acme:things/things@1.0.0;",
        "acme:things@1.0.0 { interface things { resource thing { constructor(); } } }",
        r#"(import "[export]acme:things/things@1.0.0" "[resource-new]thing" (func $new_thing (param i32) (result i32)))"#,
        r#"(func (export "acme:things/things@1.0.0#[constructor]thing") (result i32) (call $new_thing (i32.const 1)))
           (func (export "acme:things/things@1.0.0#[dtor]thing") (param i32) unreachable)"#,
    );
    let job = Job::new("stranger-resource", &transform("puppet"), &[("puppet", &bytes)]);
    let found = job.play(&[Record::innocent(0, "a")], true, 1, &mut Loader::default());
    assert_eq!((found.documents.len(), found.letters.len(), found.stopped), (1, 0, None));
}
