//! `tidegate checkpoint`, as `docs/checkpoints.md` shows it: what it says of stores, what it changes, and its exit codes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use expect_test::{Expect, expect};
use tidegate::checkpoint::{
    ClaimToken, Component, Encoder, Epoch, Fingerprint, Header, Place, Sequence, SlotId, Store, StoreId, TopicId,
    Wanted,
};
use tidegate::record::{EventTime, Offset, Partition, StateSchema};
use tidegate::source::StandInBroker;
use tidegate::window::{GroupState, Hold};
use tidegate_tests::program::binary;
use tidegate_tests::workspace::scratch;

const FIRST: SlotId = SlotId { epoch: Epoch(1), sequence: Sequence(1) };
const SECOND: SlotId = SlotId { epoch: Epoch(1), sequence: Sequence(2) };

/// A pipeline file with two locations, the first with two checkpoints of a partition, and the second with copies of them.
struct Stores {
    folder: PathBuf,
    _broker: StandInBroker,
    first: Store,
    second: Store,
    runtime: tokio::runtime::Runtime,
}

fn place() -> Place {
    Place { pipeline: Arc::from("clicks"), partition: Partition::new("events", 1) }
}

fn checkpoint(place: Place, slot: SlotId) -> Vec<u8> {
    let mut encoder = Encoder::new(&Header {
        place,
        topic_id: Some(TopicId([7; 16])),
        slot,
        next: Offset(1000 + i64::from(slot.sequence.0)),
        revision: 2,
        position: b"tidegate1:AAAA".to_vec(),
        components: vec![Component { name: "counts.aggregate".to_owned(), digest: "ab".repeat(32) }],
        fingerprints: vec![Fingerprint { output: "counts".to_owned(), fingerprint: 255 }],
        imported: false,
    });
    encoder.windows("counts", &StateSchema { name: "count".to_owned(), version: 3 }, |windows| {
        windows
            .window(EventTime::from_micros(60_000_000), Some(Hold { offset: Offset(17), watermark: EventTime::MIN }));
        // Text of one letter, and nothing.
        for key in [&[6, 0, 0, 0, 1, b'a'][..], &[0]] {
            windows.group(GroupState { key, state: &[1, 2, 3], count: 4, first: Offset(17), last: Offset(90) });
        }
    });
    encoder.finish()
}

