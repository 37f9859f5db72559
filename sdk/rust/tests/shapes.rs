//! The other shapes that plugins can have: borrowed outputs, splits, switched-off fields, narrow numbers, settings in an
//! aggregate's logic.

mod borrowed {
    use tidegate_sdk::test::{Verdict, json, run};
    use tidegate_sdk::{Fields, enrich};

    #[derive(Fields)]
    struct Line<'a> {
        text: &'a str,
    }

    #[derive(Fields)]
    struct Word<'a> {
        word: &'a str,
        text: Option<&'a str>,
    }

    #[enrich]
    fn words(line: Line<'_>) -> Vec<Word<'_>> {
        line.text.split_whitespace().map(|word| Word { word, text: None }).collect()
    }

    #[test]
    fn a_record_splits_into_borrowed_words() {
        assert_eq!(
            run(plugin, json!({}), [json!({"text": "a b", "id": 1}), json!({"text": ""}), json!({"text": "ü"})]),
            [
                Verdict::Split(vec![json!({"word": "a", "id": 1}), json!({"word": "b", "id": 1})]),
                Verdict::Dropped,
                Verdict::Passed(json!({"word": "ü"})),
            ]
        );
    }
}

mod borrowed_from_self {
    use std::collections::HashMap;

    use tidegate_sdk::test::{Verdict, json, run};
    use tidegate_sdk::{Field, Fields, Kind, Values, enrich};

    #[derive(Fields)]
    struct Order<'a> {
        code: &'a str,
    }

    struct Lookup {
        rows: HashMap<&'static str, Values<'static>>,
    }

    #[enrich]
    impl Lookup {
        fn new() -> Self {
            let values = Values::from_iter([Some("Norway".into()), Some(5.5.into())]);
            Lookup { rows: HashMap::from([("NO", values)]) }
        }

        fn writes(&self) -> Vec<Field> {
            vec![Field::new("name", Kind::Text), Field::new("millions", Kind::Float)]
        }

        fn enrich<'a>(&'a self, order: Order<'a>) -> Result<&'a Values<'a>, String> {
            self.rows.get(order.code).ok_or_else(|| format!("no country has the code {}", order.code))
        }
    }

    #[test]
    fn rows_prepared_once_are_given_by_reference() {
        assert_eq!(
            run(plugin, json!({}), [json!({"code": "NO"}), json!({"code": "??"})]),
            [
                Verdict::Passed(json!({"code": "NO", "name": "Norway", "millions": 5.5})),
                Verdict::Rejected("no country has the code ??".into()),
            ]
        );
    }
}

mod switched_off {
    use serde::Deserialize;
    use tidegate_sdk::test::{Verdict, json, ports, run};
    use tidegate_sdk::{Fields, Timestamp, enrich};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Options {
        #[serde(rename = "as")]
        name: Option<String>,
    }

    #[derive(Fields)]
    #[fields(settings = Options)]
    struct Source {
        #[field(path = settings.name.as_ref().map(|_| "$received"))]
        received: Option<Timestamp>,
    }

    #[derive(Fields)]
    #[fields(settings = Options)]
    struct Stamped {
        #[field(path = settings.name)]
        at: Option<Timestamp>,
        always: u8,
    }

    #[enrich]
    fn stamp(source: Source) -> Stamped {
        Stamped { at: source.received, always: 1 }
    }

    #[test]
    fn a_field_that_settings_switch_off_is_neither_read_nor_written() {
        assert_eq!(
            run(plugin, json!({"as": "t"}), [json!({})]),
            [Verdict::Passed(json!({"t": "2026-01-01T00:00:00Z", "always": 1}))]
        );
        assert_eq!(run(plugin, json!({}), [json!({})]), [Verdict::Passed(json!({"always": 1}))]);
        let ports = ports(plugin, json!({}));
        assert_eq!((ports.reads.len(), ports.writes.len()), (0, 1));
    }
}

mod narrow {
    use tidegate_sdk::test::{Verdict, json, run};
    use tidegate_sdk::{Fields, Present, Reject, filter};

    #[derive(Fields)]
    struct Person {
        #[field(path = "person.age")]
        age: u8,
        name: Present,
        #[field(kind = "presence")]
        consent: bool,
    }

    #[filter]
    fn adult(person: Person) -> Result<bool, Reject> {
        if person.age == 0 {
            return Err("nobody is 0".into());
        }
        Ok(person.age >= 18 && person.name.is_present() && person.consent)
    }

