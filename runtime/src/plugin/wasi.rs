//! A WASI that answers and gives nothing, for components whose toolchain needs one: no files, environment or network; the
//! clock is 0, randomness is zeros, what is printed becomes debug lines. Answers follow from the types of the functions.

use wasmtime::StoreContextMut;
use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem, Type};
use wasmtime::component::{LinkerInstance, Resource, ResourceType, Val};

use super::host::Host;

/// What an output stream takes at once.
const WRITE_BYTES_MAX: u64 = 4 << 10;
/// What may be asked of the source of zeros at once.
const RANDOM_BYTES_MAX: u64 = 64 << 10;

/// Stands behind every resource: none of them has anything.
struct Nothing;

/// Serves all that the component uses of the interface `name`; an error names what cannot be served.
pub(super) fn define(
    linker: &mut LinkerInstance<'_, Host>,
    engine: &wasmtime::Engine,
    name: &str,
    instance: &ComponentInstance,
) -> Result<(), String> {
    for (item, external) in instance.exports(engine) {
        let refuse =
            |why: &str| format!("it imports `{item}` of `{name}`, which this runtime cannot stand in for: {why}");
        let defined = match external.ty {
            ComponentItem::ComponentFunc(function) => {
                if function.async_() {
                    return Err(refuse("it is asynchronous"));
                }
                function.results().try_for_each(|result| servable(&result)).map_err(refuse)?;
                let full_name = format!("{}#{item}", name.split('@').next().unwrap_or(name));
                linker.func_new(item, move |store, function, arguments, results| {
                    serve(store, &full_name, &function, arguments, results)
                })
            }
            ComponentItem::Resource(_) => linker.resource(item, ResourceType::host::<Nothing>(), |_, _| Ok(())),
            ComponentItem::Type(_) => Ok(()),
            ComponentItem::ComponentInstance(_)
            | ComponentItem::Component(_)
            | ComponentItem::Module(_)
            | ComponentItem::CoreFunc(_) => return Err(refuse("it is neither a function nor a type")),
        };
        defined.map_err(|error| refuse(&format!("{error:#}")))?;
    }
    Ok(())
}

fn serve(
    mut store: StoreContextMut<'_, Host>,
    name: &str,
    function: &ComponentFunc,
    arguments: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    for (result, ty) in results.iter_mut().zip(function.results()) {
        *result = answer(&mut store, name, arguments, &ty)?;
    }
    if results.is_empty() && name == "wasi:cli/exit#exit" {
        wasmtime::bail!("it asked to exit");
    }
    arguments.iter().try_for_each(|argument| release(&mut store, argument))
}

/// The few answers that a caller would wait for or misread if they followed from the type alone; then the rule.
fn answer(store: &mut StoreContextMut<'_, Host>, name: &str, arguments: &[Val], ty: &Type) -> wasmtime::Result<Val> {
    let (interface, item) = name.split_once('#').unwrap_or(("", name));
    if let Some(method) = item.strip_prefix("[method]output-stream.") {
        if let Some(Val::List(bytes)) = arguments.get(1) {
            let bytes: Vec<u8> = bytes.iter().map(|byte| if let Val::U8(byte) = byte { *byte } else { 0 }).collect();
            store.data_mut().print(&bytes);
        }
        let done = match method {
            "check-write" => Some(Val::U64(WRITE_BYTES_MAX)),
            _ => match ty {
                Type::Result(result) => result.ok().map(|ok| nothing(store, &ok)).transpose()?,
                _ => return nothing(store, ty),
            },
        };
        return Ok(Val::Result(Ok(done.map(Box::new))));
    }
    match (interface, item, arguments) {
        // Everything is ready at once, or a guest would ask for ever.
        (_, "[method]pollable.ready", _) => Ok(Val::Bool(true)),
        ("wasi:io/poll", "poll", [Val::List(pollables)]) => {
            Ok(Val::List((0..pollables.len()).map(|at| Val::U32(u32::try_from(at).unwrap_or(u32::MAX))).collect()))
        }
        ("wasi:random/random" | "wasi:random/insecure", _, [Val::U64(len)]) => match usize::try_from(*len) {
            Ok(wanted) if *len <= RANDOM_BYTES_MAX => Ok(Val::List(vec![Val::U8(0); wanted])),
            _ => wasmtime::bail!("it asked for {len} random bytes at once, its limit is {RANDOM_BYTES_MAX}"),
        },
        _ => nothing(store, ty),
    }
}

