//! Which generations made something, as what is committed with the positions tells.

use std::collections::BTreeMap;

use crate::config::OutputSettings;
use crate::lane::id::Revision;
use crate::lane::{Generations, MadeOf, Makers, Served, ServedBy, group_of_id, parts_partition, settings_hash};
use crate::pipeline::Plugins;
use crate::pipeline::reconcile::PartitionScope;
use crate::record::{Offset, Partition};

use super::name::IdOf;
use super::{Explaining, GenerationReport, MadeByReport, PartReport, SpanReport};

impl Explaining<'_> {
    /// The generations that a record was given to; none where its partition's position does not tell.
    pub(super) fn made_record(
        &self,
        output: &OutputSettings,
        source: &PartitionScope,
        offset: Offset,
    ) -> Option<MadeByReport> {
        let makers = source.generations.makers(self.revision_of(output), offset, MadeOf::Record);
        self.made_by(&output.name, &source.partition, &source.generations, makers, |_| true)
    }

    /// The generations that the records of a window were given to, for each source partition.
    pub(super) fn made_window(
        &self,
        output: &OutputSettings,
        parts: &[PartReport],
        spans: &[SpanReport],
    ) -> Vec<MadeByReport> {
        let of_parts = parts.iter().map(|part| (&part.source, part.first_offset, part.last_offset));
        let of_spans = spans.iter().map(|span| (&span.source, span.first_offset, span.last_offset));
        let mut sources: BTreeMap<&String, (i64, i64)> = BTreeMap::new();
        // A session may have several.
        for (source, first, last) in of_parts.chain(of_spans) {
            let range = sources.entry(source).or_insert((first, last));
            *range = (range.0.min(first), range.1.max(last));
        }
        let made_by = sources.into_iter().filter_map(|(source, (first, last))| {
            let source = self.scope.partitions.iter().find(|it| it.partition.to_string() == *source)?;
            let known = &source.generations;
            let makers = known.makers_between(self.revision_of(output), Offset(first), Offset(last));
            self.made_by(&output.name, &source.partition, known, makers, |_| true)
        });
        made_by.collect()
    }

    /// The generation that merged a window over the partitions, if it is merged and there.
    pub(super) fn merged(&self, output: &OutputSettings, id_of: &IdOf) -> Option<MadeByReport> {
        let IdOf::Window { of: None, group, first, .. } = id_of else { return None };
        let offset = Offset(self.found_of(output)?.offset?);
        // An id that was cut short does not tell its group.
        let ordinal = self.name.id.strip_prefix(first.as_str())?;
        let group = group_of_id(group).filter(|_| ordinal.is_empty() || ordinal.starts_with('/'))?;
        let number = parts_partition(&output.name, &group, i32::try_from(self.scope.parts.len()).ok()?);
        let (partition, known) = self.scope.parts.iter().find(|(partition, _)| partition.number == number)?;
        let aggregate = format!("{}.aggregate", output.name);
        let makers = known.makers(self.revision_of(output), offset, MadeOf::Record);
        self.made_by(&output.name, partition, known, makers, |by| by.plugin == aggregate)
    }

    /// Of the document of this output; none where its version does not tell.
    fn revision_of(&self, output: &OutputSettings) -> Option<Revision> {
        match self.found_of(output) {
            Some(found) => found.revision.map(Revision),
            None => Some(Revision(self.scope.revision)),
        }
    }

    fn made_by<'a>(
        &self,
        output: &str,
        partition: &Partition,
        known: &'a Generations,
        makers: Makers<'a>,
        is_wanted: impl Fn(&ServedBy) -> bool,
    ) -> Option<MadeByReport> {
        let on_way = |served: &'a Served| -> Vec<&'a ServedBy> {
            served.by.iter().filter(|by| by.is_on_way_to(output) && is_wanted(by)).collect()
        };
        let mut ways: Vec<Vec<&ServedBy>> = makers.served.iter().map(|served| on_way(served)).collect();
        let mut generations: Vec<GenerationReport> = Vec::new();
        for (served, way) in makers.served.iter().zip(&ways) {
            for by in way {
                let report = generation(by, known.since(served, by), &self.plugins);
                if !generations.contains(&report) {
                    generations.push(report);
                }
            }
        }
        // What differs on the way to other outputs is in no doubt here.
        ways.dedup();
        (!ways.is_empty()).then(|| MadeByReport {
            partition: partition.to_string(),
            is_sure: makers.is_complete && (!makers.is_doubted || ways.len() == 1),
            is_complete: makers.is_complete,
            generations,
        })
    }
}

fn generation(by: &ServedBy, from: Offset, plugins: &Plugins) -> GenerationReport {
    let (plugin, digest) = (&by.plugin, by.digest());
    let now = match plugins.at(plugin) {
        None => "not named any more",
        Some(now) if !now.plugin.component().digest().to_hex().starts_with(&digest) => "another component",
        Some(now) if settings_hash(&now.settings) != by.settings => "other settings",
        Some(_) => "the same",
    };
    GenerationReport {
        plugin: plugin.clone(),
        version: by.version.clone(),
        digest,
        generation: by.generation,
        from_offset: from.0,
        now: now.to_owned(),
    }
}
