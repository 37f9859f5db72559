//! The pipeline at one moment, as progress, metrics and health read it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ArchiveCounts, AuditCounts, CheckpointCounts, Counts, ReloadStatus};
use crate::lane::{Account, LaneStatus};
use crate::record::Partition;

#[derive(Clone, Default, PartialEq, Debug)]
pub struct Snapshot {
    /// What the pipeline file calls it; none before it runs.
    pub pipeline: Option<Arc<str>>,
    pub phase: Phase,
    pub counts: Counts,
    /// What became of the rows of each partition of the source topics that was ours since it began.
    pub accounts: BTreeMap<Partition, Account>,
    pub lanes: Vec<LaneSnapshot>,
    /// Since the poll thread came round last; none before it began.
    pub polled_ago: Option<Duration>,
    /// The longest that a worker has been at one step by now.
    pub step_age_max: Duration,
    /// Records that came below their partition's position and were left out.
    pub stale_records: u64,
    /// Records that were gone from the log before they were read.
    pub lost_records: u64,
    /// Records that are alive, by what they occupy.
    pub records_bytes: usize,
    pub documents_bytes: usize,
    pub messages_bytes: usize,
    /// The memories of all components.
    pub components_bytes: usize,
    /// As the pipeline file says.
    pub out_of_order: Duration,
    pub idle_after: Duration,
    /// Who is waited for, in words; empty while all goes well.
    pub waiting: Vec<String>,
    /// In the order of the pipeline file.
    pub sinks: Vec<SinkSnapshot>,
    pub checkpoints: CheckpointCounts,
    pub archive: ArchiveCounts,
    pub audit: AuditCounts,
    pub reload: ReloadStatus,
}

/// What the pipeline is doing.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Components are loaded, topics and the index are looked at.
    #[default]
    Starting,
    Running,
    /// Nothing is read any more; what is in flight is brought home.
    Draining,
    Stopped,
}

#[derive(Clone, PartialEq, Debug)]
pub struct LaneSnapshot {
    pub partition: Partition,
    /// A partition of the parts topic, not of a source topic.
    pub parts: bool,
    /// Records behind the end of the partition; none while the broker has not said where that is.
    pub lag: Option<u64>,
    pub status: LaneStatus,
}

/// A sink's own counts.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct SinkSnapshot {
    pub name: String,
    pub requests: u64,
    /// Documents that the index took.
    pub settled: u64,
    pub retried: u64,
    pub superseded: u64,
    pub rejected: u64,
    /// Refused, and dropped as the policy says.
    pub dropped: u64,
    /// Of the settled: those that went into a failure store.
    pub failure_store: u64,
    pub requests_in_flight: u64,
    /// How many may be, by what it has shown to bear.
    pub requests_limit: u64,
    /// The size at which bulks are sent.
    pub bulk_bytes: u64,
    /// None while it answers.
    pub unreachable_for: Option<Duration>,
}

/// What one pipeline has counted, as its console tells it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CountedReport {
    /// Its name; none before it runs.
    pub pipeline: Option<String>,
    /// In the order of partitions and outputs.
    pub balances: Vec<Balance>,
}

/// What came of a partition for an output since the process began, and what is gone, by count.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Balance {
    pub partition: String,
    pub output: String,
    /// Rows: records, and those that they were split into.
    pub came: u64,
    /// Dropped, dead letters, in windows, or documents.
    pub gone: u64,
    /// Of the documents: those that the index has not answered for.
    pub unanswered: i64,
}

impl Balance {
    pub fn adds_up(&self) -> bool {
        self.came == self.gone && self.unanswered >= 0
    }
}

impl Snapshot {
    pub fn counted(&self) -> CountedReport {
        let of_output = |partition: &Partition, account: &Account, output: &str| {
            let (came, gone) = account.balance(output);
            let (partition, output, unanswered) =
                (partition.to_string(), output.to_owned(), account.unanswered(output));
            Balance { partition, output, came, gone, unanswered }
        };
        let of = |(partition, account): (&Partition, &Account)| -> Vec<Balance> {
            account.outputs().into_iter().map(|output| of_output(partition, account, output)).collect()
        };
        CountedReport {
            pipeline: self.pipeline.as_deref().map(str::to_owned),
            balances: self.accounts.iter().flat_map(of).collect(),
        }
    }

    /// Of the source topics; none while nothing is known.
    pub fn lag(&self) -> Option<u64> {
        self.lanes.iter().filter(|lane| !lane.parts).filter_map(|lane| lane.lag).reduce(|left, right| left + right)
    }

    /// Documents of which the indices had this version or a newer one.
    pub fn superseded(&self) -> u64 {
        self.sinks.iter().map(|sink| sink.superseded).sum()
    }

    /// Windows of the lanes that hold them: those of the parts lanes are the same windows further on.
    pub fn open_windows(&self) -> usize {
        self.lanes.iter().map(|lane| lane.status.open_windows).sum()
    }

    /// What the windows of all lanes take in memory, about.
    pub fn windows_bytes(&self) -> usize {
        self.lanes.iter().map(|lane| lane.status.windows_bytes).sum()
    }

    /// Groups in the windows of all lanes.
    pub fn groups(&self) -> usize {
        self.lanes.iter().map(|lane| lane.status.groups).sum()
    }

    /// Whether the process is alive: all of its threads come round. Not whether anything else is.
    pub fn alive(&self) -> Result<(), String> {
        match self.polled_ago {
            Some(ago) if ago > POLL_AGE_MAX => {
                return Err(format!("the poll thread has not come round for {} s", ago.as_secs()));
            }
            Some(_) | None => {}
        }
        if self.step_age_max > STEP_AGE_MAX {
            return Err(format!("a worker has been at one batch for {} s", self.step_age_max.as_secs()));
        }
        Ok(())
    }

    /// Whether it does its work: partitions are assigned, and the index answers.
    pub fn ready(&self) -> Result<(), String> {
        match self.phase {
            Phase::Starting => return Err("starting".to_owned()),
            Phase::Draining => return Err("draining".to_owned()),
            Phase::Stopped => return Err("stopped".to_owned()),
            Phase::Running => {}
        }
        if self.lanes.is_empty() {
            return Err("no partition is assigned yet".to_owned());
        }
        match self.waiting.is_empty() {
            true => Ok(()),
            false => Err(self.waiting.join("; ")),
        }
    }
}

/// The session time-out: the group has given our partitions away by then.
const POLL_AGE_MAX: Duration = Duration::from_secs(45);

/// A component has a second for a call, and a batch that traps is rerun in parts: this is far above both.
const STEP_AGE_MAX: Duration = Duration::from_secs(60);
