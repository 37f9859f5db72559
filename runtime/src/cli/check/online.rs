//! What only the servers know: topics, positions, who vouches for timestamps, indices, stores. Nothing is changed.

use std::path::Path;

use super::sample::Sample;
use super::{Problem, stores};
use crate::cli::columns::{Columns, count};
use crate::config::{ElasticsearchSettings, OnDataLoss, PipelineSettings, Places, Start, show_duration};
use crate::lane::Plan;
use crate::pipeline::written;
use crate::record::{ErrorKind, EventTime, HasKind, Offset, Partition};
use crate::sink::{IndexState, ProbeReport, Product, probe};
use crate::source::{Admin, PartitionDescription, SourceError, TopicDescription, TopicSettings};

/// How many of the newest records of each topic are looked at.
const NEWEST_RECORDS: usize = 1000;

/// What a look at the servers has shown.
#[derive(Default)]
pub(super) struct Online {
    pub shown: Vec<String>,
    pub warnings: Vec<String>,
    pub problems: Vec<Problem>,
}

/// Asks both servers. The sample gets the newest records, where there is one to fill.
pub(super) fn look(settings: &PipelineSettings, places: &Places, sample: Option<&mut Sample>) -> Online {
    let mut online = Online::default();
    if let Err(error) = online.kafka(settings, places, sample) {
        online.problem(places, "source.kafka.brokers", &error);
    }
    online.indices(settings, places);
    stores::look(settings, places, &mut online);
    online
}

impl Online {
    pub(super) fn problem<E: std::error::Error + HasKind>(&mut self, places: &Places, path: &str, error: &E) {
        self.problems.push(Problem { error: places.error(path, error.to_string(), None), kind: error.kind() });
    }

    fn kafka(
        &mut self,
        settings: &PipelineSettings,
        places: &Places,
        sample: Option<&mut Sample>,
    ) -> Result<(), SourceError> {
        let mut admin = Admin::new(&settings.kafka)?;
        let mut columns = Columns::new(["topic", "for", "partitions", "records"]);
        let mut topics = Vec::new();
        for (number, name) in settings.kafka.topics.iter().enumerate() {
            match admin.find(name)? {
                Some(topic) => {
                    columns.row(row(&topic, "records"));
                    self.vouch(settings, name, admin.settings(name).as_ref());
                    topics.push(topic);
                }
                None => {
                    let unknown = SourceError::UnknownTopic { topic: name.clone() };
                    self.problem(places, &format!("source.kafka.topics[{number}]"), &unknown);
                }
            }
        }
        let parts = Plan::parts_topic_of(settings).map(|name| (name, "parts of windows"));
        let dead_letters = (settings.dead_letters.topic.clone(), "dead letters");
        for (name, what) in parts.into_iter().chain([dead_letters]) {
            match admin.find(&name)? {
                Some(topic) => columns.row(row(&topic, what)),
                None => columns.row(vec![name, what.into(), "created at the start".into(), String::new()]),
            }
        }
        self.shown.push(columns.show());
        self.positions(settings, places, &mut admin, &topics)?;
        if let Some(sample) = sample {
            for topic in &topics {
                for (partition, batch) in admin.newest(topic, NEWEST_RECORDS)? {
                    sample.add(Some(&partition), batch);
                }
            }
        }
        Ok(())
    }

    /// An event time is judged by the record's timestamp, so somebody must vouch for that.
    fn vouch(&mut self, settings: &PipelineSettings, name: &str, topic: Option<&TopicSettings>) {
        let max_future = show_duration(settings.watermark.max_future);
        match topic {
            None => self.warnings.push(format!(
                "the cluster does not tell how topic `{name}` is set: whether timestamps that lie ahead are refused is not known"
            )),
            Some(topic) if topic.log_append_time || topic.timestamp_after_max.is_some() => {}
            Some(_) => self.warnings.push(format!(
                "topic `{name}` takes timestamps of any time, so max_future ({max_future}) holds nothing back: one\n    \
                 producer with a wrong clock can make everybody's records late; set message.timestamp.after.max.ms to an hour"
            )),
        }
    }

