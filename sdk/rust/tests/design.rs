//! What the design shows of the SDK compiles as it stands there, and does what it says.

mod filter_of_a_function {
    use tidegate_sdk::{Fields, filter};

    #[derive(Fields)]
    struct Click<'a> {
        user_id: Option<&'a str>,
    }

    #[filter]
    fn has_user(click: Click<'_>) -> bool {
        click.user_id.is_some()
    }

    #[test]
    fn null_and_absent_users_are_dropped() {
        use tidegate_sdk::test::{Verdict, json, run};

        let verdicts = run(plugin, json!({}), [json!({"user_id": "u1"}), json!({"user_id": null}), json!({})]);
        assert_eq!(verdicts, [Verdict::Passed(json!({"user_id": "u1"})), Verdict::Dropped, Verdict::Dropped]);
    }

    #[test]
    fn settings_that_nobody_reads_are_refused() {
        use tidegate_sdk::test::{json, refusal};

        assert_eq!(refusal(plugin, json!({"user": 1})), "unknown setting `user`: this plugin has no settings");
    }
}

mod enrich_of_an_impl {
    use std::collections::HashMap;

    use serde::Deserialize;
    use tidegate_sdk::test::{Verdict, json, ports, refusal, run};
    use tidegate_sdk::{Field, Fields, Kind, Reject, enrich};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        field: String,
        r#as: String,
        countries: HashMap<String, String>,
    }

    #[derive(Fields)]
    struct Order<'a> {
        #[field(path = settings.field)]
        code: &'a str,
        #[field(path = "order.total", kind = "json")]
        total: Option<&'a str>,
    }

    #[derive(Fields)]
    struct Country {
        #[field(path = settings.r#as)]
        name: String,
        large: bool,
    }

    struct Lookup {
        countries: HashMap<String, String>,
    }

    #[enrich]
    impl Lookup {
        fn new(settings: Settings) -> Result<Self, String> {
            if settings.countries.is_empty() {
                return Err("countries is empty".to_owned());
            }
            Ok(Lookup { countries: settings.countries })
        }

        fn enrich(&self, order: Order<'_>) -> Result<Option<Country>, Reject> {
            if order.code == "XX" {
                return Ok(None);
            }
            let name = self.countries.get(order.code).ok_or("no such country")?;
            Ok(Some(Country { name: name.clone(), large: order.total.is_some_and(|total| total.len() > 2) }))
        }
    }

    #[test]
    fn records_are_written_dropped_and_rejected() {
        let settings = json!({"field": "geo.code", "as": "geo.country", "countries": {"NO": "Norway"}});
        let records = [
            json!({"geo": {"code": "NO"}, "order": {"total": 100}}),
            json!({"geo": {"code": "XX"}}),
            json!({"geo": {"code": "DE"}}),
            json!({"geo": {}}),
            json!({"geo": {"code": [1]}}),
        ];
        let written = json!({"geo": {"code": "NO", "country": "Norway"}, "order": {"total": 100}, "large": true});
        assert_eq!(
            run(plugin, settings.clone(), records),
            [
                Verdict::Passed(written),
                Verdict::Dropped,
                Verdict::Rejected("no such country".into()),
                Verdict::Rejected("a required field is absent or null: field=`geo.code`, expected=`text`".into()),
                Verdict::Rejected(
                    "a field is not of the kind that is read: field=`geo.code`, expected=`text`, found=`array`".into()
                ),
            ]
        );
        let ports = ports(plugin, settings);
        assert_eq!(ports.reads, [Field::new("geo.code", Kind::Text).required(), Field::new("order.total", Kind::Json)]);
        assert_eq!(
            ports.writes,
            [Field::new("geo.country", Kind::Text).required(), Field::new("large", Kind::Boolean).required()]
        );
    }

    #[test]
    fn settings_are_refused_in_the_words_of_their_type_and_of_new() {
        assert_eq!(refusal(plugin, json!({"field": "a", "as": "b"})), "missing field `countries`");
        assert_eq!(refusal(plugin, json!({"field": "a", "as": "b", "countries": {}})), "countries is empty");
        assert_eq!(
            refusal(plugin, json!({"field": "", "as": "b", "countries": {"A": "B"}})),
            "the path of the field code is empty"
        );
    }
}

