//! Replays one after another, against the broker and the index inside the process: where each begins, and what it finds.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::record::Message;
use crate::sink::dead_letter::Header;
use crate::sink::stand_in::StandInIndex;
use crate::source::{StandInBroker, Writer};

const LETTERS: i64 = 10;
/// Its document is refused until the mapping is mended.
const WRONG: &str = "events-3-1";
const PATIENCE: Duration = Duration::from_secs(20);

struct Servers {
    settings: PipelineSettings,
    index: StandInIndex,
    _broker: StandInBroker,
    _runtime: tokio::runtime::Runtime,
}

impl Servers {
    fn start() -> Servers {
        let topics = [("events", 4), ("clicks.dead-letters", 1), ("before.dead-letters", 1)];
        let broker = StandInBroker::start(&topics).expect("it starts");
        let runtime = tokio::runtime::Runtime::new().expect("it starts");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let index = runtime.block_on(StandInIndex::start(address)).expect("it listens");
        let text = FILE.replace("localhost:9092", &broker.bootstrap()).replace("http://localhost:9200", &index.url());
        let parsed = PipelineSettings::parse(&text, Path::new("p.toml"), &|_| None, None);
        let settings = parsed.unwrap_or_else(|errors| panic!("{errors}")).0;
        index.map_number("all", "n", true);
        let servers = Servers { settings, index, _broker: broker, _runtime: runtime };
        let record = |_| message("events", 3, b"{}", Vec::new());
        servers.send((0..LETTERS).map(record).collect());
        servers
    }

    /// Writes letters of these offsets.
    fn write(&self, pipeline: &str, output: &str, offsets: std::ops::Range<i64>) {
        self.write_letters(pipeline, output, offsets.map(|offset| (format!("events-3-{offset}"), "0")));
    }

