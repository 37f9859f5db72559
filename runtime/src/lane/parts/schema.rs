//! The state of a part, as the aggregate here understands it.

use std::borrow::Cow;

use crate::lane::LaneError;
use crate::lane::format::Part;
use crate::lane::migration::{migrate, schema};
use crate::lane::plan::{AggregatePlan, Instances};
use crate::record::{Slices, StateSchema};

/// States of an older schema, or of another kind, are migrated; one of a newer schema has to wait for that version.
pub(super) fn state<'a>(
    plan: &AggregatePlan,
    part: &Part<'a>,
    instances: &mut Instances,
) -> Result<Cow<'a, [u8]>, LaneError> {
    let ours = &plan.schema;
    if part.state_schema_name == ours.name && part.state_schema_version == ours.version {
        return Ok(Cow::Borrowed(part.state));
    }
    let from = StateSchema { name: part.state_schema_name.to_owned(), version: part.state_schema_version };
    if from.name == ours.name && from.version > ours.version {
        return Err(LaneError::StateSchema {
            output: part.output.to_owned(),
            found: schema(&from),
            known: schema(ours),
            why: "; deploy the newer version of the component here too".to_owned(),
        });
    }
    let aggregate = instances.aggregate(plan.plugin)?;
    let migrated = migrate(plan, &from, &Slices::from_iter([part.state]), aggregate)?;
    Ok(Cow::Owned(migrated.get(0).to_vec()))
}
