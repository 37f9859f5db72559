//! The sink: documents out, one verdict each; dead letters. It alone knows HTTP to the index, bulk bodies and status
//! codes, and sees neither source nor plugin.

pub mod dead_letter;

pub use dead_letter::{DeadLetters, LatePart};
