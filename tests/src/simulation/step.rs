//! What may happen to the world, and how likely it is.

use fastrand::Rng;

/// What may happen next.
#[derive(Clone, Copy)]
pub enum Step {
    Produce,
    Read,
    Perform,
    Answer,
    Commit,
    Idle,
    Crash,
    Assign,
    EndZombie,
    Rewind,
    /// The pipeline file has an output more, or less, from here on.
    ChangeOutputs,
    NewVersion,
    NewStates,
    Deploy,
    Convert,
    Checkpoint,
    /// A checkpoint that was given up comes to the store after all.
    LatePut,
    /// The store answers nobody from here on, or again.
    StoreFails,
    StoreAnswers,
    /// The location with the copies likewise.
    CopyFails,
    CopyAnswers,
    /// The store is lost for good, and the copies take its place.
    Promote,
}

pub const STEPS: usize = 22;

/// How likely each step is: another mixture for each seed, so that some worlds write slowly, some commit seldom.
pub fn chances(rng: &mut Rng) -> [(Step, usize); STEPS] {
    [
        (Step::Produce, rng.usize(5..30)),
        (Step::Read, rng.usize(10..60)),
        (Step::Perform, rng.usize(20..200)),
        (Step::Answer, rng.usize(10..100)),
        (Step::Commit, rng.usize(1..30)),
        (Step::Idle, rng.usize(0..10)),
        (Step::Crash, rng.usize(1..8)),
        (Step::Assign, rng.usize(1..20)),
        (Step::EndZombie, rng.usize(1..10)),
        (Step::Rewind, [0, 0, 1][rng.usize(..3)]),
        (Step::ChangeOutputs, rng.usize(0..2)),
        (Step::NewVersion, rng.usize(1..8)),
        (Step::NewStates, rng.usize(0..4)),
        (Step::Deploy, rng.usize(1..20)),
        (Step::Convert, rng.usize(0..20)),
        // A pipeline may make none: then its positions wait for its windows.
        (Step::Checkpoint, [0, rng.usize(5..60)][rng.usize(..2)]),
        (Step::LatePut, rng.usize(0..4)),
        (Step::StoreFails, [0, 0, 1][rng.usize(..3)]),
        (Step::StoreAnswers, rng.usize(1..10)),
        (Step::CopyFails, rng.usize(0..4)),
        (Step::CopyAnswers, rng.usize(1..10)),
        (Step::Promote, [0, 0, 1][rng.usize(..3)]),
    ]
}
