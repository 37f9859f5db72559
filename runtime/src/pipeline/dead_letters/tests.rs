//! Which letters go where, and with which ids and versions; no component, no server.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::reach::Reach;
use super::replay_lanes::{LaneKey, ReplayLanes, Route};
use super::sending::{Fate, send};
use super::*;
use crate::record::{BatchBuilder, WriteOptions};

mod replays;

const FILE: &str = r#"
    name = "clicks"
    [source.kafka]
    brokers = "localhost:9092"
    topics = ["events"]
    [source.decode]
    event_time = "$timestamp"
    [sink.elasticsearch]
    urls = ["http://localhost:9200"]
    [[output]]
    name = "all"
    index = "all"
    [[output]]
    name = "users"
    index = "users"
    id = { field = "user", version = "v" }
"#;
const WINDOWS: &str = r#"
    [watermark]
    out_of_order = "1s"
    [[output]]
    name = "counts"
    index = "counts"
    [output.aggregate]
    plugin = "count.wasm"
    group_by = ["g"]
    window = { tumbling = "1m" }
"#;

const UPDATES: &str = r#"
    [[output]]
    name = "profiles"
    index = "profiles"
    operation = "update"
    id = "$key"
"#;

fn settings() -> PipelineSettings {
    let text = format!("{FILE}{UPDATES}{WINDOWS}");
    let parsed = PipelineSettings::parse(&text, Path::new("p.toml"), &|_| None, None);
    parsed.unwrap_or_else(|errors| panic!("{errors}")).0
}

fn lanes() -> ReplayLanes {
    ReplayLanes::load(&settings()).unwrap_or_else(|error| panic!("{error}"))
}

/// Ten records each in four partitions.
fn reach(revision: u16) -> Reach {
    let ends = (0..4).map(|number| (number, Offset(10))).collect();
    Reach { revision, ends: HashMap::from([("events".to_owned(), ends)]) }
}

fn found(identity: &str, value: Option<&str>, headers: &[(&str, &str)]) -> FoundLetter {
    let mut batch = BatchBuilder::new(EventTime::MIN);
    batch.push(Offset(0), None, None, value.map(str::as_bytes));
    batch.header(b"tidegate-identity", Some(identity.as_bytes()));
    let origin = identity.split('/').next().unwrap_or_default();
    batch.header(b"tidegate-origin", Some(origin.as_bytes()));
    batch.header(b"tidegate-timestamp", Some(b"1500"));
    headers.iter().for_each(|(name, value)| batch.header(name.as_bytes(), Some(value.as_bytes())));
    let letter = Letter::read(&Partition::new("dead", 0), &batch.finish(), 0).expect("it has an identity");
    FoundLetter { letter, copies: 1 }
}

fn route(identity: &str, headers: &[(&str, &str)]) -> Result<Route, Obstacle> {
    route_at(0, identity, headers)
}

fn route_at(revision: u16, identity: &str, headers: &[(&str, &str)]) -> Result<Route, Obstacle> {
    lanes().route(&found(identity, Some("{}"), headers).letter, &reach(revision))
}

fn lane(revision: u16, selection: Option<usize>) -> Result<Route, Obstacle> {
    let lane = LaneKey { partition: Partition::new("events", 3), revision, selection };
    Ok(Route::Lane { lane, offset: Offset(7) })
}

#[test]
fn a_record_goes_through_its_output_or_through_all_without_windows() {
    assert_eq!(route("events-3-7//0", &[]), lane(0, None));
    assert_eq!(route_at(4, "events-3-7/users/2", &[("tidegate-revision", "4")]), lane(4, Some(1)));
    assert_eq!(route("events-3-7/counts/0", &[]), Err(Obstacle::Windows));
    assert_eq!(route("events-3-7/gone/0", &[]), Err(Obstacle::UnknownOutput("gone".to_owned())));
    assert_eq!(route("events-3-7/all/0", &[("tidegate-omitted", "2000000")]), Err(Obstacle::Omitted));
    assert_eq!(route("something", &[]), Err(Obstacle::Unknown));
}

#[test]
fn a_record_without_a_revision_is_of_the_first_one() {
    let letter = found("events-3-7/all/0", Some("{}"), &[]).letter;
    assert_eq!(lanes().route(&letter, &reach(0)), lane(0, Some(0)));
    assert_eq!(lanes().route(&letter, &reach(1)), Err(Obstacle::NoRevision));
}

#[test]
fn a_letter_of_a_revision_or_a_record_that_there_has_not_been_goes_nowhere() {
    let of = |now: u16, revision: &str| route_at(now, "events-3-7/all/0", &[("tidegate-revision", revision)]);
    assert_eq!(of(2, "1"), lane(1, Some(0)), "of before a rewind");
    for (now, revision) in [(2, "3"), (0, "5"), (0, "9999"), (2, "99999"), (0, "x"), (0, "-1")] {
        assert_eq!(of(now, revision), Err(Obstacle::LaterRevision), "{now}, {revision}");
    }
    assert_eq!(route("events-3-10/all/0", &[]), Err(Obstacle::BeyondEnd));
    assert_eq!(route("events-4-7/all/0", &[]), Err(Obstacle::UnknownPartition("events-4".to_owned())));
    assert_eq!(route("clicks-3-7//0", &[]), Err(Obstacle::UnknownTopic("clicks".to_owned())));
}

