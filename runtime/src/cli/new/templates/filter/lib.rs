//! A filter: keeps orders from a value on.

use serde::Deserialize;
use tidegate_sdk::{Fields, filter};

/// The table `settings` in the pipeline file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    at_least_cents: i64,
}

/// What is read of each record. A record without it, or with something else there, becomes a dead letter.
#[derive(Fields)]
struct Order {
    cents: i64,
}

struct Orders {
    at_least_cents: i64,
}

#[filter]
impl Orders {
    /// Once, before the first record. An error keeps the pipeline from starting, and is shown to whoever starts it.
    fn new(settings: Settings) -> Result<Self, String> {
        if settings.at_least_cents < 0 {
            return Err("at_least_cents is negative".to_owned());
        }
        Ok(Orders {
            at_least_cents: settings.at_least_cents,
        })
    }

    /// For each record: whether it goes on.
    fn filter(&self, order: Order) -> bool {
        order.cents >= self.at_least_cents
    }
}

#[cfg(test)]
mod tests {
    use tidegate_sdk::test::{Verdict, json, refusal, run};

    use super::*;

    #[test]
    fn only_orders_from_that_value_on_are_kept() {
        let (large, small) = (json!({"cents": 1000}), json!({"cents": 999}));
        let verdicts = run(
            plugin,
            json!({"at_least_cents": 1000}),
            [large.clone(), small],
        );
        assert_eq!(verdicts, [Verdict::Passed(large), Verdict::Dropped]);
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(
            refusal(plugin, json!({"at_least_cents": -1})),
            "at_least_cents is negative"
        );
    }
}
