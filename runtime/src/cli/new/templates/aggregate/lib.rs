//! An aggregate: how many orders there are of a group, in a window, and what they are worth.

use serde::{Deserialize, Serialize};
use tidegate_sdk::{Aggregate, Fields, Reject, Window, aggregate};

/// The table `settings` in the pipeline file.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// The field that the sum is written to.
    r#as: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            r#as: "cents".to_owned(),
        }
    }
}

/// What is read of each record. A record without it, or with something else there, becomes a dead letter.
#[derive(Fields)]
struct Order {
    cents: i64,
}

/// What is written into the window's document, beside its group and its times.
#[derive(Fields)]
struct Totals {
    orders: u64,
    #[field(path = settings.r#as)]
    cents: i64,
}

/// The state of a group in a window. The runtime keeps it, as bytes: a change of its fields is a new `state = …`.
#[derive(Default, Serialize, Deserialize)]
struct Sum {
    orders: u64,
    cents: i64,
}

#[aggregate(state = 1)]
impl Aggregate for Sum {
    type Row<'a> = Order;
    type Out = Totals;

    /// For each record of the group. After an error nothing of the record may be left in `self`.
    fn add(&mut self, order: Order) -> Result<(), Reject> {
        if order.cents < 0 {
            return Err(Reject::new("an order is not worth less than nothing")); // the record becomes a dead letter
        }
        self.orders += 1;
        self.cents = self.cents.saturating_add(order.cents);
        Ok(())
    }

    /// Another partition's state of the same group: must give what adding all its records would have given.
    fn merge(&mut self, later: Self) {
        self.orders += later.orders;
        self.cents = self.cents.saturating_add(later.cents);
    }

    /// When the window has ended.
    fn emit(&self, _window: &Window) -> Vec<Totals> {
        vec![Totals {
            orders: self.orders,
            cents: self.cents,
        }]
    }
}

#[cfg(test)]
mod tests {
    use tidegate_sdk::test::{json, refusal, run};

    use super::*;

    #[test]
    fn orders_are_counted_and_their_values_added() {
        let folded = run(
            plugin,
            json!({"as": "value"}),
            [json!({"cents": 250}), json!({"cents": 750})],
        );
        assert_eq!(folded.documents, [json!({"orders": 2, "value": 1000})]);
    }

    #[test]
    fn an_order_of_less_than_nothing_is_rejected() {
        let folded = run(
            plugin,
            json!({}),
            [json!({"cents": -1}), json!({"cents": 5})],
        );
        assert_eq!(folded.documents, [json!({"orders": 1, "cents": 5})]);
        assert_eq!(folded.rejected.len(), 1);
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(
            refusal(plugin, json!({"name": "value"})),
            "unknown field `name`, expected `as`"
        );
    }
}
