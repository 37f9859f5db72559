//! The state of a part, as the aggregate here understands it.

use std::borrow::Cow;

use crate::lane::LaneError;
use crate::lane::format::Part;
use crate::lane::plan::AggregatePlan;
use crate::plugin::Aggregate;
use crate::record::{Slices, StateSchema};

/// States of an older schema are migrated; one of a newer schema, or of another kind, stops the lane.
pub(super) fn state<'a>(
    plan: &AggregatePlan,
    part: &Part<'a>,
    aggregate: Option<&mut (dyn Aggregate + 'static)>,
) -> Result<Cow<'a, [u8]>, LaneError> {
    let ours = &plan.schema;
    if part.state_schema_name == ours.name && part.state_schema_version == ours.version {
        return Ok(Cow::Borrowed(part.state));
    }
    let refused = |why: String| LaneError::StateSchema {
        output: part.output.to_owned(),
        found: format!("{} {}", part.state_schema_name, part.state_schema_version),
        known: format!("{} {}", ours.name, ours.version),
        why,
    };
    let Some(aggregate) =
        aggregate.filter(|_| part.state_schema_name != ours.name || part.state_schema_version < ours.version)
    else {
        return Err(refused("; deploy the newer version of the component here too".to_owned()));
    };
    let from = StateSchema { name: part.state_schema_name.to_owned(), version: part.state_schema_version };
    match aggregate.migrate(&from, &Slices::from_iter([part.state])) {
        Ok(Ok(states)) if states.len() == 1 => Ok(Cow::Owned(states.get(0).to_vec())),
        Ok(Ok(states)) => Err(refused(format!(": migrate gave states={} for one", states.len()))),
        Ok(Err(words)) => Err(refused(format!(": {words}"))),
        Err(error) => Err(LaneError::Call { plugin: plan.name.to_string(), error }),
    }
}
