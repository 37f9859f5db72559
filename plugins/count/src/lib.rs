//! An aggregate: how many records there are of a group, in a window.

use serde::{Deserialize, Serialize};
use tidegate_sdk::{Aggregate, Fields, Reject, Window, aggregate};

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// The field that the count is written to.
    r#as: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { r#as: "count".to_owned() }
    }
}

#[derive(Fields)]
struct Counted {
    #[field(path = settings.r#as)]
    records: u64,
}

#[derive(Default, Serialize, Deserialize)]
struct Count {
    records: u64,
}

#[aggregate(state = 1)]
impl Aggregate for Count {
    type Row<'a> = ();
    type Out = Counted;

    fn add(&mut self, (): ()) -> Result<(), Reject> {
        self.records += 1;
        Ok(())
    }

    fn merge(&mut self, later: Self) {
        self.records += later.records;
    }

    fn emit(&self, _window: &Window) -> Vec<Counted> {
        vec![Counted { records: self.records }]
    }
}

#[cfg(test)]
mod tests {
    use tidegate_sdk::test::{json, ports, refusal, run};

    use super::*;

    #[test]
    fn every_record_counts() {
        let records = [json!({}), json!({"a": 1}), json!({"a": null})];
        assert_eq!(run(plugin, json!({}), records.clone()).documents, [json!({"count": 3})]);
        assert_eq!(run(plugin, json!({"as": "event_count"}), records).documents, [json!({"event_count": 3})]);
    }

    #[test]
    fn nothing_is_read() {
        assert_eq!(ports(plugin, json!({})).reads, []);
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(refusal(plugin, json!({"name": "n"})), "unknown field `name`, expected `as`");
        assert_eq!(refusal(plugin, json!({"as": ""})), "the path of the field records is empty");
    }
}
