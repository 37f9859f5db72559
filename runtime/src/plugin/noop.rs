//! Components that do nothing: what a call of one costs is the price of the border, for the columns that it is given.

use wit_component::StringEncoding;
use wit_parser::Resolve;

use super::{Component, Engine, PluginError, PluginKind};

const WIT: &str = include_str!("../../../wit/tidegate.wit");

/// What all of them have: memory that grows, an allocator that begins anew after each call, no fields. The words that answers
/// are made of begin at 64; what is zero there says nothing.
const COMMON: &str = r#"
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 1024))
    (func $alloc (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
        (local $at i32) (local $more i32)
        (local.set $at (i32.and
            (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
            (i32.sub (i32.const 0) (local.get $align))))
        (global.set $top (i32.add (local.get $at) (local.get $size)))
        (local.set $more (i32.sub
            (i32.shr_u (i32.add (global.get $top) (i32.const 0xffff)) (i32.const 16))
            (memory.size)))
        (if (i32.gt_s (local.get $more) (i32.const 0))
            (then (if (i32.eq (memory.grow (local.get $more)) (i32.const -1)) (then unreachable))))
        (local.get $at))
    (func (export "tidegate:plugin/plugin@0.1.0#describe") (result i32)
        (i32.store (i32.const 64) (i32.const 32))
        (i32.store (i32.const 68) (i32.const 5))
        (i32.const 64))
    (func (export "cabi_post_tidegate:plugin/plugin@0.1.0#describe") (param i32)
        (memory.fill (i32.const 64) (i32.const 0) (i32.const 8)))
    (func (export "tidegate:plugin/plugin@0.1.0#configure") (param i32 i32) (result i32) (i32.const 64))
    (func (export "cabi_post_tidegate:plugin/plugin@0.1.0#configure") (param i32) (call $reset))
    (func $reset (global.set $top (i32.const 1024)))
    (data (i32.const 32) "no-op")
"#;

/// Keeps every row.
const FILTER: &str = r#"
    (func (export "tidegate:plugin/filter@0.1.0#filter") (param $rows i32) (param i32 i32) (result i32)
        (i32.store (i32.const 64) (call $alloc (i32.const 0) (i32.const 0) (i32.const 1) (local.get $rows)))
        (i32.store (i32.const 68) (local.get $rows))
        (memory.fill (i32.load (i32.const 64)) (i32.const 1) (local.get $rows))
        (i32.const 64))
    (func (export "cabi_post_tidegate:plugin/filter@0.1.0#filter") (param i32) (call $reset))
"#;

/// Passes every row on, and writes no field.
const ENRICH: &str = r#"
    (func (export "tidegate:plugin/enrich@0.1.0#enrich") (param i32 i32 i32) (result i32) (i32.const 64))
    (func (export "cabi_post_tidegate:plugin/enrich@0.1.0#enrich") (param i32) (call $reset))
"#;

/// Gives the states back as they came; it has none of its own to merge.
const AGGREGATE: &str = r#"
    (func (export "tidegate:plugin/aggregate@0.1.0#accumulate")
        (param $offsets i32) (param $count i32) (param $bytes i32) (param $len i32) (param i32 i32 i32 i32 i32) (result i32)
        (i32.store (i32.const 64) (local.get $offsets))
        (i32.store (i32.const 68) (local.get $count))
        (i32.store (i32.const 72) (local.get $bytes))
        (i32.store (i32.const 76) (local.get $len))
        (i32.const 64))
    (func (export "cabi_post_tidegate:plugin/aggregate@0.1.0#accumulate") (param i32)
        (memory.fill (i32.const 64) (i32.const 0) (i32.const 16))
        (call $reset))
    (func (export "tidegate:plugin/aggregate@0.1.0#describe-state") (result i32) (i32.const 64))
    (func (export "cabi_post_tidegate:plugin/aggregate@0.1.0#describe-state") (param i32))
    (func (export "tidegate:plugin/aggregate@0.1.0#merge") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
    (func (export "tidegate:plugin/aggregate@0.1.0#emit") (param i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
    (func (export "tidegate:plugin/aggregate@0.1.0#migrate") (param i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable)
"#;

/// A component of the kind that takes whatever columns it is given, looks at nothing, and does as little as its kind may.
pub fn noop(engine: &Engine, kind: PluginKind) -> Result<Component, PluginError> {
    let functions = match kind {
        PluginKind::Filter => FILTER,
        PluginKind::Enrich => ENRICH,
        PluginKind::Aggregate => AGGREGATE,
    };
    let bytes = module(&format!("(module {COMMON} {functions})"), kind).map_err(|error| PluginError::Component {
        name: "no-op".to_owned(),
        why: format!("the runtime's own text of it does not translate: {error}"),
    })?;
    Component::from_bytes(engine, "no-op", &bytes)
}

fn module(text: &str, kind: PluginKind) -> Result<Vec<u8>, String> {
    let mut bytes = wat::parse_str(text).map_err(|error| error.to_string())?;
    let mut resolve = Resolve::default();
    let package = resolve.push_str("tidegate.wit", WIT);
    let world = package.and_then(|package| resolve.select_world(&[package], Some(&format!("{kind}-plugin"))));
    let embedded = world
        .and_then(|world| wit_component::embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8));
    embedded.map(|()| bytes).map_err(|error| format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Instance;
    use crate::plugin::tests::engine;
    use crate::record::{Accumulated, Batch, Column, Output, Slices, Values, Verdicts};

    /// Larger than the memory that it begins with.
    fn batch() -> Batch {
        let values = (0..1000).map(|row| format!("{row:0>200}")).collect();
        Batch { rows: 1000, columns: vec![Column { values: Values::Slices(values), present: Vec::new() }] }
    }

    fn instance(kind: PluginKind) -> Instance {
        noop(engine(), kind)
            .expect("it is a component")
            .configure("{}")
            .expect("configured")
            .instantiate()
            .expect("starts")
    }

    #[test]
    fn each_kind_does_nothing_as_often_as_it_is_called() {
        let batch = batch();
        let Instance::Filter(mut filter) = instance(PluginKind::Filter) else { panic!("a filter") };
        let Instance::Enrich(mut enrich) = instance(PluginKind::Enrich) else { panic!("an enricher") };
        let Instance::Aggregate(mut aggregate) = instance(PluginKind::Aggregate) else { panic!("an aggregate") };
        let states: Slices = ["", "seven"].into_iter().collect();
        for _ in 0..3 {
            let kept = Verdicts { keep: vec![1; 1000], rejected: Vec::new() };
            assert_eq!(filter.filter(&batch), Ok(kept));
            assert_eq!(enrich.enrich(&batch), Ok(Output::default()));
            let unchanged = Accumulated { states: states.clone(), rejected: Vec::new() };
            assert_eq!(aggregate.accumulate(&states, &[0; 1000], &batch), Ok(unchanged));
        }
    }
}
