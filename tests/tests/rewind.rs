//! A topic that is another one under its name, and deliberate replays, on stand-ins. A stand-in cannot delete a topic, knows no offsets of
//! times, and takes positions from outside of a group only before the group has had a member: so the records and positions of one are moved
//! to another stand-in, whose topics of the same names have other ids. `servers.rs` has topics that are deleted, and a rewind to a time.

use tidegate::config::PipelineSettings;
use tidegate::pipeline::{Rewind, RewindTo, Rewound, rewind};
use tidegate::record::{ErrorKind, HasKind, Offset};
use tidegate::source::StandInBroker;
use tidegate_tests::kafka::Kafka;
use tidegate_tests::reload::{GROUPS, LIMIT, NUMBERS_PER_WINDOW, Numbers, PARTITIONS, Plugins};
use tidegate_tests::wait_for;

const WINDOWS: usize = 2;
const DOCUMENTS: usize = WINDOWS * GROUPS as usize;

/// A pipeline that has counted two windows and was drained, its records and positions on another broker.
struct Job {
    numbers: Numbers,
    _broker: StandInBroker,
}

impl Job {
    fn new(test: &str, more: &str) -> Job {
        let mut numbers = Numbers::new(&format!("rewind-{test}"));
        numbers.write(Plugins { documents: false, more, ..Plugins::default() });
        let running = numbers.start();
        numbers.produce(0..WINDOWS as i64 * NUMBERS_PER_WINDOW);
        numbers.pass_time(WINDOWS as i64 * NUMBERS_PER_WINDOW);
        wait_for("the windows", LIMIT, || (numbers.tallies().len() >= DOCUMENTS).then_some(()));
        running.drain();
        let dead_letters = format!("{}.dead-letters", numbers.name);
        let topics = [(&*numbers.topic, PARTITIONS), (&*dead_letters, 1), (&*parts(&numbers), PARTITIONS)];
        let broker = StandInBroker::start(&topics).expect("the stand-in broker starts");
        let kafka = Kafka::new(&broker.bootstrap());
        for topic in [&*numbers.topic, &*parts(&numbers)] {
            kafka.produce(topic, &numbers.kafka.read_all(topic));
            kafka.commit(numbers.group(), &numbers.kafka.positions(numbers.group(), topic, PARTITIONS));
        }
        numbers.rewrite(&numbers.brokers, &broker.bootstrap());
        (numbers.brokers, numbers.kafka) = (broker.bootstrap(), kafka);
        Job { numbers, _broker: broker }
    }

    fn settings(&self) -> PipelineSettings {
        let environment = |name: &str| std::env::var(name).ok();
        PipelineSettings::load(&self.numbers.file(), &environment, None).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn rewind(&self, to: RewindTo, dry_run: bool) -> Rewound {
        let asked = Rewind { to, topic: None, partition: None, dry_run };
        rewind(&self.settings(), &asked).unwrap_or_else(|error| panic!("{error}"))
    }

    fn positions(&self) -> Vec<(String, i32, i64, String)> {
        [&*self.numbers.topic, &*parts(&self.numbers)]
            .into_iter()
            .flat_map(|topic| self.numbers.kafka.positions(self.numbers.group(), topic, PARTITIONS))
            .collect()
    }

    /// The revisions of the documents of windows, in the order of the windows.
    fn revisions(&self) -> Vec<u64> {
        let mut found: Vec<(String, u64)> =
            self.numbers.index.documents("tallies").into_iter().map(|one| (one.id, one.version)).collect();
        found.sort();
        found.into_iter().map(|(_, version)| version >> 52).collect()
    }

    fn check_tallies(&self) {
        let tallies = self.numbers.tallies();
        assert_eq!(tallies.len(), DOCUMENTS);
        assert!(tallies.values().all(|count| *count == NUMBERS_PER_WINDOW / GROUPS), "{tallies:?}");
        assert_eq!(self.numbers.dead_letters(), 0);
    }
}

fn parts(numbers: &Numbers) -> String {
    format!("{}.parts", numbers.name)
}

#[test]
fn a_topic_that_is_another_one_under_its_name_stops() {
    let job = Job::new("other-topic", "");
    let error = job.numbers.start().ended().expect_err("the topic is another");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("deleted and made anew"), "{error}");
    assert!(error.to_string().contains("tidegate rewind FILE --to earliest"), "{error}");
}

#[test]
fn a_rewind_to_the_beginning_writes_all_windows_anew() {
    let job = Job::new("earliest", "");
    assert_eq!(job.revisions(), vec![0; DOCUMENTS]);
    let before = job.positions();
    let shown = job.rewind(RewindTo::Earliest, true);
    assert_eq!(job.positions(), before, "a dry run changes nothing");
    let done = job.rewind(RewindTo::Earliest, false);
    assert_eq!(done, shown);
    assert_eq!(done.revision, 1);
    assert!(done.partitions.iter().all(|it| it.to == Offset(0) && it.first_windows == [None]), "{done:?}");

    let running = job.numbers.start();
    wait_for("all windows in the new revision", LIMIT, || (job.revisions() == vec![1; DOCUMENTS]).then_some(()));
    job.check_tallies();
    let error =
        rewind(&job.settings(), &Rewind { to: RewindTo::Earliest, topic: None, partition: None, dry_run: false });
    let error = error.expect_err("it runs").to_string();
    assert!(error.contains("stop all instances"), "{error}");
    running.drain();

    // A restart goes on in the revision.
    let running = job.numbers.start();
    let next = (WINDOWS as i64 + 3) * NUMBERS_PER_WINDOW;
    job.numbers.pass_time(next);
    wait_for("the window of what let time pass", LIMIT, || (job.revisions().len() > DOCUMENTS).then_some(()));
    assert!(job.revisions().iter().all(|revision| *revision == 1), "{:?}", job.revisions());
    running.drain();
}

#[test]
fn what_cannot_be_rewound_is_refused() {
    let job = Job::new("refused", "");
    let refusal = |to, partition| {
        let asked = Rewind { to, topic: None, partition, dry_run: false };
        let error = rewind(&job.settings(), &asked).expect_err("it is refused");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        error.to_string()
    };
    let before = job.positions();
    assert!(refusal(RewindTo::Offset(Offset(1)), None).contains("--partition"));
    assert!(refusal(RewindTo::Earliest, Some(1)).contains("merged over all partitions"));
    assert!(refusal(RewindTo::Earliest, Some(7)).contains("no such partition"));
    assert_eq!(job.positions(), before);
}

/// The windows are each partition's own: one goes back alone, and the others keep what they have.
#[test]
fn one_partition_goes_back_to_an_offset() {
    let job = Job::new("offset", "");
    job.numbers.rewrite("[output.aggregate]", "[output.aggregate]\npartitioned_by_group = true");
    let asked = Rewind { to: RewindTo::Offset(Offset(17)), topic: None, partition: Some(1), dry_run: true };
    let shown = rewind(&job.settings(), &asked).unwrap_or_else(|error| panic!("{error}"));
    let moved: Vec<bool> = shown.partitions.iter().map(|it| it.stays).collect();
    assert_eq!(moved, [true, false, true]);
    assert_eq!(shown.partitions[1].to, Offset(17));
}
