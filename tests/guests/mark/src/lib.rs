//! Writes a mark that its settings say, and breaks or rejects where they say so: versions of it are told apart by what they
//! write.

use serde::Deserialize;
use tidegate_sdk::{Fields, Reject, enrich};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    mark: String,
    /// Records whose `n` can be divided by it are rejected.
    #[serde(default)]
    reject: Option<i64>,
    /// It panics on those.
    #[serde(default)]
    panic: Option<i64>,
}

#[derive(Fields)]
struct Numbered {
    n: i64,
}

#[derive(Fields)]
struct Marked<'a> {
    mark: &'a str,
}

struct Mark(Settings);

#[enrich]
impl Mark {
    fn new(settings: Settings) -> Self {
        Mark(settings)
    }

    fn enrich(&self, record: Numbered) -> Result<Marked<'_>, Reject> {
        let hits = |divisor: Option<i64>| divisor.is_some_and(|divisor| record.n % divisor == 0);
        assert!(!hits(self.0.panic), "it does not like {}", record.n);
        if hits(self.0.reject) {
            return Err(Reject::new("it does not like it"));
        }
        Ok(Marked { mark: &self.0.mark })
    }
}