#[test]
fn a_windows_document_goes_to_the_index_with_its_version() {
    let document = |more: &[(&str, &str)]| {
        let headers = [&[("tidegate-reason", "sink"), ("tidegate-index", "counts-1")], more].concat();
        route("document/counts/counts:1:2:n;", &headers)
    };
    assert_eq!(
        document(&[("tidegate-version", "9")]),
        Ok(Route::Index { index: "counts-1".to_owned(), options: WriteOptions::default(), version: 9 })
    );
    assert_eq!(document(&[]), Err(Obstacle::NoVersion));
    let later = (1_u64 << 52).to_string();
    assert_eq!(document(&[("tidegate-version", &later)]), Err(Obstacle::LaterRevision));
    assert_eq!(document(&[("tidegate-reason", "plugin"), ("tidegate-version", "9")]), Err(Obstacle::NotMade));
    assert_eq!(route("part/events-3/counts/0/60/0/AA", &[]), Err(Obstacle::LatePart));
    let gone = Obstacle::UnknownOutput("gone".to_owned());
    assert!(gone.words().contains("output=`gone`"));
    assert_eq!(route("part/events-3/gone/0/60/0/AA", &[]), Err(gone.clone()));
    assert_eq!(route("document/gone/gone:1:2:n;", &[("tidegate-reason", "sink")]), Err(gone));
}

#[test]
fn what_has_no_versions_is_left_out() {
    assert_eq!(route("events-3-7/profiles/0", &[]), Err(Obstacle::Updates));
    assert_eq!(lanes().left_out().collect::<Vec<_>>(), ["profiles", "counts"]);
    let mut settings = settings();
    settings.outputs.retain(|output| output.name == "profiles");
    let lanes = ReplayLanes::load(&settings).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(lanes.route(&found("events-3-7//0", Some("{}"), &[]).letter, &reach(0)), Err(Obstacle::Updates));
}

/// Without a sink nothing is sent; what a lane would send is counted, and what it refuses is told.
#[test]
fn letters_in_any_order_become_documents_once_each() {
    let letters = [
        found("events-3-9//0", Some(r#"{"user":"a","v":1}"#), &[]),
        found("events-3-7/all/0", Some("{}"), &[]),
        found("events-3-8/users/0", Some("{}"), &[]),
        found("events-3-7/all/1", Some("{}"), &[]),
        found("events-2-1/users/0", Some("no JSON"), &[]),
        found("events-3-7/counts/0", Some("{}"), &[]),
    ];
    let sent = send(&mut lanes(), &reach(0), None, &letters, EventTime::from_micros(0), &AtomicBool::new(false));
    let sent = sent.unwrap_or_else(|error| panic!("{error}"));
    let counts: Vec<_> = sent.indices.iter().map(|(index, counts)| (index.as_str(), *counts)).collect();
    assert_eq!(counts, [("all", (2, 0)), ("users", (1, 0))]);
    let reason = |fate: &Fate| match fate {
        Fate::Settled => "settled".to_owned(),
        Fate::Refused { reason, .. } => reason.clone(),
        Fate::Stuck(obstacle) => obstacle.name().to_owned(),
    };
    let fates: Vec<String> = sent.fates.expect("nothing is waited for").iter().map(reason).collect();
    assert_eq!(fates, ["settled", "settled", "field", "settled", "json", "windows"]);
}

#[test]
fn the_last_letter_of_an_identity_counts() {
    let mut last = HashMap::new();
    let mut at = |partition: i32, offset: i64, millis: i64| {
        let mut letter = found("events-3-7//0", None, &[]).letter;
        letter.position = Partition::new("dead", partition).origin(Offset(offset));
        letter.written = Some(EventTime::from_micros(millis * 1000));
        note(&mut last, &letter);
        let last = &last[&hash_of("events-3-7//0")];
        (last.partition, last.offset.0, last.copies)
    };
    assert_eq!(at(0, 5, 10), (0, 5, 1));
    assert_eq!(at(0, 6, 9), (0, 6, 2), "the broker's order counts within a partition");
    assert_eq!(at(1, 2, 20), (1, 2, 3));
    assert_eq!(at(0, 8, 15), (1, 2, 4));
}

#[test]
fn a_filter_that_can_fit_nothing_is_an_error() {
    let unseen =
        |name: &str| filter::check_outputs(&settings(), &[&name.to_owned()]).map_err(|error| error.to_string());
    assert_eq!(unseen("counts"), Ok(()));
    assert!(unseen("al").expect_err("there is none").ends_with("there are: all, users, profiles, counts"));
    let at = Some(Moment { time: EventTime::from_micros(2), ago: None });
    assert!(LetterFilter { since: at, until: at, ..LetterFilter::default() }.check().is_err());
    assert!(LetterFilter { since: at, ..LetterFilter::default() }.check().is_ok());
}

#[test]
fn a_pipeline_that_was_renamed_had_another_topic_unless_the_file_names_one() {
    let mut settings = settings();
    assert_eq!(topic_of(&settings, "clicks"), "clicks.dead-letters");
    assert_eq!(topic_of(&settings, "before"), "before.dead-letters");
    settings.dead_letters.topic = "lost".to_owned();
    assert_eq!(topic_of(&settings, "before"), "lost");
}
