//! An aggregate: count, sum, smallest, largest and mean of a number.

use serde::{Deserialize, Serialize};
use tidegate_sdk::{Aggregate, Fields, Reject, Window, aggregate};

mod exact_sum;

use exact_sum::ExactSum;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The field of the numbers.
    field: String,
    /// What the names of the results begin with. Default: the last part of the field's path.
    r#as: Option<String>,
}

impl Settings {
    fn path(&self, result: &str) -> String {
        let default = self.field.rsplit('.').next().unwrap_or_default();
        let prefix = self.r#as.as_deref().unwrap_or(default);
        if prefix.is_empty() { result.to_owned() } else { format!("{prefix}_{result}") }
    }
}

#[derive(Fields)]
struct Sample {
    #[field(path = settings.field)]
    value: Option<f64>,
}

#[derive(Fields)]
struct Summary {
    #[field(path = settings.path("count"))]
    count: u64,
    #[field(path = settings.path("sum"))]
    sum: Option<f64>,
    #[field(path = settings.path("min"))]
    min: Option<f64>,
    #[field(path = settings.path("max"))]
    max: Option<f64>,
    #[field(path = settings.path("mean"))]
    mean: Option<f64>,
}

/// Records without the field are left out.
#[derive(Default, Serialize, Deserialize)]
struct Stats {
    count: u64,
    sum: ExactSum,
    min: Option<f64>,
    max: Option<f64>,
}

#[aggregate(state = 1)]
impl Aggregate for Stats {
    type Row<'a> = Sample;
    type Out = Summary;

    fn add(&mut self, sample: Sample) -> Result<(), Reject> {
        if let Some(value) = sample.value {
            self.count += 1;
            self.sum.add(value);
            self.min = Some(self.min.map_or(value, |min| min.min(value)));
            self.max = Some(self.max.map_or(value, |max| max.max(value)));
        }
        Ok(())
    }

    fn merge(&mut self, later: Self) {
        self.count += later.count;
        self.sum.merge(&later.sum);
        self.min = [self.min, later.min].into_iter().flatten().reduce(f64::min);
        self.max = [self.max, later.max].into_iter().flatten().reduce(f64::max);
    }

    fn emit(&self, _window: &Window) -> Vec<Summary> {
        let sum = self.sum.value();
        let mean = sum.filter(|_| self.count > 0).map(|sum| sum / self.count as f64);
        vec![Summary { count: self.count, sum, min: self.min, max: self.max, mean }]
    }
}

#[cfg(test)]
mod tests {
    use tidegate_sdk::test::{json, refusal, run};

    use super::*;

    #[test]
    fn a_number_is_summed_up_and_other_records_are_left_out() {
        let records = [json!({"ms": 10}), json!({"ms": 2.5}), json!({}), json!({"ms": -1}), json!({"ms": "fast"})];
        let folded = run(plugin, json!({"field": "ms"}), records);
        let expected = json!({"ms_count": 3, "ms_sum": 11.5, "ms_min": -1.0, "ms_max": 10.0, "ms_mean": 11.5 / 3.0});
        assert_eq!(folded.documents, [expected]);
        assert_eq!(folded.rejected.len(), 1);
    }

    #[test]
    fn the_names_are_a_setting() {
        let names = |settings| -> Vec<String> {
            let folded = run(plugin, settings, [json!({"order": {"total": 1}})]);
            folded.documents[0].as_object().expect("an object").keys().cloned().collect()
        };
        let first = |settings| names(settings)[0].clone();
        assert_eq!(first(json!({"field": "order.total"})), "total_count");
        assert_eq!(first(json!({"field": "order.total", "as": "price"})), "price_count");
        assert_eq!(names(json!({"field": "order.total", "as": ""})), ["count", "max", "mean", "min", "sum"]);
    }

    #[test]
    fn without_a_number_there_is_only_the_count() {
        let folded = run(plugin, json!({"field": "ms"}), [json!({})]);
        assert_eq!(folded.documents, [json!({"ms_count": 0, "ms_sum": 0.0})]);
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(refusal(plugin, json!({})), "missing field `field`");
        assert_eq!(refusal(plugin, json!({"field": ""})), "the path of the field value is empty");
    }
}