mod aggregate_of_a_state {
    use serde::{Deserialize, Serialize};
    use tidegate_sdk::test::{Folded, json, migrate, run};
    use tidegate_sdk::{Aggregate, Fields, OldState, Reject, Timestamp, Window, aggregate};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        field: String,
    }

    #[derive(Fields)]
    struct Sample {
        #[field(path = settings.field)]
        value: Option<f64>,
    }

    #[derive(Fields)]
    struct Summary {
        sum: f64,
        until: Timestamp,
    }

    #[derive(Default, Serialize, Deserialize)]
    struct Stats {
        sum: f64,
    }

    #[aggregate(state = 2)]
    impl Aggregate for Stats {
        type Row<'a> = Sample;
        type Out = Summary;

        fn add(&mut self, row: Sample) -> Result<(), Reject> {
            let value = row.value.ok_or("no value")?;
            self.sum += value;
            Ok(())
        }

        fn merge(&mut self, later: Self) {
            self.sum += later.sum;
        }

        fn emit(&self, window: &Window) -> Vec<Summary> {
            vec![Summary { sum: self.sum, until: window.end() }]
        }

        fn migrate(state: OldState<'_>) -> Result<Self, String> {
            match state.version() {
                1 => state.read::<f32>().map(|sum| Stats { sum: sum.into() }),
                _ => Err(state.refuse()),
            }
        }
    }

    #[test]
    fn rows_are_folded_and_bad_ones_rejected() {
        let records = [json!({"x": 1}), json!({}), json!({"x": 2.5}), json!({"x": "3"})];
        let document = json!({"sum": 3.5, "until": "1970-01-01T00:01:00Z"});
        let rejected = vec![
            (1, "no value".to_owned()),
            (3, "a field is not of the kind that is read: field=`x`, expected=`float`, found=`text`".to_owned()),
        ];
        assert_eq!(run(plugin, json!({"field": "x"}), records), Folded { documents: vec![document], rejected });
    }

    #[test]
    fn older_states_are_migrated_or_refused() {
        let document = json!({"sum": 1.5, "until": "1970-01-01T00:01:00Z"});
        assert_eq!(migrate(plugin, json!({"field": "x"}), 1, &1.5_f32), Ok(vec![document]));
        let refused = "states of version 7 cannot be read by this version".to_owned();
        assert_eq!(migrate(plugin, json!({"field": "x"}), 7, &1.5_f32), Err(refused));
    }
}

mod a_number_of_fields_that_is_a_setting {
    use serde::Deserialize;
    use tidegate_sdk::test::{Verdict, json, run};
    use tidegate_sdk::{Field, Kind, Row, filter};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        fields: Vec<String>,
    }

    struct All {
        fields: Vec<Field>,
    }

    #[filter]
    impl All {
        fn new(settings: Settings) -> Self {
            All { fields: settings.fields.into_iter().map(|path| Field::new(path, Kind::Presence)).collect() }
        }

        fn reads(&self) -> Vec<Field> {
            self.fields.clone()
        }

        fn filter(&self, row: Row<'_>) -> bool {
            (0..row.len()).all(|field| row.is_present(field))
        }
    }

    #[test]
    fn all_have_to_be_there() {
        let records = [json!({"a": 1, "b": {"c": "x"}}), json!({"a": 1, "b": {}}), json!({"b": {"c": []}})];
        let passed = Verdict::Passed(records[0].clone());
        assert_eq!(run(plugin, json!({"fields": ["a", "b.c"]}), records), [passed, Verdict::Dropped, Verdict::Dropped]);
    }
}
