//! Components that do evil, and what whole pipelines make of it. Each table says: a deed → what became of the record. The documents
//! of the innocents before, between and after are, byte by byte, those of a run without the evil records; instances stay within
//! their limits, and the host's own memory does not grow with what they answer.

#[path = "evil/aggregates.rs"]
mod aggregates;
#[path = "evil/components.rs"]
mod components;
#[path = "evil/enrichers.rs"]
mod enrichers;
#[path = "evil/filters.rs"]
mod filters;
#[path = "evil/programs.rs"]
mod programs;
#[path = "evil/stacks.rs"]
mod stacks;
#[path = "evil/strangers.rs"]
mod strangers;

use tidegate::record::{Reason, ReasonKind, Rejection};
use tidegate_tests::counting::Counting;
use tidegate_tests::evil::{Record, among_innocents};
use tidegate_tests::puppet::{Deed, Script, ZEROS};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What an instance may have of memory, by these limits.
const MEMORY_MAX: u64 = 8 << 20;
const LIMITS: &str = r#"limits = { deadline = "40ms", memory = "8MiB", output = "2000KiB", state = "1KiB" }"#;

type Deeds = Vec<(&'static str, Script)>;

fn among(deeds: Deeds) -> Vec<Record> {
    among_innocents(deeds.into_iter().map(|(name, script)| (name.to_owned(), script)).collect())
}

/// A pipeline file's transform, and an output of documents.
fn transform(plugin: &str) -> String {
    format!("[[transform]]\nplugin = \"{plugin}.wasm\"\n{LIMITS}\n[[output]]\nname = \"events\"\nindex = \"events\"\n")
}

/// What any kind of component can do in a call.
fn deeds() -> Deeds {
    vec![
        ("traps", Script::does(Deed::Trap)),
        ("traps, with last words", Script::does(Deed::LastWords)),
        ("spins", Script::does(Deed::Spin)),
        ("spins again", Script::does(Deed::Spin)),
        ("recurses for ever", Script::does(Deed::Recurse)),
        ("takes memory for ever", Script::does(Deed::Hoard)),
        ("reads beyond its memory", Script::does(Deed::ReadBeyond)),
        ("logs for ever", Script::does(Deed::Chatter)),
        ("logs 2 MiB at once", Script::does(Deed::Shout)),
        ("logs at a level that there is not", Script::does(Deed::BadLevel)),
        ("logs what is not in its memory", Script::does(Deed::BadMessage)),
        ("leaks", Script::does(Deed::Leak)),
        ("allocates out of its memory from now on", Script::lies(0x7fff_fff0)),
        ("allocates at odd addresses from now on", Script::lies(1)),
        ("answers at an odd address", Script::does(Deed::Answer).answering(ZEROS + 3)),
        ("answers at the end of its memory", Script::does(Deed::Answer).answering(0x40_0000 - 4)),
        ("answers at the end of all memory", Script::does(Deed::Answer).answering(0xffff_fffc)),
    ]
}

fn rejection(row: u32, reason: &str) -> Rejection {
    Rejection { row, reason: Reason::new(ReasonKind::Plugin, reason) }
}
