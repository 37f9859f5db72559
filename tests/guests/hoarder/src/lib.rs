//! A filter that keeps each user's first record and remembers who was there: state, of which the runtime knows nothing.

use std::collections::BTreeSet;
use std::sync::Mutex;

use tidegate_sdk::{Fields, filter};

static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

#[derive(Fields)]
struct Record<'a> {
    user: &'a str,
}

#[filter]
fn is_new(record: Record<'_>) -> bool {
    SEEN.lock().is_ok_and(|mut seen| seen.insert(record.user.to_owned()))
}