/// The value of a type that holds least: 0, empty, none, the first case; an error where there is one.
fn nothing(store: &mut StoreContextMut<'_, Host>, ty: &Type) -> wasmtime::Result<Val> {
    Ok(match ty {
        Type::Bool => Val::Bool(false),
        Type::S8 => Val::S8(0),
        Type::U8 => Val::U8(0),
        Type::S16 => Val::S16(0),
        Type::U16 => Val::U16(0),
        Type::S32 => Val::S32(0),
        Type::U32 => Val::U32(0),
        Type::S64 => Val::S64(0),
        Type::U64 => Val::U64(0),
        Type::Float32 => Val::Float32(0.0),
        Type::Float64 => Val::Float64(0.0),
        Type::Char => Val::Char('\0'),
        Type::String => Val::String(String::new()),
        Type::List(_) => Val::List(Vec::new()),
        Type::Map(_) => Val::Map(Vec::new()),
        Type::Flags(_) => Val::Flags(Vec::new()),
        Type::Option(_) => Val::Option(None),
        Type::Record(record) => {
            let mut fields = Vec::new();
            for field in record.fields() {
                fields.push((field.name.to_owned(), nothing(store, &field.ty)?));
            }
            Val::Record(fields)
        }
        Type::Tuple(tuple) => {
            let mut parts = Vec::new();
            for part in tuple.types() {
                parts.push(nothing(store, &part)?);
            }
            Val::Tuple(parts)
        }
        Type::Enum(names) => Val::Enum(names.names().next().unwrap_or_default().to_owned()),
        Type::Variant(variant) => {
            let empty = variant.cases().find(|case| case.ty.is_none());
            match empty.or_else(|| variant.cases().next()) {
                Some(case) => {
                    let held = case.ty.map(|held| nothing(store, &held)).transpose()?;
                    Val::Variant(case.name.to_owned(), held.map(Box::new))
                }
                None => wasmtime::bail!("a variant without cases"),
            }
        }
        Type::Result(result) => match (result.ok(), result.err()) {
            (_, Some(err)) => Val::Result(Err(Some(Box::new(nothing(store, &err)?)))),
            (Some(ok), None) => Val::Result(Ok(Some(Box::new(nothing(store, &ok)?)))),
            (None, None) => Val::Result(Ok(None)),
        },
        Type::Own(_) => Val::Resource(Resource::<Nothing>::new_own(0).try_into_resource_any(store)?),
        Type::Borrow(_) | Type::Future(_) | Type::Stream(_) | Type::ErrorContext | Type::FixedLengthList(_) => {
            wasmtime::bail!("a type that was refused when the component was loaded")
        }
    })
}

/// Whether [`nothing`] has a value of a type; else why not.
fn servable(ty: &Type) -> Result<(), &'static str> {
    match ty {
        Type::Bool
        | Type::S8
        | Type::U8
        | Type::S16
        | Type::U16
        | Type::S32
        | Type::U32
        | Type::S64
        | Type::U64
        | Type::Float32
        | Type::Float64
        | Type::Char
        | Type::String
        | Type::List(_)
        | Type::Map(_)
        | Type::Flags(_)
        | Type::Option(_)
        | Type::Enum(_)
        | Type::Own(_) => Ok(()),
        Type::Record(record) => record.fields().try_for_each(|field| servable(&field.ty)),
        Type::Tuple(tuple) => tuple.types().try_for_each(|part| servable(&part)),
        Type::Variant(variant) => variant.cases().filter_map(|case| case.ty).try_for_each(|held| servable(&held)),
        Type::Result(result) => result.ok().iter().chain(result.err().iter()).try_for_each(servable),
        Type::Borrow(_) | Type::Future(_) | Type::Stream(_) | Type::ErrorContext | Type::FixedLengthList(_) => {
            Err("it gives back a borrow, a future, a stream, an error context or a list of fixed length")
        }
    }
}

