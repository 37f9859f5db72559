//! The program with checkpoints on an S3-compatible store: what it says of one that is no good, and `tidegate checkpoint` on a good one.
//! That a good one keeps what checkpoints rest on is with the tests of their room, `runtime/src/checkpoint/tests/s3.rs`.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use expect_test::{Expect, expect};
use tidegate::checkpoint::{ClaimToken, Encoder, Header, Place, Store};
use tidegate::record::{Offset, Partition};
use tidegate::source::StandInBroker;
use tidegate_tests::forgetful::Forgetful;
use tidegate_tests::job::Job;
use tidegate_tests::program::binary;
use tidegate_tests::servers::S3;
use tidegate_tests::workspace::scratch;

fn check_refused(test: &str, location: &str, environment: Vec<(String, String)>, code: i32, expected: Expect) {
    let mut job = Job::of(&format!("s3-{test}"), 1, 4);
    job.environment = environment;
    let text = fs::read_to_string(&job.pipeline).expect("it was written");
    let checkpoint = format!("\n[checkpoint]\nlocations = [\"{location}\"]\n");
    fs::write(&job.pipeline, text + &checkpoint).expect("the scratch folder is writable");
    let (ended, said) = (job.start().wait(), fs::read_to_string(job.folder.join("run.log")).expect("it has one"));
    let last = said.lines().rfind(|line| line.starts_with("error: ")).unwrap_or_default();
    // What the store says for itself has numbers of its own.
    expected.assert_eq(
        last.split(": Error performing").next().unwrap_or_default().split("object=").next().unwrap_or_default(),
    );
    assert_eq!(ended.code(), Some(code), "{said}");
    println!("{last}");
}

fn with(mut environment: Vec<(String, String)>, name: &str, value: &str) -> Vec<(String, String)> {
    environment.push((name.to_owned(), value.to_owned()));
    environment
}

#[test]
#[ignore = "needs real servers and an S3-compatible store: scripts/server-tests.sh starts them and runs it, by make test"]
fn a_wrong_secret_is_refused_at_start() {
    let s3 = S3::get();
    let environment = with(s3.environment(), "AWS_SECRET_ACCESS_KEY", "wrong");
    check_refused(
        "secret",
        &s3.bucket,
        environment,
        4,
        expect!["error: the object store does not let us write or read, location=`s3://tidegate` "],
    );
}

#[test]
#[ignore = "needs real servers and an S3-compatible store: scripts/server-tests.sh starts them and runs it, by make test"]
fn a_missing_bucket_is_refused_at_start() {
    check_refused(
        "bucket",
        "s3://missing/prefix",
        S3::get().environment(),
        4,
        expect![
            "error: the bucket or container of the object store is not there, location=`s3://missing/prefix`; create it, or correct the location"
        ],
    );
}

/// The store is a stand-in: no version of a real one is known that says yes and does not do it.
#[test]
#[ignore = "needs real servers and an S3-compatible store: scripts/server-tests.sh starts them and runs it, by make test"]
fn a_store_that_ignores_put_if_absent_is_refused_at_start() {
    let s3 = S3 { endpoint: Forgetful::start().endpoint(), bucket: "s3://tidegate".to_owned() };
    check_refused(
        "forgetful",
        &s3.bucket,
        s3.environment(),
        2,
        expect![
            "error: the store does not keep two processes from writing one object, location=`s3://tidegate`: it puts an object where there is one; choose a store that puts an object only where there is none (`If-None-Match: *`) and shows it at once"
        ],
    );
}

#[test]
#[ignore = "needs an S3-compatible store: scripts/server-tests.sh starts one and runs it, by make test"]
fn checkpoints_are_listed_and_verified_on_s3() {
    let s3 = S3::get();
    let location = format!("{}/list-{}", s3.bucket, std::process::id());
    let folder = scratch("s3-list");
    let broker = StandInBroker::start(&[("events", 2)]).expect("it starts");
    let file = format!(
        "name = \"clicks\"\n[source.kafka]\nbrokers = \"{}\"\ntopics = [\"events\"]\n[sink.elasticsearch]\n\
         urls = [\"http://127.0.0.1:9\"]\n[[output]]\nname = \"o\"\nindex = \"i\"\n[checkpoint]\n\
         locations = [\"{location}\"]\n",
        broker.bootstrap(),
    );
    fs::write(folder.join("p.toml"), file).expect("it is written");
    let store = Store::open(&location, &s3.environment()).expect("it opens");
    let place = Place { pipeline: Arc::from("clicks"), partition: Partition::new("events", 1) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it starts");
    runtime.block_on(async {
        let mut owner = store.claim(place.clone(), ClaimToken::random()).await.expect("it is claimed");
        for _ in 0..2 {
            let slot = owner.next_slot();
            let header = Header {
                place: place.clone(),
                topic_id: None,
                slot: slot.id(),
                next: Offset(1000),
                revision: 0,
                position: Vec::new(),
                components: Vec::new(),
                fingerprints: Vec::new(),
                imported: false,
            };
            store.put(slot, Encoder::new(&header).finish()).await.expect("it is put");
        }
    });
    let ask = |what: &str| {
        let mut command = Command::new(binary());
        command.current_dir(&folder).envs(s3.environment()).args(["checkpoint", what, "p.toml"]);
        let output = command.output().expect("it can be run");
        (String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(), output.status.code())
    };
    let (said, code) = ask("list");
    assert_eq!((said.matches("events-1/000000000").count(), code), (2, Some(0)), "{said}");
    let (said, code) = ask("verify");
    assert_eq!((said.matches("whole").count(), code), (2, Some(0)), "{said}");
}