    /// Writes letters of these origins and revisions.
    fn write_letters(&self, pipeline: &str, output: &str, letters: impl IntoIterator<Item = (String, &'static str)>) {
        let topic = format!("{pipeline}.dead-letters");
        let letter = |(origin, revision): (String, &str)| {
            let value = if origin == WRONG { r#"{"n":"x"}"# } else { r#"{"n":1}"# };
            let headers = [
                ("identity", format!("{origin}/{output}/0")),
                ("pipeline", pipeline.to_owned()),
                ("reason", "sink".to_owned()),
                ("origin", origin),
                ("output", output.to_owned()),
                ("timestamp", "1500".to_owned()),
                ("revision", revision.to_owned()),
            ];
            let header = |(name, value): (&str, String)| (format!("tidegate-{name}"), Some(value.into_bytes()));
            message(&topic, 0, value.as_bytes(), headers.map(header).to_vec())
        };
        self.send(letters.into_iter().map(letter).collect());
    }

    fn send(&self, messages: Vec<Message>) {
        let topic = &self.settings.dead_letters.topic;
        let writer = Writer::new(&self.settings.kafka, 1 << 20, topic).expect("it starts");
        let (told, answer) = mpsc::channel();
        writer.write(messages, move |result| told.send(result).expect("somebody waits"));
        answer.recv_timeout(PATIENCE).expect("an answer").expect("a broker takes it");
    }

    fn replay(&self, asked: &Replay) -> Told {
        let replayed = replay(&self.settings, asked, &AtomicBool::new(false), &mut |_, _| ());
        Told::of(&replayed.unwrap_or_else(|error| panic!("{error}")))
    }
}

fn message(topic: &str, partition: i32, value: &[u8], headers: Vec<Header>) -> Message {
    Message { topic: topic.into(), partition: Some(partition), key: None, value: Some(value.to_vec()), headers }
}

/// What matters here of what was done.
#[derive(PartialEq, Eq, Debug)]
struct Told {
    began: Option<i64>,
    left_before: u64,
    chosen: u64,
    refused: u64,
    is_cut: bool,
    goes_on: Option<i64>,
}

impl Told {
    fn of(replayed: &Replayed) -> Told {
        Told {
            began: replayed.positions.first().and_then(|(_, began, _)| Some((*began)?.0)),
            left_before: replayed.left_before,
            chosen: replayed.chosen,
            refused: replayed.refused,
            is_cut: replayed.is_cut,
            goes_on: replayed.goes_on.first().map(|(_, offset)| offset.0),
        }
    }

    fn new(began: Option<i64>, left_before: u64, chosen: u64, refused: u64) -> Told {
        Told { began, left_before, chosen, refused, is_cut: false, goes_on: None }
    }

    fn cut_at(self, offset: i64) -> Told {
        Told { is_cut: true, ..self.on_at(offset) }
    }

    fn on_at(self, offset: i64) -> Told {
        Told { goes_on: Some(offset), ..self }
    }
}

#[test]
fn each_filter_is_gone_on_with_until_its_end_and_then_begins_anew() {
    let servers = Servers::start();
    servers.write("clicks", "all", 0..LETTERS);
    let refused = LetterFilter { reasons: vec![ReasonKind::Sink], ..LetterFilter::default() };
    let all = Replay { filter: refused, ..Replay::default() };
    let four = Replay { letters_max: Some(4), ..all.clone() };

    assert_eq!(servers.replay(&four), Told::new(None, 0, 4, 1).cut_at(4));
    assert_eq!(servers.replay(&four), Told::new(Some(4), 1, 4, 0).cut_at(8));
    let dry = Replay { dry_run: true, ..all.clone() };
    assert_eq!(servers.replay(&dry), Told::new(Some(8), 1, 2, 0).on_at(8), "it changes nothing");
    let other = LetterFilter { outputs: vec!["all".to_owned()], ..LetterFilter::default() };
    let other = Replay { filter: other, ..four.clone() };
    assert_eq!(servers.replay(&other), Told::new(None, 0, 4, 1).cut_at(4), "it has a position of its own");
    assert_eq!(servers.replay(&four), Told::new(Some(8), 1, 2, 0), "it comes to the end");

    servers.index.map_number("all", "n", false);
    assert_eq!(servers.index.documents("all").len() as i64, LETTERS - 1);
    assert_eq!(servers.replay(&all), Told::new(None, 0, 10, 0), "what was refused is tried again");
    assert_eq!(servers.index.documents("all").len() as i64, LETTERS);
}

#[test]
fn a_replay_begins_anew_where_it_is_asked_to_and_one_that_is_stopped_is_gone_on_with() {
    let servers = Servers::start();
    servers.index.map_number("all", "n", false);
    servers.write("clicks", "all", 0..LETTERS);
    let filter = LetterFilter { reasons: vec![ReasonKind::Sink], ..LetterFilter::default() };
    let all = Replay { filter, ..Replay::default() };
    let at_most = |letters| Replay { letters_max: Some(letters), ..all.clone() };

    assert_eq!(servers.replay(&at_most(10)), Told::new(None, 0, 10, 0), "there are no more than that");
    assert_eq!(servers.replay(&at_most(4)), Told::new(None, 0, 4, 0).cut_at(4));
    let anew = Replay { from_beginning: true, ..at_most(2) };
    assert_eq!(servers.replay(&anew), Told::new(None, 0, 2, 0).cut_at(2));
    let stopped = replay(&servers.settings, &all, &AtomicBool::new(true), &mut |_, _| ());
    let stopped = stopped.unwrap_or_else(|error| panic!("{error}"));
    assert!(stopped.stopped);
    assert_eq!(Told::of(&stopped), Told::new(Some(2), 0, 0, 0).on_at(2));
}

#[test]
fn without_a_filter_what_was_looked_at_is_not_looked_at_again() {
    let servers = Servers::start();
    servers.write("clicks", "all", 0..LETTERS);
    let four = Replay { letters_max: Some(4), ..Replay::default() };
    assert_eq!(servers.replay(&four), Told::new(None, 0, 4, 1).cut_at(4));
    assert_eq!(servers.replay(&Replay::default()), Told::new(Some(4), 1, 6, 0).on_at(10));
    assert_eq!(servers.replay(&Replay::default()), Told::new(Some(10), 1, 0, 0).on_at(10));
}

#[test]
fn letters_of_former_names_are_found_and_keep_their_ids() {
    let servers = Servers::start();
    servers.write("before", "all", 5..7);
    servers.write("clicks", "gone", 0..3);
    let before = |output: Option<&str>| LetterFilter {
        pipeline: Some("before".to_owned()),
        outputs: output.into_iter().map(str::to_owned).collect(),
        ..LetterFilter::default()
    };
    let renamed = Replay { filter: before(None), ..Replay::default() };
    assert_eq!(servers.replay(&renamed), Told::new(None, 0, 2, 0));
    let ids: Vec<String> = servers.index.documents("all").into_iter().map(|document| document.id).collect();
    assert_eq!(ids, ["all:events-3-5", "all:events-3-6"]);

    let gone = LetterFilter { outputs: vec!["gone".to_owned()], ..LetterFilter::default() };
    let replayed = Replay { filter: gone.clone(), ..Replay::default() };
    let replayed = replay(&servers.settings, &replayed, &AtomicBool::new(false), &mut |_, _| ());
    let replayed = replayed.unwrap_or_else(|error| panic!("{error}"));
    let stuck: Vec<_> = replayed.stuck.into_iter().collect();
    assert_eq!(stuck, [(Obstacle::UnknownOutput("gone".to_owned()), 3)]);

    let open = |filter: &LetterFilter| DeadLetterTopic::open_for(&servers.settings, filter);
    let topic = open(&gone).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((topic.name(), topic.identities(), topic.foreign()), ("clicks.dead-letters", 3, 0));
    let error = open(&before(Some("gone"))).map(drop).expect_err("that pipeline wrote none");
    assert!(error.to_string().ends_with("output=`gone`; there are: all, users"), "{error}");
    let unknown = LetterFilter { pipeline: Some("another".to_owned()), ..LetterFilter::default() };
    let topic = open(&unknown).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((topic.name(), topic.identities(), topic.foreign()), ("clicks.dead-letters", 0, 3));
}

/// Written with such a version, it would stay in the index whatever the pipeline writes later.
#[test]
fn a_letter_that_cannot_be_of_the_pipeline_is_left_and_writes_nothing() {
    let servers = Servers::start();
    servers.write("clicks", "all", 2..3);
    let letters = [
        ("events-3-3", "9999"),
        ("events-3-4", "5"),
        ("events-3-10", "0"),
        ("events-4-2", "0"),
        ("clicks-0-1", "0"),
        ("clicks-0-2", "0"),
    ];
    servers.write_letters("clicks", "all", letters.map(|(origin, revision)| (origin.to_owned(), revision)));
    let replayed = replay(&servers.settings, &Replay::default(), &AtomicBool::new(false), &mut |_, _| ());
    let replayed = replayed.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((replayed.chosen, replayed.settled, replayed.taken), (7, 1, 1));
    let stuck: Vec<_> = replayed.stuck.into_iter().collect();
    let expected = [
        (Obstacle::LaterRevision, 2),
        (Obstacle::UnknownTopic("clicks".to_owned()), 2),
        (Obstacle::UnknownPartition("events-4".to_owned()), 1),
        (Obstacle::BeyondEnd, 1),
    ];
    assert_eq!(stuck, expected);
    let documents = servers.index.documents("all").into_iter().map(|it| (it.id, it.version));
    assert_eq!(documents.collect::<Vec<_>>(), [("all:events-3-2".to_owned(), 2)]);
}
