//! Bytes, given as a component.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tidegate::plugin::Engine;
use tidegate_tests::counting::Counting;
use tidegate_tests::fuzz::inspect;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The runtime catches the encoder's panics, so one that is caught is none; libFuzzer's hook would end the process.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    Engine::new().expect("an engine")
});

fuzz_target!(|bytes: &[u8]| {
    inspect(&ENGINE, bytes);
});
