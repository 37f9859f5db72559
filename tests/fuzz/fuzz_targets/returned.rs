//! Memory that a guest answers with.

#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use tidegate::plugin::Engine;
use tidegate_tests::counting::Counting;
use tidegate_tests::fuzz::Returned;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static RETURNED: RefCell<Returned> = RefCell::new(Returned::new(&Engine::new().expect("an engine")));
}

fuzz_target!(|input: &[u8]| {
    RETURNED.with_borrow_mut(|returned| returned.answer(input));
});