impl Stores {
    fn new(test: &str) -> Stores {
        let folder = scratch(&format!("checkpoints-{test}"));
        let broker = StandInBroker::start(&[("events", 2)]).expect("it starts");
        let location = |name: &str| format!("file://{}/{name}", folder.display());
        let file = format!(
            "name = \"clicks\"\n[source.kafka]\nbrokers = \"{}\"\ntopics = [\"events\"]\n[sink.elasticsearch]\n\
             urls = [\"http://localhost:9200\"]\n[[output]]\nname = \"o\"\nindex = \"i\"\n[checkpoint]\n\
             locations = [\"{}\", \"{}\"]\n",
            broker.bootstrap(),
            location("first"),
            location("second")
        );
        fs::write(folder.join("p.toml"), file).expect("it is written");
        let open = |name: &str| Store::open(&location(name), &[]).expect("it opens");
        let (first, second) = (open("first"), open("second"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it starts");
        runtime.block_on(async {
            let id = first.id(StoreId(7)).await.expect("it answers");
            second.mark_copy_of(id).await.expect("it answers");
            let mut owner = first.claim(place(), ClaimToken(1)).await.expect("it is claimed");
            for _ in 0..2 {
                let slot = owner.next_slot();
                let object = checkpoint(place(), slot.id());
                second.copy_in(&place(), slot.id(), object.clone().into()).await.expect("it is copied");
                first.put(slot, object).await.expect("it is put");
            }
        });
        Stores { folder, _broker: broker, first, second, runtime }
    }

    /// What a command says, and its exit code. `FILE` is the pipeline file.
    fn ask(&self, arguments: &str) -> (String, Option<i32>) {
        let mut command = Command::new(binary());
        command.current_dir(&self.folder).arg("checkpoint");
        command.args(arguments.replace("FILE", "p.toml").split_whitespace());
        let output = command.output().expect("it can be run");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (said.replace(&self.folder.display().to_string(), ""), output.status.code())
    }

    fn check(&self, arguments: &str, code: i32, expected: Expect) {
        let (said, ended) = self.ask(arguments);
        expected.assert_eq(&said);
        assert_eq!(ended, Some(code), "{said}");
    }

    fn damage(&self, location: &str, slot: SlotId) {
        let path = self.folder.join(location).join(place().to_string()).join(slot.to_string());
        let mut bytes = fs::read(&path).expect("it is there");
        *bytes.last_mut().expect("it has bytes") ^= 1;
        fs::write(path, bytes).expect("it is written");
    }
}

#[test]
fn checkpoints_are_listed_and_shown() {
    let stores = Stores::new("list");
    let (said, code) = stores.ask("list FILE");
    assert_eq!(code, Some(0), "{said}");
    let rows = |said: &str| said.matches("events-1/").count();
    assert!(said.starts_with("file:///first, which decides\nCHECKPOINT ") && rows(&said) == 4, "{said}");
    let (said, _) = stores.ask("list FILE --json");
    let listed: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let newest = &listed[1]["checkpoints"][0];
    assert_eq!((&listed[1]["decides"], &newest["slot"]), (&false.into(), &SECOND.to_string().into()), "{said}");
    assert_eq!((&newest["next"], &newest["partition"]), (&1002.into(), &1.into()), "{said}");

    let (said, code) = stores.ask("inspect FILE events-1 --groups 1");
    let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with("  put ")).collect();
    expect![[r#"
        events-1/0000000001/0000000002 of pipeline clicks
          next offset  1002
          revision     2
          topic id     07070707070707070707070707070707
          position     tidegate1:AAAA
          component    counts.aggregate abababababababababababababababababababababababababababababababab
          fingerprint  counts 00000000000000ff

        output counts, state count 3
        WINDOW                GROUPS  RECORDS  STATE BYTES  FIRST OFFSET
        1970-01-01T00:01:00Z  2       8        6            17

        WINDOW                GROUP  RECORDS  STATE BYTES  LAST OFFSET
        1970-01-01T00:01:00Z  ["a"]  4        3            90"#]]
    .assert_eq(&lines.join("\n"));
    assert_eq!(code, Some(0));
    let second = format!("file://{}/second/", stores.folder.display());
    let (said, _) = stores.ask(&format!("inspect FILE events-1/1/1 --groups 2 --json --location {second}"));
    let shown: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let window = &shown["outputs"][0]["windows"][0];
    assert_eq!((&shown["next"], &window["shown"][0]["key"][0]), (&1001.into(), &"a".into()), "{said}");
    assert!(window["shown"][1]["key"][0].is_null() && window["records"] == 8, "{said}");
    stores.check("inspect FILE events-0", 2, expect![[r#"
        error: there is no such checkpoint: checkpoint=`events-0` location=`file:///first`; `tidegate checkpoint list` shows those that there are
    "#]]);
    stores.check(
        "inspect FILE events-1 --location file:///x",
        2,
        expect![[r#"
        error: not a location of the pipeline file: location=`file:///x`; there are: file:///first, file:///second
    "#]],
    );

    // A location that is lost hides no other.
    fs::write(stores.folder.join("blocker"), "").expect("it is written");
    fs::remove_dir_all(stores.folder.join("first")).expect("it goes");
    fs::rename(stores.folder.join("blocker"), stores.folder.join("first")).expect("it is in the way");
    let (said, code) = stores.ask("list FILE");
    assert!(rows(&said) == 2 && code == Some(4), "{code:?} {said}");
}

#[test]
fn what_is_not_whole_is_told() {
    let stores = Stores::new("verify");
    stores.check(
        "verify FILE",
        0,
        expect![[r#"
        file:///first
          events-1/0000000001/0000000002  whole: 1 output, 1 window, 2 groups
          events-1/0000000001/0000000001  whole: 1 output, 1 window, 2 groups
        file:///second
          events-1/0000000001/0000000002  whole: 1 output, 1 window, 2 groups
          events-1/0000000001/0000000001  whole: 1 output, 1 window, 2 groups
    "#]],
    );
    stores.damage("first", SECOND);
    stores.check("verify FILE", 5, expect![[r#"
        file:///first
          events-1/0000000001/0000000002  NOT WHOLE: the object=`clicks/events/1/0000000001/0000000002` cannot be read: it is damaged: its 323 bytes are not those that were written
          events-1/0000000001/0000000001  whole: 1 output, 1 window, 2 groups
        file:///second
          events-1/0000000001/0000000002  whole: 1 output, 1 window, 2 groups
          events-1/0000000001/0000000001  whole: 1 output, 1 window, 2 groups
        error: 1 of 4 checkpoints cannot be read; a restart passes over damaged ones and goes on with the newest before them that is whole. Where none is, bring one from another location: `tidegate checkpoint export --location`, then `import`
    "#]]);
    stores.check(
        "verify FILE events-1/1/1",
        0,
        expect![[r#"
        file:///first
          events-1/0000000001/0000000001  whole: 1 output, 1 window, 2 groups
        file:///second
          events-1/0000000001/0000000001  whole: 1 output, 1 window, 2 groups
    "#]],
    );
    stores.check(
        "verify FILE events-0",
        2,
        expect![[r#"
        file:///first
        file:///second
        error: there is no such checkpoint: checkpoint=`events-0`; `tidegate checkpoint list` shows those that there are
    "#]],
    );
    // Its header can be read, and no more.
    stores.check("inspect FILE events-1", 5, expect![[r#"
        error: the object=`clicks/events/1/0000000001/0000000002` cannot be read: it is damaged: its 323 bytes are not those that were written
    "#]]);
}

#[test]
fn a_checkpoint_goes_into_a_file_and_comes_back_as_the_newest() {
    let stores = Stores::new("transfer");
    stores.check(
        "export FILE events-1/1/1 --to c",
        0,
        expect![[r#"
            events-1/0000000001/0000000001: 323 bytes written to c
        "#]],
    );
    let (said, code) = stores.ask("export FILE events-1/1/1 --to c");
    assert!(said.contains("cannot write the file=`c`") && code == Some(1), "{said}");
    assert_eq!(fs::read(stores.folder.join("c")).expect("it is there"), checkpoint(place(), FIRST));
    stores.check("import FILE --from c --dry-run", 0, expect![[r#"
        would claim events-1 in file:///first and put the checkpoint there as its newest; a restart goes on at offset 1001
    "#]]);
    let newest = || {
        stores
            .runtime
            .block_on(stores.first.to_restore(&place(), &Wanted::default()))
            .expect("it answers")
            .expect("there is one")
    };
    assert_eq!(newest().checkpoint.header().slot, SECOND);
    stores.check(
        "import FILE --from c",
        0,
        expect![[r#"
        events-1/0000000002/0000000001 is the newest checkpoint in file:///first; a restart goes on at offset 1001
    "#]],
    );
    let header = newest().checkpoint.header().clone();
    assert_eq!((header.slot, header.next), (SlotId { epoch: Epoch(2), sequence: Sequence(1) }, Offset(1001)));

    let other = |name: &str, place: Place| {
        fs::write(stores.folder.join(name), checkpoint(place, FIRST)).expect("it is written")
    };
    other("orders", Place { pipeline: Arc::from("orders"), ..place() });
    other("unknown", Place { partition: Partition::new("views", 0), ..place() });
    other("third", Place { partition: Partition::new("events", 2), ..place() });
    stores.check(
        "import FILE --from orders",
        2,
        expect![[r#"
        error: the checkpoint is of another pipeline: found=`orders`, this one is `clicks`
    "#]],
    );
    stores.check(
        "import FILE --from unknown",
        2,
        expect![[r#"
        error: the checkpoint is of a partition that the pipeline does not read: partition=`views-0`
    "#]],
    );
    stores.check(
        "import FILE --from third",
        2,
        expect![[r#"
        error: the checkpoint is of a partition that the pipeline does not read: partition=`events-2`
    "#]],
    );
    fs::write(stores.folder.join("cut"), &checkpoint(place(), FIRST)[1..]).expect("it is written");
    stores.check(
        "import FILE --from cut",
        5,
        expect![[r#"
            error: the file is no checkpoint: file=`cut`: it is damaged: its 322 bytes are not those that were written
        "#]],
    );
}

#[test]
fn a_copy_takes_the_place_of_the_first_location() {
    let stores = Stores::new("promote");
    let second = format!("file://{}/second", stores.folder.display());
    let promote = format!("promote FILE {second}");
    stores.damage("second", SECOND);
    stores.check(&promote, 5, expect![[r#"
        error: the newest copy of a partition cannot be used: the object=`clicks/events/1/0000000001/0000000002` cannot be read: it is damaged: its 323 bytes are not those that were written. To go on with the one before it, delete the object that is named, then promote again
    "#]]);
    let path = stores.folder.join("second").join(place().to_string()).join(SECOND.to_string());
    fs::remove_file(path).expect("it goes");
    fs::remove_dir_all(stores.folder.join("first")).expect("it goes");
    stores.check(
        &promote,
        0,
        expect![[r#"
        events-1: goes on with 0000000001/0000000001, at offset 1001
        would claim each of them in file:///second, which would then be store 00000000000000000000000000000007 in place of the lost one;
        stop the pipeline everywhere, then do it with --yes
    "#]],
    );
    assert_eq!(stores.ask(&promote), stores.ask(&format!("{promote} --dry-run")));
    assert!(stores.runtime.block_on(stores.second.require(StoreId(7))).is_err());
    stores.check(&format!("{promote} --yes"), 0, expect![[r#"
        events-1: goes on with 0000000001/0000000001, at offset 1001
        file:///second is store 00000000000000000000000000000007 now; name it first in [checkpoint] locations, without the lost one, and start
    "#]]);
    stores.runtime.block_on(async {
        stores.second.require(StoreId(7)).await.expect("it is the one that the positions name");
        let owner = stores.second.claim(place(), ClaimToken(2)).await.expect("it is claimed");
        assert_eq!(owner.epoch(), Epoch(1003));
        let found =
            stores.second.to_restore(&place(), &Wanted::default()).await.expect("it answers").expect("there is one");
        assert_eq!(found.checkpoint.header().slot, FIRST);
    });
    stores.check(&format!("promote FILE file://{}/first", stores.folder.display()), 2, expect![[r#"
        error: the location holds no copies, location=`file:///first`: nothing there says of which store; name the location in the pipeline file, and the next checkpoints are copied to it
    "#]]);
}
