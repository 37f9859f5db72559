//! Documents that are found, and which output they are of.

use super::name::{IdOf, writes};
use super::{Explaining, FoundDocument, VersionOf};
use crate::config::OutputSettings;
use crate::lane::id::revision_and_offset;
use crate::sink::Present;

impl<'a> Explaining<'a> {
    pub(super) fn found(&self, id_of: &IdOf, Present { index, version, source }: Present) -> FoundDocument {
        let mut versions = self.writers(id_of, &index).map(VersionOf::documents_of);
        let first = versions.next().unwrap_or(VersionOf::Unknown);
        let is_one = versions.all(|other| other == first);
        drop(versions);
        let version_of = if is_one { first } else { VersionOf::Unknown };
        let (revision, offset) = match version_of {
            VersionOf::Offset => Some(revision_and_offset(version)).unzip(),
            VersionOf::Field | VersionOf::Index | VersionOf::Unknown => (None, None),
        };
        FoundDocument { index, version, version_of, revision, offset: offset.map(|offset| offset.0), source }
    }

    /// The outputs that may have written a document of this id there.
    pub(super) fn writers(&self, id_of: &IdOf, index: &str) -> impl Iterator<Item = &'a OutputSettings> {
        let has_id = move |output: &&'a OutputSettings| match id_of {
            IdOf::Record { output: name, .. } | IdOf::Window { output: name, .. } => output.name == *name,
            IdOf::Field => output.id.is_some(),
        };
        let all = &self.settings.outputs;
        all.iter().filter(has_id).filter(move |output| writes(output, index, all))
    }

    /// The document in an index that the output writes.
    pub(super) fn found_of(&self, output: &OutputSettings) -> Option<&FoundDocument> {
        self.report.found.iter().find(|found| writes(output, &found.index, &self.settings.outputs))
    }
}
