//! An enricher: fields get other names, go away, or are set to a constant.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Constant;
use tidegate_sdk::{Field, Json, Kind, Row, Value, Values, enrich};

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Settings {
    /// Old path to new path. Where the old field is absent, a field that is at the new path stays.
    rename: BTreeMap<String, String>,
    /// Paths of fields that go away.
    remove: Vec<String>,
    /// Path to value: a text, a number, a boolean, an array or a table.
    set: BTreeMap<String, Constant>,
}

struct Shape {
    /// From, to.
    renames: Vec<(String, String)>,
    removes: Vec<String>,
    sets: Vec<(String, Value<'static>)>,
}

#[enrich]
impl Shape {
    fn new(settings: Settings) -> Result<Self, String> {
        let mut sets = Vec::new();
        for (path, constant) in settings.set {
            let value = value(constant).ok_or_else(|| format!("set: `{path}` has no value that can be written"))?;
            sets.push((path, value));
        }
        let shape = Shape { renames: settings.rename.into_iter().collect(), removes: settings.remove, sets };
        let fields = shape.writes();
        if fields.is_empty() {
            return Err("nothing to do: rename, remove or set is wanted".to_owned());
        }
        apart(fields.iter().map(|field| field.path.as_str()))?;
        Ok(shape)
    }

    /// Of each rename the old field, then the new one.
    fn reads(&self) -> Vec<Field> {
        let both = self.renames.iter().flat_map(|(from, to)| [from, to]);
        both.map(|path| Field::new(path, Kind::Json)).collect()
    }

    /// As read, then what is removed, then what is set.
    fn writes(&self) -> Vec<Field> {
        let removes = self.removes.iter().map(|path| Field::new(path, Kind::Json));
        let sets = self.sets.iter().map(|(path, value)| Field::new(path, value.kind()));
        self.reads().into_iter().chain(removes).chain(sets).collect()
    }

    fn enrich<'a>(&'a self, row: Row<'a>) -> Values<'a> {
        let renames = (0..row.len()).step_by(2).flat_map(|from| [None, row.get(from).or_else(|| row.get(from + 1))]);
        let removes = self.removes.iter().map(|_| None);
        let sets = self.sets.iter().map(|(_, value)| Some(value.clone()));
        renames.chain(removes).chain(sets).collect()
    }
}

fn value(constant: Constant) -> Option<Value<'static>> {
    match constant {
        Constant::Null => None,
        Constant::Bool(boolean) => Some(Value::Boolean(boolean)),
        Constant::Number(number) => number.as_i64().map(Value::Integer).or_else(|| number.as_f64().map(Value::Float)),
        Constant::String(text) => Some(text.into()),
        other @ (Constant::Array(_) | Constant::Object(_)) => Some(Value::Json(Json::from_text(other.to_string()))),
    }
}

/// No path is named twice, and none is within another.
fn apart<'a>(paths: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let paths: Vec<&str> = paths.collect();
    for (index, path) in paths.iter().enumerate() {
        if path.is_empty() {
            return Err("a path is empty".to_owned());
        }
        for other in &paths[index + 1..] {
            let within = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
            if path == other {
                return Err(format!("`{path}` is named twice"));
            }
            if within(path, other) || within(other, path) {
                return Err(format!("`{path}` and `{other}`: one is within the other"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tidegate_sdk::test::{Verdict, json, refusal, run};

    use super::*;

    #[test]
    fn fields_are_renamed_removed_and_set() {
        let settings = json!({
            "rename": {"uid": "user.id", "tags": "labels"},
            "remove": ["debug", "request.headers"],
            "set": {"env": "prod", "schema.version": 2, "sampled": false, "ratio": 0.5, "list": [1]},
        });
        let record = json!({
            "uid": 7, "tags": ["a", {"b": null}], "debug": {"x": 1}, "request": {"headers": {}, "path": "/"}, "other": "é",
        });
        let expected = json!({
            "user": {"id": 7}, "labels": ["a", {"b": null}], "request": {"path": "/"}, "other": "é",
            "env": "prod", "schema": {"version": 2}, "sampled": false, "ratio": 0.5, "list": [1],
        });
        assert_eq!(run(plugin, settings, [record]), [Verdict::Passed(expected)]);
    }

    #[test]
    fn without_the_old_field_the_new_one_stays() {
        let settings = json!({"rename": {"uid": "user_id"}});
        let records = [json!({"user_id": "new"}), json!({"uid": "old", "user_id": "new"}), json!({})];
        let expected = [json!({"user_id": "new"}), json!({"user_id": "old"}), json!({})];
        assert_eq!(run(plugin, settings, records), expected.map(Verdict::Passed));
    }

    #[test]
    fn settings_are_checked() {
        let refused = |settings| refusal(plugin, settings);
        assert_eq!(refused(json!({})), "nothing to do: rename, remove or set is wanted");
        assert_eq!(refused(json!({"set": {"a": null}})), "set: `a` has no value that can be written");
        assert_eq!(refused(json!({"remove": ["a"], "set": {"a": 1}})), "`a` is named twice");
        assert_eq!(refused(json!({"remove": ["a"], "set": {"a.b": 1}})), "`a` and `a.b`: one is within the other");
        assert_eq!(refused(json!({"remove": [""]})), "a path is empty");
        assert_eq!(refused(json!({"drop": []})), "unknown field `drop`, expected one of `rename`, `remove`, `set`");
    }
}
