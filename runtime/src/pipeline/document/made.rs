//! Which generations made something, as what is committed with the positions tells.

use crate::config::OutputSettings;
use crate::lane::id::Revision;
use crate::lane::{MadeOf, Makers, Served, ServedBy, group_of_id, parts_partition, settings_hash};
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
        let makers = source.generations.makers(Revision(self.revision()), offset, MadeOf::Record);
        self.made_by(&output.name, &source.partition, makers, |_| true)
    }

    /// The generations that the records of a window were given to.
    pub(super) fn made_window(&self, output: &str, parts: &[PartReport], spans: &[SpanReport]) -> Vec<MadeByReport> {
        let of_parts = parts.iter().map(|part| (&part.source, part.first_offset, part.last_offset));
        let of_spans = spans.iter().map(|span| (&span.source, span.first_offset, span.last_offset));
        let made_by = of_parts.chain(of_spans).filter_map(|(source, first, last)| {
            let source = self.scope.partitions.iter().find(|it| it.partition.to_string() == *source)?;
            let revision = Revision(self.revision());
            let makers = source.generations.makers_between(revision, Offset(first), Offset(last));
            self.made_by(output, &source.partition, makers, |_| true)
        });
        made_by.collect()
    }

    /// The generation that merged a window over the partitions, if it is merged and there.
    pub(super) fn merged(&self, id_of: &IdOf) -> Option<MadeByReport> {
        let IdOf::Window { output, of: None, group, first, .. } = id_of else { return None };
        let offset = Offset(self.report.found.iter().find_map(|found| found.offset)?);
        // An id that was cut short does not tell its group.
        let ordinal = self.name.id.strip_prefix(first.as_str())?;
        let group = group_of_id(group).filter(|_| ordinal.is_empty() || ordinal.starts_with('/'))?;
        let number = parts_partition(output, &group, i32::try_from(self.scope.parts.len()).ok()?);
        let (partition, known) = self.scope.parts.iter().find(|(partition, _)| partition.number == number)?;
        let aggregate = format!("{output}.aggregate");
        let makers = known.makers(Revision(self.revision()), offset, MadeOf::Record);
        self.made_by(output, partition, makers, |by| by.plugin == aggregate)
    }

    fn made_by(
        &self,
        output: &str,
        partition: &Partition,
        makers: Makers<'_>,
        is_wanted: impl Fn(&ServedBy) -> bool,
    ) -> Option<MadeByReport> {
        let on_way = self.plugins.of_output(self.settings, output);
        // Of a plugin that the file names no more nobody knows whose it was.
        let is_on_way = |by: &ServedBy| on_way.at(&by.plugin).is_some() || self.plugins.at(&by.plugin).is_none();
        let of = |served: &&Served| {
            let by = served.by.iter().filter(|by| is_on_way(by) && is_wanted(by));
            by.map(|by| generation(by, served.from, &self.plugins)).collect::<Vec<_>>()
        };
        let generations: Vec<Vec<GenerationReport>> = makers.served.iter().map(of).collect();
        (!generations.is_empty()).then(|| MadeByReport {
            partition: partition.to_string(),
            is_sure: makers.is_complete && generations.len() == 1,
            is_complete: makers.is_complete,
            generations: generations.concat(),
        })
    }
}

fn generation(by: &ServedBy, from: Offset, plugins: &Plugins) -> GenerationReport {
    let ServedBy { plugin, version, digest, settings, generation } = by;
    let now = match plugins.at(plugin) {
        None => "not named any more",
        Some(now) if !now.plugin.component().digest().to_hex().starts_with(digest) => "another component",
        Some(now) if settings_hash(&now.settings) != *settings => "other settings",
        Some(_) => "the same",
    };
    GenerationReport {
        plugin: plugin.clone(),
        version: version.clone(),
        digest: digest.clone(),
        generation: *generation,
        from_offset: from.0,
        now: now.to_owned(),
    }
}