/// Arguments that are handles stay in the store until they are dropped.
fn release(store: &mut StoreContextMut<'_, Host>, argument: &Val) -> wasmtime::Result<()> {
    match argument {
        Val::Resource(resource) => resource.resource_drop(&mut *store),
        Val::List(values) | Val::Tuple(values) => values.iter().try_for_each(|value| release(store, value)),
        Val::Option(Some(value)) => release(store, value),
        Val::Record(fields) => fields.iter().try_for_each(|(_, value)| release(store, value)),
        Val::Variant(_, Some(value)) | Val::Result(Ok(Some(value)) | Err(Some(value))) => release(store, value),
        // Without handles inside; maps and futures cannot carry a borrow.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::tests::{self as guests, Guest};
    use super::super::{Component, Import, Instance};
    use crate::record::{Batch, Verdicts};

    const WIT: &str = "
        package test:test;
        world preview2 {
            include tidegate:plugin/filter-plugin@0.1.0;
            import wasi:clocks/monotonic-clock@0.2.3;
            import wasi:random/random@0.2.3;
            import wasi:cli/environment@0.2.3;
            import wasi:cli/stderr@0.2.3;
        }
        package wasi:clocks@0.2.3 { interface monotonic-clock { now: func() -> u64; } }
        package wasi:random@0.2.3 { interface random { get-random-bytes: func(len: u64) -> list<u8>; } }
        package wasi:io@0.2.3 {
            interface streams {
                resource output-stream {
                    check-write: func() -> result<u64, stream-error>;
                    blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
                }
                variant stream-error { failed(string), closed }
            }
        }
        package wasi:cli@0.2.3 {
            interface stderr { use wasi:io/streams@0.2.3.{output-stream}; get-stderr: func() -> output-stream; }
            interface environment { initial-cwd: func() -> option<string>; }
        }";

    const IMPORTS: &str = r#"
        (import "wasi:clocks/monotonic-clock@0.2.3" "now" (func $now (result i64)))
        (import "wasi:random/random@0.2.3" "get-random-bytes" (func $random (param i64 i32)))
        (import "wasi:cli/environment@0.2.3" "initial-cwd" (func $cwd (param i32)))
        (import "wasi:cli/stderr@0.2.3" "get-stderr" (func $stderr (result i32)))
        (import "wasi:io/streams@0.2.3" "[method]output-stream.check-write" (func $check (param i32 i32)))
        (import "wasi:io/streams@0.2.3" "[method]output-stream.blocking-write-and-flush"
            (func $write (param i32 i32 i32 i32)))
        (import "wasi:io/streams@0.2.3" "[resource-drop]output-stream" (func $drop (param i32)))"#;

    #[test]
    fn wasi_answers_and_gives_nothing() {
        let mut guest = Guest::new(&[], &[]);
        let words = guest.bytes(b"panicked\nat line 3");
        let fails = |what: &str| format!("(if {what} (then unreachable))");
        let steps = [
            fails("(i64.ne (call $now) (i64.const 0))"),
            "(i64.store (i32.const 0) (i64.const -1)) (call $random (i64.const 8) (i32.const 0))".into(),
            fails("(i32.ne (i32.load (i32.const 4)) (i32.const 8))"),
            fails("(i64.ne (i64.load (i32.load (i32.const 0))) (i64.const 0))"),
            "(i32.store (i32.const 0) (i32.const -1)) (call $cwd (i32.const 0))".into(),
            fails("(i32.load8_u (i32.const 0))"),
            "(global.set $handle (call $stderr)) (call $check (global.get $handle) (i32.const 0))".into(),
            fails("(i32.load8_u (i32.const 0))"),
            fails("(i64.ne (i64.load (i32.const 8)) (i64.const 4096))"),
            format!("(call $write (global.get $handle) (i32.const {}) (i32.const {}) (i32.const 0))", words.0, words.1),
            fails("(i32.load8_u (i32.const 0))"),
            "(call $drop (global.get $handle))".into(),
            fails("(i32.eq (local.get $rows) (i32.const 1))"),
        ];
        let answer = Verdicts { keep: vec![1, 1], rejected: Vec::new() };
        let text = guest.filter(&steps.concat(), &answer).text(IMPORTS);
        let text = text.replacen("(memory", "(global $handle (mut i32) (i32.const 0)) (memory", 1);
        let component = Component::from_bytes(guests::engine(), "test", &guests::module(&text, Some(WIT), "preview2"))
            .expect("loads");
        assert!(component.imports().contains(&Import { name: "wasi:random/random@0.2.3".into(), wasi: true }));

        let plugin = component.configure("{}").expect("configures");
        let Ok(Instance::Filter(mut filter)) = plugin.instantiate() else { panic!("a filter") };
        for _ in 0..2 {
            assert_eq!(filter.filter(&Batch { rows: 2, columns: Vec::new() }).as_ref(), Ok(&answer));
        }
        let verdicts = filter.filter(&Batch { rows: 1, columns: Vec::new() }).expect("goes on");
        expect!["the plugin trapped: wasm `unreachable` instruction executed; its last words: at line 3"]
            .assert_eq(&verdicts.rejected[0].reason.message);
    }
}
