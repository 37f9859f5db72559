//! Compiled functions, kept while the process lives: of a component that changes, only the functions that changed are compiled.

use std::borrow::Cow;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use wasmtime::CacheStore;

/// All of them together: those of some ten components of 200 KB.
const BYTES_MAX: u64 = 32 << 20;
/// What a function has as a rule, to begin with.
const FUNCTION_BYTES: u64 = 2 << 10;

/// Code by the hash of what it is compiled from, which wasmtime makes.
#[derive(Debug)]
pub(super) struct Functions(Cache<Box<[u8]>, Arc<[u8]>, Bytes>);

#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<Box<[u8]>, Arc<[u8]>> for Bytes {
    fn weight(&self, key: &Box<[u8]>, code: &Arc<[u8]>) -> u64 {
        (key.len() + code.len()) as u64
    }
}

impl Functions {
    pub fn new() -> Self {
        let functions = usize::try_from(BYTES_MAX / FUNCTION_BYTES).unwrap_or_default();
        Functions(Cache::with_weighter(functions, BYTES_MAX, Bytes))
    }
}

impl CacheStore for Functions {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.0.get(key).map(|code| Cow::Owned(code.to_vec()))
    }

    fn insert(&self, key: &[u8], code: Vec<u8>) -> bool {
        self.0.insert(key.into(), code.into());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_kept_within_its_bound() {
        let functions = Functions::new();
        functions.insert(b"first", vec![7; 1000]);
        assert_eq!(functions.get(b"first").as_deref(), Some(&[7; 1000][..]));
        for key in 0..100u8 {
            functions.insert(&[key], vec![7; 1 << 20]);
        }
        assert!(functions.0.weight() <= BYTES_MAX && functions.0.len() > 10);
    }
}
