//! States of another schema, as the aggregate of a plan understands them.

use crate::plugin::Aggregate;
use crate::record::{Slices, StateSchema};

use super::LaneError;
use super::plan::AggregatePlan;

/// As many states as there were, in their order; an error says what the aggregate said.
pub(super) fn migrate(
    plan: &AggregatePlan,
    from: &StateSchema,
    states: &Slices,
    aggregate: &mut dyn Aggregate,
) -> Result<Slices, LaneError> {
    let refused = |why: String| LaneError::StateSchema {
        output: plan.output.to_string(),
        found: schema(from),
        known: schema(&plan.schema),
        why,
    };
    match aggregate.migrate(from, states) {
        Ok(Ok(migrated)) if migrated.len() == states.len() => Ok(migrated),
        Ok(Ok(migrated)) => Err(refused(format!(": migrate gave states={} for {}", migrated.len(), states.len()))),
        Ok(Err(words)) => Err(refused(format!(": {words}"))),
        Err(error) => Err(LaneError::Call { plugin: plan.by.plugin.clone(), error }),
    }
}

pub(super) fn schema(schema: &StateSchema) -> String {
    format!("{} {}", schema.name, schema.version)
}