    #[test]
    fn a_number_that_does_not_fit_is_rejected_with_its_field() {
        let records = [
            json!({"person": {"age": 300}, "name": 1, "consent": 1}),
            json!({"person": {"age": 0}}),
            json!({"person": {"age": 18.0}, "name": [], "consent": {}}),
            json!({"person": {"age": 18}, "name": []}),
            json!({"person": {"age": 1.5}}),
        ];
        assert_eq!(
            run(plugin, json!({}), records.clone()),
            [
                Verdict::Rejected("field=`person.age`: 300 does not fit u8".into()),
                Verdict::Rejected("nobody is 0".into()),
                Verdict::Passed(records[2].clone()),
                Verdict::Dropped,
                Verdict::Rejected(
                    "a field is not of the kind that is read: field=`person.age`, expected=`integer`, found=`number`"
                        .into()
                ),
            ]
        );
    }
}

mod aggregate_with_settings {
    use serde::Deserialize;
    use tidegate_sdk::test::{json, run};
    use tidegate_sdk::{Field, Fields, Kind, Value, Values, Window, aggregate};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        field: String,
        /// Upper ends, ascending.
        bounds: Vec<f64>,
    }

    #[derive(Fields)]
    struct Sample {
        #[field(path = settings.field)]
        value: f64,
    }

    struct Histogram {
        bounds: Vec<f64>,
    }

    #[aggregate(state = 1, schema = "counts-up-to")]
    impl Histogram {
        fn new(settings: Settings) -> Result<Self, String> {
            if !settings.bounds.is_sorted() {
                return Err("bounds do not ascend".to_owned());
            }
            Ok(Histogram { bounds: settings.bounds })
        }

        fn add(&self, counts: &mut Vec<u64>, row: Sample) {
            counts.resize(self.bounds.len(), 0);
            if let Some(at) = self.bounds.iter().position(|&bound| row.value <= bound) {
                counts[at] += 1;
            }
        }

        fn merge(&self, counts: &mut Vec<u64>, later: Vec<u64>) {
            counts.resize(self.bounds.len(), 0);
            for (count, more) in counts.iter_mut().zip(later) {
                *count += more;
            }
        }

        fn writes(&self) -> Vec<Field> {
            self.bounds.iter().map(|bound| Field::new(format!("up_to_{bound}"), Kind::Integer)).collect()
        }

        fn emit(&self, counts: &[u64], _window: &Window) -> Values<'static> {
            counts.iter().map(|&count| i64::try_from(count).ok().map(Value::from)).collect()
        }
    }

    #[test]
    fn the_settings_are_at_hand_in_every_step() {
        let records = [1.0, 5.0, 7.0, 99.0].map(|value| json!({"ms": value}));
        let folded = run(plugin, json!({"field": "ms", "bounds": [5, 10]}), records);
        assert_eq!(folded.documents, [json!({"up_to_5": 2, "up_to_10": 1})]);
    }
}

mod broken {
    use serde::{Deserialize, Serialize};
    use tidegate_sdk::test::{json, run};
    use tidegate_sdk::{Aggregate, Fields, Reject, Window, aggregate};

    #[derive(Fields)]
    struct Sample {
        value: i64,
    }

    #[derive(Fields)]
    struct Out {
        last: i64,
    }

    /// Forgets in `merge`, and changes before it rejects.
    #[derive(Default, Serialize, Deserialize)]
    struct Last {
        value: i64,
    }

    #[aggregate(state = 1)]
    impl Aggregate for Last {
        type Row<'a> = Sample;
        type Out = Out;

        fn add(&mut self, row: Sample) -> Result<(), Reject> {
            self.value = row.value;
            if row.value < 0 { Err("negative".into()) } else { Ok(()) }
        }

        fn merge(&mut self, _later: Self) {}

        fn emit(&self, _window: &Window) -> Vec<Out> {
            vec![Out { last: self.value }]
        }
    }

    #[test]
    #[should_panic(expected = "are split before record 1, and merged")]
    fn a_merge_that_forgets_is_found() {
        run(plugin, json!({}), [json!({"value": 1}), json!({"value": 2})]);
    }

    #[test]
    #[should_panic(expected = "record 0 was rejected, but it changed the state")]
    fn a_rejection_that_changes_the_state_is_found() {
        run(plugin, json!({}), [json!({"value": -1})]);
    }
}
