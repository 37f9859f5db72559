//! A filter: all named fields are there and not null, of whatever kind.

use serde::Deserialize;
use tidegate_sdk::{Field, Kind, Row, filter};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The fields' paths.
    fields: Vec<String>,
}

struct RequireFields {
    fields: Vec<Field>,
}

#[filter]
impl RequireFields {
    fn new(settings: Settings) -> Result<Self, String> {
        if settings.fields.is_empty() {
            return Err("fields is empty: name one at least".to_owned());
        }
        Ok(RequireFields { fields: settings.fields.into_iter().map(|path| Field::new(path, Kind::Presence)).collect() })
    }

    fn reads(&self) -> Vec<Field> {
        self.fields.clone()
    }

    fn filter(&self, row: Row<'_>) -> bool {
        row.all_present()
    }
}

#[cfg(test)]
mod tests {
    use tidegate_sdk::test::{Verdict, json, refusal, run};

    use super::*;

    #[test]
    fn a_record_without_one_of_them_is_dropped() {
        let records = [
            json!({"user_id": "u", "geo": {"country": "NO"}}),
            json!({"user_id": null, "geo": {"country": "NO"}}),
            json!({"user_id": "u", "geo": {}}),
            json!({"user_id": "u"}),
            json!({}),
        ];
        let passed = Verdict::Passed(records[0].clone());
        let verdicts = run(plugin, json!({"fields": ["user_id", "geo.country"]}), records);
        assert_eq!(verdicts[0], passed);
        assert!(verdicts[1..].iter().all(|verdict| *verdict == Verdict::Dropped));
    }

    #[test]
    fn any_kind_of_value_is_a_value() {
        let records = [json!({"a": 0}), json!({"a": ""}), json!({"a": false}), json!({"a": []}), json!({"a": {}})];
        let verdicts = run(plugin, json!({"fields": ["a"]}), records.clone());
        assert_eq!(verdicts, records.map(Verdict::Passed));
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(refusal(plugin, json!({})), "missing field `fields`");
        assert_eq!(refusal(plugin, json!({"fields": []})), "fields is empty: name one at least");
    }
}
