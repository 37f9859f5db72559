//! Of which version a record is, and whether that one is known.

use std::borrow::Cow;
use std::sync::Arc;

use super::coerce::Raw;
use super::path::Own;
use super::plan::{Place, Plan};
use super::span::{Shape, Span};
use super::{DecodeError, text};
use crate::record::{Reason, ReasonKind, RecordBatch};

/// So much of a version is shown.
const SHOWN_BYTES_MAX: usize = 64;

/// Where a record says its version, and those that are known.
#[derive(Clone, Debug)]
pub(super) struct SchemaVersion {
    path: String,
    place: Place,
    known: Arc<[String]>,
}

impl SchemaVersion {
    pub(super) fn new(plan: &Plan, path: &str, known: &[String]) -> Result<SchemaVersion, DecodeError> {
        let place = plan.place(path)?;
        match place {
            Place::Field(_) | Place::Own(Own::Header(_)) => {
                Ok(SchemaVersion { path: path.to_owned(), place, known: known.into() })
            }
            Place::Own(_) => Err(DecodeError::SchemaVersion { path: path.to_owned() }),
        }
    }

    /// An error for a record of another version.
    pub(super) fn judge(&self, batch: &RecordBatch, row: usize, value: &[u8], spans: &[Span]) -> Result<(), Reason> {
        let found = self.found(batch, row, value, spans);
        if self.known.iter().any(|known| known.as_bytes() == &*found) {
            return Ok(());
        }
        let (path, known) =
            (&self.path, self.known.iter().map(|known| format!("{known:?}")).collect::<Vec<_>>().join(", "));
        let found = String::from_utf8_lossy(&found[..found.len().min(SHOWN_BYTES_MAX)]).into_owned();
        let message = match found.is_empty() {
            true => format!("the record has no version: schema_version=`{path}`, known=`{known}`"),
            false => format!(
                "the version of the record is not known: schema_version=`{path}`, found=`{found}`, known=`{known}`"
            ),
        };
        Err(Reason::new(ReasonKind::Schema, message))
    }

    /// Empty where there is none.
    fn found<'v>(&self, batch: &'v RecordBatch, row: usize, value: &'v [u8], spans: &[Span]) -> Cow<'v, [u8]> {
        let slot = match &self.place {
            Place::Field(slot) => *slot,
            Place::Own(Own::Header(name)) => {
                let header = batch.headers(row).rfind(|(header, _)| header == name).and_then(|(_, value)| value);
                return header.unwrap_or_default().into();
            }
            Place::Own(_) => return Cow::default(),
        };
        let raw = Raw { shape: spans[slot].shape(), bytes: spans[slot].of(value) };
        match raw.shape {
            Shape::Absent | Shape::Null => Cow::default(),
            Shape::Text => raw.inside().into(),
            Shape::Escaped => {
                let mut plain = Vec::new();
                if text::unescape(raw.inside(), &mut plain) { plain.into() } else { raw.bytes.into() }
            }
            Shape::False | Shape::True | Shape::Integer | Shape::Decimal | Shape::Object | Shape::Array => {
                raw.bytes.into()
            }
        }
    }
}
