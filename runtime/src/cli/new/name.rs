//! Which names a plugin's crate may have: those that cargo takes, that a file can have everywhere, and that mean nothing else.

use crate::config::TAP_PLACES;

const LENGTH_MAX: usize = 64;

/// What Rust has for itself, as words or as crates, and what the crate itself uses.
const TAKEN: &str = "abstract alloc as async await become box break const continue core crate do dyn else enum extern false \
    final fn for gen if impl in let loop macro match mod move mut override priv proc-macro pub ref return self serde static std \
    struct super test tidegate-sdk tidegate-sdk-macros trait true try type typeof unsafe unsized use virtual where while yield";
/// What no file can be called on Windows.
const DEVICES: &str =
    "aux com1 com2 com3 com4 com5 com6 com7 com8 com9 con lpt1 lpt2 lpt3 lpt4 lpt5 lpt6 lpt7 lpt8 lpt9 nul prn";

/// Why a name cannot be taken.
pub(super) fn judge(name: &str) -> Result<(), &'static str> {
    // The compiler warns of a large letter at each build.
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err("it begins with a letter");
    }
    if !name.chars().all(is_plain) {
        return Err("it is made of small letters (a to z), digits, `-` and `_`");
    }
    if name.len() > LENGTH_MAX {
        return Err("it has at most 64 letters");
    }
    let word = name.replace('_', "-");
    if TAKEN.split_whitespace().any(|taken| taken == word) {
        return Err("the word means something else in Rust, or is another crate's name");
    }
    if TAP_PLACES.contains(&name) {
        return Err("it is a place of every pipeline, and no transform can be called so");
    }
    if DEVICES.split_whitespace().any(|device| device == name) {
        return Err("no file can be called so on Windows");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_cargo_takes() {
        for name in ["a", "big-orders", "big_orders2"] {
            assert_eq!(judge(name), Ok(()), "{name}");
        }
        let long = "a".repeat(65);
        let strange = ["", "2fast", "-a", "_a", "a.b", "a/b", "..", "größe", "a b", "Orders", &long];
        let taken = ["fn", "test", "std", "tidegate_sdk", "tidegate-sdk-macros", "aux", "sink"];
        for name in strange.into_iter().chain(taken) {
            assert!(judge(name).is_err(), "{name}");
        }
    }
}
