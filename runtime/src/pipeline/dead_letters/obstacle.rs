//! Why a dead letter cannot be sent again, whatever was mended.

/// What is in the way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Obstacle {
    /// It belongs into windows only, which have closed without it.
    Windows,
    /// Its output updates documents, which have no versions: an older record would be written over newer ones.
    Updates,
    /// A part that came too late: it belongs into a window too.
    LatePart,
    /// A window's document that its aggregate did not make: there is only the group.
    NotMade,
    /// A window's document of which the letter does not say the version.
    NoVersion,
    /// A record of which the letter does not say the revision, of a pipeline that was rewound.
    NoRevision,
    /// It says a revision that the pipeline has not had.
    LaterRevision,
    /// Its record is of this topic, which the pipeline does not read.
    UnknownTopic(String),
    /// Its record is of this partition, which its topic does not have.
    UnknownPartition(String),
    /// Its record lies beyond the end of its partition.
    BeyondEnd,
    /// Key and value were too large for the dead-letter topic.
    Omitted,
    /// The pipeline file does not have its output, this one, any more.
    UnknownOutput(String),
    /// It is no dead letter of a form that is known here.
    Unknown,
}

impl Obstacle {
    /// A word for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Obstacle::Windows => "windows",
            Obstacle::Updates => "updates",
            Obstacle::LatePart => "late-part",
            Obstacle::NotMade => "not-made",
            Obstacle::NoVersion => "no-version",
            Obstacle::NoRevision => "no-revision",
            Obstacle::LaterRevision => "later-revision",
            Obstacle::UnknownTopic(_) => "unknown-topic",
            Obstacle::UnknownPartition(_) => "unknown-partition",
            Obstacle::BeyondEnd => "beyond-end",
            Obstacle::Omitted => "omitted",
            Obstacle::UnknownOutput(_) => "unknown-output",
            Obstacle::Unknown => "unknown",
        }
    }

    /// What is in the way, and what can be done.
    pub fn words(&self) -> String {
        let words = match self {
            Obstacle::Windows => {
                "they belong into windows only, and those would have to be written anew: `tidegate rewind` reads their records again"
            }
            Obstacle::Updates => {
                "their output updates documents without versions, and they would be written over newer ones: `tidegate rewind` reads all again"
            }
            Obstacle::LatePart => {
                "parts that came after their window was final, which would have to be written anew: `tidegate rewind`"
            }
            Obstacle::NotMade => {
                "documents of windows that the aggregate could not make: mend it, then `tidegate rewind` makes the windows again"
            }
            Obstacle::NoVersion => {
                "documents of windows whose letters do not say the version: `tidegate rewind` makes the windows again"
            }
            Obstacle::NoRevision => {
                "letters that do not say the revision that they are of, and the pipeline was rewound: `tidegate rewind`"
            }
            Obstacle::LaterRevision => {
                "letters of a revision that the pipeline has not had, whose documents would replace all that it writes: they are not its own, or \
                 its positions are lost: `tidegate rewind`"
            }
            Obstacle::UnknownTopic(topic) => {
                return format!(
                    "the pipeline does not read their topic, or it is gone: topic=`{topic}`; if it should, name it in the pipeline file"
                );
            }
            Obstacle::UnknownPartition(partition) => {
                return format!("their topic does not have this partition: partition=`{partition}`");
            }
            Obstacle::BeyondEnd => {
                "their records lie beyond the end of their partitions: they are not the pipeline's own, or the topic was made anew since"
            }
            Obstacle::Omitted => {
                "key and value were too large for the dead-letter topic: as long as the source topic has them, `tidegate rewind` reads \
                 them again"
            }
            Obstacle::UnknownOutput(output) => {
                return format!("the pipeline file does not have their output any more: output=`{output}`");
            }
            Obstacle::Unknown => "their form is not known here: a later version of tidegate may have written them",
        };
        words.to_owned()
    }
}
