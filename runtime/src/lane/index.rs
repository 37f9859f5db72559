//! The index and the id of a record's document, where the pipeline file makes them from fields.

use std::sync::Arc;

use hashbrown::HashMap;
use jiff::Timestamp;

use crate::config::{IdSettings, IndexPart, IndexPattern};
use crate::decode::{Decoder, Reads};
use crate::record::{Batch, Column, EventTime, Field, Kind, Values};

use super::LaneError;

/// Made names that are remembered, so that each is allocated once; when there are more, all are forgotten.
const NAMES_MAX: usize = 1000;

/// An index pattern, with the fields that it reads.
pub(super) struct IndexNames {
    parts: Vec<IndexPart>,
    pub reads: Reads,
    /// The name, where it is the same for all.
    fixed: Option<Arc<str>>,
}

/// Where a record's id and version come from.
pub(super) enum IdPlan {
    /// From its origin.
    Derived,
    /// From a field; the version is another field, or the record's offset.
    Named { reads: Reads, versioned: bool },
}

/// The names that a lane made.
#[derive(Clone, Debug, Default)]
pub(super) struct NameCache(HashMap<String, Arc<str>>);

impl IndexNames {
    pub fn new(decoder: &Decoder, pattern: &IndexPattern) -> Result<Self, LaneError> {
        let fields: Vec<Field> =
            Self::paths(pattern).map(|path| Field { path, kind: Kind::Text, required: true }).collect();
        let fixed = match pattern.0.as_slice() {
            [IndexPart::Literal(name)] => Some(name.as_str().into()),
            _ => None,
        };
        let reads = decoder.reads(&fields).map_err(|error| LaneError::Plan(error.to_string()))?;
        Ok(IndexNames { parts: pattern.0.clone(), reads, fixed })
    }

    pub fn paths(pattern: &IndexPattern) -> impl Iterator<Item = String> + '_ {
        pattern.0.iter().filter_map(|part| match part {
            IndexPart::Field(path) => Some(path.clone()),
            IndexPart::Literal(_) | IndexPart::EventTime(_) | IndexPart::WindowStart(_) => None,
        })
    }

    /// The name for a row of the columns of `reads`, at the record's event time or the window's start; an error in words.
    pub fn name(
        &self,
        columns: &Batch,
        row: usize,
        time: EventTime,
        cache: &mut NameCache,
    ) -> Result<Arc<str>, String> {
        if let Some(fixed) = &self.fixed {
            return Ok(fixed.clone());
        }
        let mut name = String::new();
        let mut fields = columns.columns.iter();
        for part in &self.parts {
            match part {
                IndexPart::Literal(text) => name.push_str(text),
                IndexPart::Field(_) => name.push_str(fields.next().map_or("", |column| text_of(column, row))),
                IndexPart::EventTime(format) | IndexPart::WindowStart(format) => {
                    let time = Timestamp::from_microsecond(time.micros()).map_err(|error| error.to_string())?;
                    let text = jiff::fmt::strtime::format(format, &time.to_zoned(jiff::tz::TimeZone::UTC));
                    name.push_str(&text.map_err(|error| error.to_string())?);
                }
            }
        }
        if let Some(known) = cache.0.get(&name) {
            return Ok(known.clone());
        }
        check_name(&name)?;
        if cache.0.len() >= NAMES_MAX {
            cache.0.clear();
        }
        let made: Arc<str> = name.as_str().into();
        cache.0.insert(name, made.clone());
        Ok(made)
    }
}

impl IdPlan {
    pub fn new(decoder: &Decoder, settings: Option<&IdSettings>) -> Result<Self, LaneError> {
        let Some(settings) = settings else { return Ok(IdPlan::Derived) };
        let mut fields = vec![Field { path: settings.field.clone(), kind: Kind::Text, required: true }];
        fields.extend(settings.version.iter().map(|path| Field {
            path: path.clone(),
            kind: Kind::Integer,
            required: true,
        }));
        let reads = decoder.reads(&fields).map_err(|error| LaneError::Plan(error.to_string()))?;
        Ok(IdPlan::Named { reads, versioned: settings.version.is_some() })
    }
}

pub(super) fn text_of(column: &Column, row: usize) -> &str {
    match &column.values {
        Values::Slices(slices) => std::str::from_utf8(slices.get(row)).unwrap_or_default(),
        Values::Presence | Values::Booleans(_) | Values::Integers(_) | Values::Floats(_) => "",
    }
}

/// What Elasticsearch asks of an index's name.
fn check_name(name: &str) -> Result<(), String> {
    let forbidden =
        |character: char| character.is_uppercase() || r#"\/*?"<>| ,#:"#.contains(character) || character.is_control();
    if name.is_empty() || name.len() > 255 || name.starts_with(['-', '_', '+', '.']) || name.contains(forbidden) {
        return Err(format!(
            "no index can be called name=`{name}`: lower case, at most 255 bytes, not beginning with - _ + or ., without \
             \\ / * ? \" < > | space , # :"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_elasticsearch_refuses_are_refused_here() {
        for name in ["", "_x", "Upper", "a b", "a:b", &"x".repeat(256)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("events-2026.11").is_ok());
    }
}
