//! The next version: its mark has a tone, which must be set.

use serde::Deserialize;
use tidegate_sdk::{Fields, enrich};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    mark: String,
    tone: String,
}

#[derive(Fields)]
struct Marked<'a> {
    mark: &'a str,
}

struct Mark(String);

#[enrich]
impl Mark {
    fn new(settings: Settings) -> Self {
        Mark(format!("{} {}", settings.tone, settings.mark))
    }

    fn enrich(&self, _record: ()) -> Marked<'_> {
        Marked { mark: &self.0 }
    }
}
