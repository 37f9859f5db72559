//! A filter that keeps everything: what it costs is the price of the border, for the fields that it is told to read.

use serde::Deserialize;
use tidegate_sdk::{Field, Kind, Row, filter};

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Settings {
    /// Read as text, and not looked at.
    text: Vec<String>,
    /// Asked for by presence.
    presence: Vec<String>,
}

struct Noop(Settings);

#[filter]
impl Noop {
    fn new(settings: Settings) -> Self {
        Noop(settings)
    }

    fn reads(&self) -> Vec<Field> {
        let fields = |paths: &[String], kind| paths.iter().map(move |path| Field::new(path, kind)).collect::<Vec<_>>();
        [fields(&self.0.text, Kind::Text), fields(&self.0.presence, Kind::Presence)].concat()
    }

    fn filter(&self, _row: Row<'_>) -> bool {
        true
    }
}
