//! An enricher: writes into each order whether it is a large one.

use serde::Deserialize;
use tidegate_sdk::{Fields, enrich};

/// The table `settings` in the pipeline file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    large_from_cents: i64,
    /// The field that is written.
    #[serde(default = "size")]
    r#as: String,
}

fn size() -> String {
    "size".to_owned()
}

/// What is read of each record. A record without it, or with something else there, becomes a dead letter.
#[derive(Fields)]
struct Order {
    cents: i64,
}

/// What is written into each record.
#[derive(Fields)]
struct Size<'a> {
    #[field(path = settings.r#as)]
    size: &'a str,
}

struct Sizes {
    large_from_cents: i64,
}

#[enrich]
impl Sizes {
    /// Once, before the first record. An error keeps the pipeline from starting, and is shown to whoever starts it.
    fn new(settings: Settings) -> Result<Self, String> {
        if settings.large_from_cents < 0 {
            return Err("large_from_cents is negative".to_owned());
        }
        Ok(Sizes {
            large_from_cents: settings.large_from_cents,
        })
    }

    /// For each record.
    fn enrich(&self, order: Order) -> Size<'static> {
        Size {
            size: if order.cents >= self.large_from_cents {
                "large"
            } else {
                "small"
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_sdk::test::{Verdict, json, refusal, run};

    use super::*;

    #[test]
    fn an_order_is_large_or_small() {
        let verdicts = run(
            plugin,
            json!({"large_from_cents": 1000}),
            [json!({"cents": 1000}), json!({"cents": 999})],
        );
        let (large, small) = (
            json!({"cents": 1000, "size": "large"}),
            json!({"cents": 999, "size": "small"}),
        );
        assert_eq!(verdicts, [Verdict::Passed(large), Verdict::Passed(small)]);
    }

    #[test]
    fn the_field_has_the_name_that_the_settings_say() {
        let verdicts = run(
            plugin,
            json!({"large_from_cents": 1, "as": "order.size"}),
            [json!({"cents": 0})],
        );
        assert_eq!(
            verdicts,
            [Verdict::Passed(
                json!({"cents": 0, "order": {"size": "small"}})
            )]
        );
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(
            refusal(plugin, json!({"large_from_cents": -1})),
            "large_from_cents is negative"
        );
    }
}
