//! Which names a plugin's crate may have: those that cargo takes, that a file can have everywhere, and that mean nothing else.

const LENGTH_MAX: usize = 64;

/// What Rust has for itself, as words or as crates, and what the crate itself uses.
const TAKEN: &str = "abstract alloc as async await become box break const continue core crate do dyn else enum extern false \
    final fn for gen if impl in let loop macro match mod move mut override priv proc-macro pub ref return self serde static std \
    struct super test tidegate-sdk trait true try type typeof unsafe unsized use virtual where while yield";

/// Why a name cannot be taken.
pub(super) fn judge(name: &str) -> Result<(), &'static str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err("it begins with a letter");
    }
    if !name.chars().all(is_plain) {
        return Err("it is made of letters, digits, `-` and `_`");
    }
    if name.len() > LENGTH_MAX {
        return Err("it has at most 64 letters");
    }
    let word = name.to_ascii_lowercase().replace('_', "-");
    if TAKEN.split_whitespace().any(|taken| taken == word) {
        return Err("the word means something else in Rust, or is another crate's name");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_cargo_takes() {
        for name in ["a", "big-orders", "big_orders2", "Orders"] {
            assert_eq!(judge(name), Ok(()), "{name}");
        }
        let long = "a".repeat(65);
        for name in
            ["", "2fast", "-a", "_a", "a.b", "a/b", "..", "größe", "a b", "fn", "test", "std", "tidegate_sdk", &long]
        {
            assert!(judge(name).is_err(), "{name}");
        }
    }
}
