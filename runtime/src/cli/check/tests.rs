//! What `check` shows and finds: fields and rules without components, files that are wrong, a sample.

use std::path::{Path, PathBuf};
use std::time::Duration;

use expect_test::{Expect, expect};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::way::{Actor, Role, Way};
use super::*;
use crate::config::{PipelineSettings, Places};
use crate::record::{Field, Kind, Ports};
use crate::sink::stand_in::StandInIndex;
use crate::source::StandInBroker;

/// `path: kind`, with `!` behind it where it is required.
fn fields(text: &str) -> Vec<Field> {
    let kinds = [
        Kind::Presence,
        Kind::Boolean,
        Kind::Integer,
        Kind::Float,
        Kind::Text,
        Kind::Timestamp,
        Kind::Json,
        Kind::Bytes,
    ];
    let read = |text: &str| {
        let (path, kind) = text.split_once(": ").unwrap();
        let kind = kinds.into_iter().find(|known| known.name() == kind.trim_end_matches('!')).unwrap();
        Field { path: path.trim().into(), kind, required: text.ends_with('!') }
    };
    text.split(',').filter(|field| !field.is_empty()).map(read).collect()
}

fn actor(name: &str, role: Role, reads: &str, writes: &str) -> Actor {
    let ports = Ports { reads: fields(reads), writes: fields(writes) };
    Actor { name: name.into(), place: name.into(), role, ports }
}

fn stamp() -> Actor {
    actor("stamp", Role::Enrich, "$received: timestamp!,$offset: integer!", "processed_time: timestamp,event_id: text")
}

fn places() -> Places {
    let file = "name = \"p\"\n[source.kafka]\nbrokers = \"b\"\ntopics = [\"t\"]\n[sink.elasticsearch]\nurls = [\"http://e\"]\n\
                [[output]]\nname = \"o\"\nindex = \"i\"";
    PipelineSettings::parse(file, Path::new("p.toml"), &|_| None, None).unwrap().1
}

fn check_rules(actors: &[Actor], expected: Expect) {
    let found = rules::check(&[Way { actors: actors.to_vec() }], &places());
    let errors = found.errors.iter().map(|error| format!("{error}\n"));
    let warnings = found.warnings.iter().map(|warning| format!("warning: {warning}\n"));
    expected.assert_eq(&errors.chain(warnings).collect::<String>());
}