    /// Where the group goes on.
    fn positions(
        &mut self,
        settings: &PipelineSettings,
        places: &Places,
        admin: &mut Admin,
        topics: &[TopicDescription],
    ) -> Result<(), SourceError> {
        let partitions = topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|description| (Partition::new(&topic.name, description.number), description))
        });
        let (partitions, descriptions): (Vec<_>, Vec<_>) = partitions.unzip();
        let positions = admin.positions(&partitions)?;
        let (mut known, mut behind) = (0, 0);
        for ((partition, description), position) in partitions.iter().zip(descriptions).zip(positions) {
            let Some((position, _)) = position else { continue };
            known += 1;
            behind += u64::try_from(description.log_end.0 - position.0).unwrap_or(0);
            if let Some(error) = lost(partition, description, position) {
                match settings.kafka.on_data_loss {
                    OnDataLoss::Stop => self.problem(places, "source.kafka.group", &error),
                    OnDataLoss::Continue => self.warnings.push(error.to_string()),
                }
            }
        }
        let group = &settings.kafka.group;
        let start = match settings.kafka.start {
            Start::Earliest => "at the oldest records".to_owned(),
            Start::Latest => "at the newest records".to_owned(),
            Start::Timestamp { millis } => format!("at {}", EventTime::from_micros(millis.saturating_mul(1000))),
        };
        self.shown.push(match known {
            _ if partitions.is_empty() => return Ok(()),
            0 => format!("group {group}: no position yet, begins {start}\n"),
            _ => {
                let of = count(partitions.len() as u64, "partition");
                format!("group {group}: has a position on {known} of {of}, {} behind\n", count(behind, "record"))
            }
        });
        Ok(())
    }

    fn indices(&mut self, settings: &PipelineSettings, places: &Places) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                let error = places.error("sink", format!("cannot start a runtime: {error}"), None);
                return self.problems.push(Problem { error, kind: ErrorKind::Internal });
            }
        };
        for (sink, outputs) in settings.outputs_of_sinks() {
            let templates: Vec<&Path> = outputs.iter().filter_map(|output| output.template.as_deref()).collect();
            match runtime.block_on(probe(sink, &written(&outputs), &templates)) {
                Ok(report) => self.index(sink, report, settings.sinks.len() > 1),
                Err(error) => self.problem(places, &format!("sink.{}.urls", sink.name), &error),
            }
        }
    }

    fn index(&mut self, sink: &ElasticsearchSettings, report: ProbeReport, is_one_of_several: bool) {
        let product = match report.product {
            Product::Elasticsearch => "Elasticsearch",
            Product::OpenSearch => "OpenSearch",
            Product::Unknown => "unknown",
        };
        let version = report.version.unwrap_or_default();
        let mut columns = Columns::new(["index", "state"]);
        for index in report.indices {
            let state = match index.state {
                IndexState::Present => "is there",
                IndexState::Template => "the first document makes it, by a template",
                IndexState::OwnTemplate => "the first document makes it, by a template that the start installs",
                IndexState::Missing => {
                    "neither it nor a template is there: its mappings will be guessed, or it is refused"
                }
                IndexState::Unknown => "we may not ask",
                IndexState::Unanswered => "no answer that is understood",
            };
            columns.row(vec![index.name, state.into()]);
        }
        let of = if is_one_of_several { format!(" of sink.{}", sink.name) } else { String::new() };
        self.shown.push(format!("index server{of}: {product} {version}\n{}", columns.show()));
        self.warnings.extend(report.warnings);
    }
}

fn row(topic: &TopicDescription, what: &str) -> Vec<String> {
    let records: i64 = topic.partitions.iter().map(|partition| partition.log_end.0 - partition.log_start.0).sum();
    vec![topic.name.clone(), what.into(), topic.partitions.len().to_string(), records.to_string()]
}

/// What is wrong with a position, in the source's words.
fn lost(partition: &Partition, description: &PartitionDescription, position: Offset) -> Option<SourceError> {
    let (log_start, log_end) = (description.log_start, description.log_end);
    let partition = partition.clone();
    if position < log_start {
        Some(SourceError::DataLoss { partition, position, log_start })
    } else if position > log_end {
        Some(SourceError::BeyondEnd { partition, position, log_end })
    } else {
        None
    }
}
