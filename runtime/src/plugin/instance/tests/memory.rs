//! Memory that grows from call to call, and memory that all components share.

use super::*;
use crate::config::OnTrap;
use crate::plugin::{Engine, EngineSettings};
use crate::record::{ErrorKind, HasKind};

/// A filter that takes so many more pages with each call, and keeps all.
fn growing(pages: u32) -> Guest {
    let answer = Verdicts { keep: vec![1, 1, 1], rejected: Vec::new() };
    let grow = format!("(if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then unreachable))");
    Guest::new(&[], &[]).filter(&grow, &answer)
}

#[test]
fn an_instance_that_leaks_makes_room_for_a_fresh_one_before_it_breaks() {
    let mut filter = filter(guests::narrow(), &growing(1));
    for _ in 0..100 {
        assert_eq!(filter.filter(&batch()).expect("serves").keep, [1, 1, 1]);
    }
    let counts = filter.0.plugin().usage().read();
    assert_eq!((counts.calls, counts.broken, counts.restarts), (100, 0, 3), "32 calls each");
    assert!(counts.memory_bytes_most <= 4 << 20, "within its limit");
}

#[test]
fn a_plugin_that_needs_much_for_a_batch_keeps_its_instance_for_some_calls() {
    let mut filter = filter(Limits::default(), &growing(16));
    for _ in 0..31 {
        filter.filter(&batch()).expect("serves");
    }
    assert_eq!(filter.0.plugin().usage().read().restarts, 0);
}

#[test]
fn memory_that_all_components_share_is_no_records_fault() {
    let engine = Engine::with(&EngineSettings { memory_bytes_max: 5 << 20, ..EngineSettings::default() });
    let engine = engine.expect("an engine");
    let component = Component::from_bytes(&engine, "test", &growing(96).build("filter-plugin")).expect("loads");
    let plugin = component.configure("{}").expect("configures");
    let mut filter = FilterInstance::new(plugin.clone()).expect("starts");
    expect!["the plugin needs 6291456 more bytes of memory, and the components together may have 5242880; raise [limits] memory, or have fewer workers"]
        .assert_eq(&filter.filter(&batch()).expect_err("too much").to_string());
    drop(filter);
    let two = [FilterInstance::new(plugin.clone()).expect("starts"), FilterInstance::new(plugin).expect("starts")];
    drop(two);
}

/// Others took its memory when it broke.
#[test]
fn an_instance_that_finds_no_room_to_start_again_is_no_fault_of_its_plugin() {
    let engine = Engine::with(&EngineSettings { memory_bytes_max: 5 << 20, ..EngineSettings::default() });
    let traps = Guest::new(&[], &[]).filter("unreachable", &Verdicts::default()).build("filter-plugin");
    let component = Component::from_bytes(&engine.expect("an engine"), "test", &traps).expect("loads");
    let plugin = component.configure("{}").and_then(|plugin| plugin.with_on_trap(OnTrap::Stop)).expect("configures");
    let mut filter = FilterInstance::new(plugin.clone()).expect("starts");
    assert_eq!(filter.filter(&batch()).expect_err("traps").kind(), ErrorKind::Plugin);
    let others = [FilterInstance::new(plugin.clone()).expect("starts"), FilterInstance::new(plugin).expect("starts")];
    let crowded = filter.filter(&batch()).expect_err("no room");
    assert_eq!((crowded.kind(), crowded.to_string().contains("raise [limits] memory")), (ErrorKind::Config, true));
    drop(others);
    assert_eq!(filter.filter(&batch()).expect_err("traps").kind(), ErrorKind::Plugin, "there is room again");
}