#[test]
fn tables_say_who_reads_and_writes_what() {
    let way = Way {
        actors: vec![
            actor("event time", Role::EventTime, "timestamp: timestamp!", ""),
            actor("drop-anonymous", Role::Filter, "user_id: presence", ""),
            stamp(),
            actor("lookup", Role::Enrich, "country.code: text", "country.name: text"),
            actor("counts (group)", Role::Group, "event_type: json,country: json", ""),
            actor("counts (aggregate)", Role::Aggregate, "country.name: text,processed_time: timestamp", "n: integer"),
        ],
    };
    let ways = [way.clone(), way];
    expect![[r#"
        FIELD           READ BY             AS         REQUIRED  FROM
        timestamp       event time          timestamp  yes       the record
        user_id         drop-anonymous      presence   no        the record
        $received       stamp               timestamp  yes       the record's own
        $offset         stamp               integer    yes       the record's own
        country.code    lookup              text       no        the record
        event_type      counts (group)      any kind   no        the record
        country         counts (group)      any kind   no        the record, lookup
        country.name    counts (aggregate)  text       no        lookup
        processed_time  counts (aggregate)  timestamp  no        stamp
    "#]]
    .assert_eq(&super::fields::read(&ways, None));
    expect![[r#"
        FIELD           WRITTEN BY          AS         NOTE
        processed_time  stamp               timestamp  may differ in a replay (its plugin reads $received)
        event_id        stamp               text       may differ in a replay (its plugin reads $received)
        country.name    lookup              text
        n               counts (aggregate)  integer
    "#]]
    .assert_eq(&super::fields::written(&ways));
    check_rules(&ways[0].actors, expect![[""]]);
}

#[test]
fn what_is_made_of_the_wall_clock_decides_nothing() {
    check_rules(
        &[
            stamp(),
            actor("where", Role::Filter, "processed_time: timestamp", ""),
            actor("shape", Role::Enrich, "processed_time: json", "copied: json"),
            actor("o (group)", Role::Group, "copied.x: json,type: json", ""),
            actor("o (index)", Role::Index, "event_id: text!", ""),
            actor("o (aggregate)", Role::Aggregate, "processed_time: timestamp", "n: integer"),
        ],
        expect![[r#"
            p.toml: `where` depends on when a record was received: field=`processed_time`, which `stamp` makes of $received
                a replay would give a filter another value; where it is another field that is made of $received: all that a plugin writes
                counts as made of what it reads, so name the plugin twice, with settings that keep the two apart
            p.toml: `o (group)` depends on when a record was received: field=`copied.x`, which `shape` makes of $received
                a replay would give a group another value; where it is another field that is made of $received: all that a plugin writes
                counts as made of what it reads, so name the plugin twice, with settings that keep the two apart
            p.toml: `o (index)` depends on when a record was received: field=`event_id`, which `stamp` makes of $received
                a replay would give an index name another value; where it is another field that is made of $received: all that a plugin writes
                counts as made of what it reads, so name the plugin twice, with settings that keep the two apart
        "#]],
    );
    check_rules(
        &[actor("where", Role::Filter, "$received: timestamp", "")],
        expect![[r#"
            p.toml: `where` depends on when a record was received: field=`$received`
                a replay would give a filter another value
        "#]],
    );
}

#[test]
fn a_field_that_is_written_anew_is_no_longer_made_of_the_wall_clock() {
    check_rules(
        &[
            stamp(),
            actor("shape", Role::Enrich, "order: text", "event_id: text"),
            actor("o (id)", Role::Id, "event_id: text!", ""),
        ],
        expect![[r#"
            warning: `shape` writes `event_id` over what `stamp` has written: field=`event_id`
        "#]],
    );
}

#[test]
fn the_records_own_is_not_written() {
    check_rules(
        &[actor("shape", Role::Enrich, "", "$key: text")],
        expect![[r#"
        p.toml: `shape` writes what is the record's own: field=`$key`
            a field of this name is written `\$key`
    "#]],
    );
}

#[test]
fn writers_in_each_others_way_are_named() {
    check_rules(
        &[
            actor("a", Role::Enrich, "", "user.name: text,x: integer"),
            actor("b", Role::Enrich, "", "user: json"),
            actor("c", Role::Enrich, "x: integer", "x: integer,user.age: integer"),
        ],
        expect![[r#"
            warning: `b` writes `user` over what `a` has written: field=`user.name`
        "#]],
    );
}

#[test]
fn readers_of_a_kind_that_never_comes_are_named() {
    check_rules(
        &[
            actor("a", Role::Enrich, "", "n: text,t: text,i: integer"),
            actor("b", Role::Filter, "n: integer,t: timestamp,i: text", ""),
        ],
        expect![[r#"
            warning: `b` reads `n` as integer, but `a` writes it as text: it is never of that kind
        "#]],
    );
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("tidegate-check-{name}-{}", std::process::id()));
        for (file, text) in files {
            let path = folder.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Folder(folder)
    }

    fn check(&self, sample: Option<&str>) -> String {
        self.run(sample.map(|file| self.0.join(file)), false)
    }

    fn check_online(&self) -> String {
        self.run(None, true)
    }

    fn run(&self, sample: Option<PathBuf>, online: bool) -> String {
        let pipeline = PipelineFile { file: self.0.join("p.toml"), plugins: None };
        let checked = check(&CheckArgs { pipeline, sample, online });
        let text = match checked {
            Ok(Checked { shown, problems }) => format!("{shown}---\n{}", Problems(problems)),
            Err(error) => format!("{error:#}"),
        };
        text.replace(self.0.to_str().unwrap(), "FOLDER")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const PIPELINE: &str = r#"
name = "p"
[source.kafka]
brokers = "b"
topics = ["t"]
[source.decode]
event_time = "at"
[sink.elasticsearch]
urls = ["http://e"]
[[output]]
name = "o"
index = "o-{kind}"
id = { field = "user.id", version = "n" }
"#;

#[test]
fn components_that_cannot_be_loaded_are_all_named() {
    let transforms = "[[transform]]\nplugin = \"cuont.wasm\"\n[[transform]]\nplugin = \"text.wasm\"\n\
                      [[transform]]\nname = \"again\"\nplugin = \"text.wasm\"\n";
    let file = PIPELINE.replace("[sink", &format!("{transforms}[sink"));
    let folder = Folder::new("load", &[("p.toml", &file), ("plugins/count.wasm", "x"), ("plugins/text.wasm", "x")]);
    expect![[r#"
        pipeline p: 3 plugins, 1 output

        FIELD    READ BY     AS         REQUIRED  FROM
        at       event time  timestamp  yes       the record
        kind     o (index)   text       yes       the record
        user.id  o (id)      text       yes       the record
        n        o (id)      integer    yes       the record
        ---
        FOLDER/p.toml:9:10: cannot read the component: No such file or directory (os error 2); file=`FOLDER/plugins/cuont.wasm`
            did you mean `count.wasm`?
        FOLDER/p.toml:11:10: `text` cannot be used as a plugin: it is not WebAssembly: its 1 bytes do not begin with `\0asm`"#]].assert_eq(&folder.check(None));
    let folder = Folder::new("no-plugins", &[("p.toml", &file)]);
    expect![[r#"
        pipeline p: 3 plugins, 1 output

        FIELD    READ BY     AS         REQUIRED  FROM
        at       event time  timestamp  yes       the record
        kind     o (index)   text       yes       the record
        user.id  o (id)      text       yes       the record
        n        o (id)      integer    yes       the record
        ---
        FOLDER/p.toml:9:10: cannot read the component: No such file or directory (os error 2); file=`FOLDER/plugins/cuont.wasm`
            there is no folder `FOLDER/plugins`: name another with --plugins
        FOLDER/p.toml:11:10: cannot read the component: No such file or directory (os error 2); file=`FOLDER/plugins/text.wasm`
            there is no folder `FOLDER/plugins`: name another with --plugins"#]].assert_eq(&folder.check(None));
}

#[test]
fn a_sample_shows_how_often_fields_are_there() {
    let sample = "{\"at\":\"2026-01-01T00:00:00Z\",\"user\":{\"id\":\"a\"},\"n\":1,\"kind\":\"x\"}\n\n\
                  {\"at\":1767225600,\"user\":{\"id\":7},\"n\":\"one\"}\n{\"at\":\"soon\"}\nnot json\n\
                  {\"at\":\"2026-01-02T00:00:00Z\",\"user\":null,\"n\":2.0,\"kind\":null}";
    let folder = Folder::new("sample", &[("p.toml", PIPELINE), ("events.ndjson", sample)]);
    expect![[r#"
        pipeline p: 0 plugins, 1 output

        sample FOLDER/events.ndjson: 5 records
          60 % with an event time, from 2026-01-01T00:00:00Z to 2026-01-02T00:00:00Z
          1 dead letter (json), the first is line 5: a word is neither true, false nor null: byte=`0`
          1 dead letter (event-time), the first is line 4: the event time cannot be read: field=`at`, found=`text that is no timestamp`

        FIELD    READ BY     AS         REQUIRED  FROM        THERE   OF THAT KIND
        at       event time  timestamp  yes       the record  100 %   100 %
        kind     o (index)   text       yes       the record  33.3 %  100 %
        user.id  o (id)      text       yes       the record  66.6 %  100 %
        n        o (id)      integer    yes       the record  100 %   66.6 %

        nothing is wrong
        ---
    "#]].assert_eq(&folder.check(Some("events.ndjson")));
    expect!["cannot read the sample: file=`FOLDER/none.ndjson`: No such file or directory (os error 2)"]
        .assert_eq(&folder.check(Some("none.ndjson")));
}

#[test]
fn what_sinks_and_outputs_name_is_looked_at_without_a_server() {
    let file = "name = \"p\"\n[source.kafka]\nbrokers = \"b\"\ntopics = [\"t\"]\n[sink.a]\nurls = [\"http://e\"]\nca = \"a.pem\"\n\
                [sink.b]\nurls = [\"http://e\"]\nclient_certificate = { file = \"b.p12\" }\n[sink.c]\nurls = [\"http://e:port\"]\n\
                [[output]]\nname = \"o\"\nindex = \"o\"\nsink = \"a\"\ntemplate = \"o.json\"\n\
                [[output]]\nname = \"n\"\nindex = \"n\"\nsink = \"c\"\ntemplate = \"n.json\"";
    let folder = Folder::new("sinks", &[("p.toml", file), ("n.json", "")]);
    let shown = folder.check(None);
    let (_, problems) = shown.split_once("---\n").unwrap();
    expect![[r#"
        FOLDER/p.toml:7:6: the certificate authorities cannot be used path=`FOLDER/a.pem`: No such file or directory (os error 2)
        FOLDER/p.toml:10:22: the client certificate cannot be used path=`FOLDER/b.p12`: No such file or directory (os error 2); is it PKCS#12, and the password its own?
        FOLDER/p.toml:12:8: not an address of an index url=`http://e:port`: invalid port number
        FOLDER/p.toml:17:12: cannot read the index template path=`FOLDER/o.json`: No such file or directory (os error 2)
            a file in JSON, as `PUT _index_template` takes it; a path that is not absolute is looked up beside the pipeline file
        FOLDER/p.toml:22:12: cannot read the index template path=`FOLDER/n.json`: EOF while parsing a value at line 1 column 0
            a file in JSON, as `PUT _index_template` takes it; a path that is not absolute is looked up beside the pipeline file"#]].assert_eq(problems);
}

/// A topic `t` with three records, and an index without anything.
struct Servers {
    _runtime: tokio::runtime::Runtime,
    index: StandInIndex,
    broker: StandInBroker,
}

impl Servers {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let index = runtime.block_on(StandInIndex::start("127.0.0.1:0".parse().unwrap())).unwrap();
        let broker = StandInBroker::start(&[("t", 2)]).unwrap();
        let values: [&[u8]; 3] =
            [b"{\"at\":\"2026-01-01T00:00:00Z\",\"n\":\"x\"}", b"{\"at\":\"9000-01-01T00:00:00Z\"}", b"-"];
        let producer: BaseProducer =
            rdkafka::ClientConfig::new().set("bootstrap.servers", broker.bootstrap()).create().unwrap();
        for value in values {
            let record = BaseRecord::<(), [u8]>::to("t").partition(1).payload(value).timestamp(1_767_225_600_000);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(Duration::from_secs(10)).unwrap();
        Servers { _runtime: runtime, index, broker }
    }

    fn pipeline(&self) -> String {
        PIPELINE.replace("\"b\"", &format!("\"{}\"", self.broker.bootstrap())).replace("http://e", &self.index.url())
    }
}

#[test]
fn servers_show_topics_positions_indices_and_the_newest_records() {
    let servers = Servers::start();
    let folder = Folder::new("online", &[("p.toml", &servers.pipeline())]);
    expect![[r#"
        pipeline p: 0 plugins, 1 output

        TOPIC           FOR           PARTITIONS            RECORDS
        t               records       2                     3
        p.dead-letters  dead letters  created at the start

        group p: no position yet, begins at the oldest records

        index server: Elasticsearch 8.19.0
        INDEX  STATE
        o-*    neither it nor a template is there: its mappings will be guessed, or it is refused

        newest records: 3 records
          66.6 % with an event time, from 2026-01-01T00:00:00Z to 9000-01-01T00:00:00Z
          1 dead letter (json), the first is t-1-2: a number is malformed: byte=`1`
          1 dead letter (future), the first is t-1-1: it is more than max_future ahead of Kafka's: 9000-01-01T00:00:00Z

        FIELD    READ BY     AS         REQUIRED  FROM        THERE  OF THAT KIND
        at       event time  timestamp  yes       the record  100 %  100 %
        kind     o (index)   text       yes       the record  0 %    -
        user.id  o (id)      text       yes       the record  0 %    -
        n        o (id)      integer    yes       the record  50 %   0 %

        warning: the cluster does not tell how topic `t` is set: whether timestamps that lie ahead are refused is not known
        warning: neither an index nor an index template index=`o-*`: the first document creates it with guessed mappings, or is refused where indices are not created by themselves; put a template first whose `index_patterns` are for it, or name one as `template` in the output

        nothing keeps it from starting, but there is more to look at: 2 warnings
        ---
    "#]].assert_eq(&folder.check_online());
}

#[test]
fn what_the_servers_lack_is_named() {
    let servers = Servers::start();
    let file = servers.pipeline().replace("[\"t\"]", "[\"t\", \"missing\"]");
    let file = file.replace(&servers.index.url(), "http://127.0.0.1:1");
    let folder = Folder::new("online-wrong", &[("p.toml", &file)]);
    let shown = folder.check_online();
    let (_, problems) = shown.split_once("---\n").unwrap();
    expect![[r#"
        FOLDER/p.toml:5:16: the topic does not exist, topic=`missing`; create it first
        FOLDER/p.toml:9:8: the index cannot be reached urls=`http://127.0.0.1:1`: error sending request for url (http://127.0.0.1:1/_nodes/_local): client error (Connect): tcp connect error: Connection refused (os error 111); does it run there, by http or by https, and is `ca` named where its certificate is not one of a public authority?"#]].assert_eq(problems);
}
