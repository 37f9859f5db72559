//! A filter: a field equals a value, is one of several, lies between two, or begins with a text.

use tidegate_sdk::{Fields, Timestamp, filter};

mod settings;

use settings::{Settings, Test};

/// The field, in the kind that the test needs; the others are switched off.
#[derive(Fields)]
struct Tested<'a> {
    #[field(path = settings.test.texts().then_some(&settings.field))]
    text: Option<&'a str>,
    #[field(path = settings.test.numbers().then_some(&settings.field))]
    number: Option<f64>,
    #[field(path = settings.test.booleans().then_some(&settings.field))]
    boolean: Option<bool>,
    #[field(path = settings.test.timestamps().then_some(&settings.field))]
    timestamp: Option<Timestamp>,
}

struct Where {
    test: Test,
    not: bool,
}

#[filter]
impl Where {
    fn new(settings: Settings) -> Self {
        Where { test: settings.test, not: settings.not }
    }

    fn filter(&self, tested: Tested<'_>) -> bool {
        let holds = match &self.test {
            Test::Texts(texts) => tested.text.is_some_and(|text| texts.iter().any(|other| other == text)),
            Test::Prefixes(prefixes) => {
                tested.text.is_some_and(|text| prefixes.iter().any(|prefix| text.starts_with(prefix.as_str())))
            }
            Test::Numbers(numbers) => tested.number.is_some_and(|number| numbers.contains(&number)),
            Test::Booleans(booleans) => tested.boolean.is_some_and(|boolean| booleans.contains(&boolean)),
            Test::NumberRange(range) => tested.number.is_some_and(|number| range.contains(&number)),
            Test::TimestampRange(range) => tested.timestamp.is_some_and(|timestamp| range.contains(&timestamp)),
        };
        holds != self.not
    }
}

#[cfg(test)]
mod tests {
    use tidegate_sdk::test::{Value, Verdict, json, refusal, run};

    use super::*;

    /// Which of the values pass as field `a`; the last record has none.
    fn passed<const N: usize>(settings: Value, values: [Value; N]) -> Vec<bool> {
        let records = values.into_iter().map(|value| json!({"a": value})).chain([json!({"b": 1})]);
        let passed = |verdict| match verdict {
            Verdict::Passed(_) => true,
            Verdict::Dropped => false,
            other => panic!("{other:?}"),
        };
        run(plugin, settings, records).into_iter().map(passed).collect()
    }

    #[test]
    fn equals() {
        let texts = [json!("purchase"), json!("view"), json!("")];
        assert_eq!(passed(json!({"field": "a", "equals": "purchase"}), texts), [true, false, false, false]);
        assert_eq!(
            passed(json!({"field": "a", "equals": 2}), [json!(2), json!(2.0), json!(2.5)]),
            [true, true, false, false]
        );
        assert_eq!(passed(json!({"field": "a", "equals": false}), [json!(false), json!(true)]), [true, false, false]);
    }

    #[test]
    fn one_of_several() {
        let texts = [json!("a"), json!("b"), json!("c")];
        assert_eq!(passed(json!({"field": "a", "one_of": ["a", "c"]}), texts), [true, false, true, false]);
        assert_eq!(passed(json!({"field": "a", "one_of": [1, 2.5]}), [json!(2.5), json!(2)]), [true, false, false]);
    }

    #[test]
    fn between_both_ends_included() {
        let numbers = [json!(1), json!(1.5), json!(2), json!(2.1)];
        assert_eq!(passed(json!({"field": "a", "between": [1, 2]}), numbers.clone()), [true, true, true, false, false]);
        assert_eq!(passed(json!({"field": "a", "at_least": 2}), numbers.clone()), [false, false, true, true, false]);
        assert_eq!(passed(json!({"field": "a", "at_most": 1.5}), numbers), [true, true, false, false, false]);
        let times = [json!("2025-01-01T00:00:00+01:00"), json!("2025-06-01T00:00:00Z"), json!("2026-01-01T00:00:00Z")];
        let year = json!({"field": "a", "between": ["2025-01-01T00:00:00Z", "2025-12-31T23:59:59Z"]});
        assert_eq!(passed(year, times), [false, true, false, false]);
    }

    #[test]
    fn begins_with() {
        let texts = [json!("/api/v1"), json!("/static/x"), json!("api")];
        assert_eq!(passed(json!({"field": "a", "begins_with": "/api/"}), texts.clone()), [true, false, false, false]);
        assert_eq!(
            passed(json!({"field": "a", "begins_with": ["/api/", "/static/"]}), texts),
            [true, true, false, false]
        );
    }

    #[test]
    fn not_keeps_what_does_not_hold_absent_fields_included() {
        let settings = json!({"field": "a", "equals": "bot", "not": true});
        assert_eq!(passed(settings, [json!("bot"), json!("human")]), [false, true, true]);
    }

    #[test]
    fn settings_are_checked() {
        let refused = |settings| refusal(plugin, settings);
        let one = "one test is wanted: equals, one_of, between, at_least, at_most or begins_with";
        assert_eq!(refused(json!({"field": "a"})), one);
        assert_eq!(refused(json!({"field": "a", "equals": 1, "one_of": [1]})), one);
        assert_eq!(refused(json!({"equals": 1})), "missing field `field`");
        assert_eq!(refused(json!({"field": "", "equals": 1})), "field is empty");
        assert_eq!(refused(json!({"field": "a", "one_of": []})), "one_of is empty");
        assert_eq!(refused(json!({"field": "a", "one_of": [1, "a"]})), "one_of has values of several kinds");
        assert_eq!(refused(json!({"field": "a", "equals": [1]})), "equals is a text, a number or a boolean");
        assert_eq!(refused(json!({"field": "a", "between": [2, 1]})), "between ends before it begins");
        assert_eq!(
            refused(json!({"field": "a", "between": ["a", "b"]})),
            "between takes numbers or timestamps (RFC 3339)"
        );
        assert_eq!(
            refused(json!({"field": "a", "equals": 9_007_199_254_740_993_i64})),
            "9007199254740993 is too large to be compared as a number: write it as a text"
        );
    }
}
