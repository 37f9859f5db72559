//! Secrets are planted wherever one can be given, in pipelines that run and in pipelines that fail, and hunted in all that comes out: what
//! is printed and logged, what HTTP answers, files, topics, documents.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread;

use tidegate::sink::stand_in::StandInIndex;
use tidegate::source::StandInBroker;
use tidegate_tests::hunt::{Hunt, free_address, get, refusing};
use tidegate_tests::kafka::{Kafka, Record};
use tidegate_tests::program::Program;
use tidegate_tests::reload::{LIMIT, number};
use tidegate_tests::wait_for;
use tidegate_tests::workspace::files;
use tokio::runtime::Runtime;

fn file_url(folder: &Path) -> String {
    format!("file://{}", folder.display())
}

#[test]
fn a_pipeline_that_runs_shows_none() {
    let mut hunt = Hunt::new("run");
    let topics = [("numbers", 3), ("hunted.dead-letters", 1), ("hunted.parts", 3)];
    let broker = StandInBroker::start(&topics).expect("the stand-in broker starts");
    let kafka = Kafka::new(&broker.bootstrap());
    let runtime = Runtime::new().expect("a runtime can be built");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let index = runtime.block_on(StandInIndex::start(any)).expect("the stand-in index starts");
    let console = free_address();
    let file = hunt.write(&format!(
        r#"
        name = "hunted"
        [source.kafka]
        brokers = "{brokers}"
        topics = ["numbers"]
        [source.kafka.librdkafka]
        "sasl.password" = "${{KAFKA_PASSWORD}}"
        "sasl.username" = "${{KAFKA_USER}}"
        "ssl.key.password" = "${{file:key-password}}"
        "debug" = "conf,security,broker,cgrp"
        [source.decode]
        event_time = "time"
        [watermark]
        out_of_order = "1s"
        max_future = "366d"
        [[transform]]
        plugin = "redact.wasm"
        settings = {{ hash = ["user"], key = "${{PLUGIN}}" }}
        [[transform]]
        plugin = "mark.wasm"
        settings = {{ mark = "one", reject = 7 }}
        [sink.search]
        urls = ["{url}"]
        auth = {{ user = "elastic", password = {{ file = "index" }} }}
        [sink.tallies]
        urls = ["{url}"]
        auth = {{ api_key = "${{SECOND_INDEX}}" }}
        [[output]]
        name = "all"
        index = "all"
        sink = "search"
        [[output]]
        name = "tallies"
        index = "tallies"
        sink = "tallies"
        [output.aggregate]
        plugin = "tally.wasm"
        group_by = ["g"]
        window = {{ tumbling = "1m" }}
        [dead_letters]
        archive = "{archive}"
        [checkpoint]
        locations = ["{checkpoints}"]
        every = "1s"
        "#,
        brokers = broker.bootstrap(),
        url = index.url(),
        archive = file_url(&hunt.folder.join("archive")),
        checkpoints = file_url(&hunt.folder.join("checkpoints")),
    ));
    let file = file.display().to_string();
    hunt.environment.push(("TIDEGATE_CONSOLE".to_owned(), console.to_string()));
    let program = Program::run_with(Path::new(&file), &hunt.folder.join("run.txt"), &hunt.environment);
    let records = (0..700).map(|n| {
        let (partition, timestamp_millis, value) = number(n);
        Record { partition, timestamp_millis, value: Some(value.into_bytes()), ..Record::default() }
    });
    kafka.produce("numbers", &records.collect::<Vec<_>>());
    wait_for("the documents", LIMIT, || (index.documents("all").len() == 600).then_some(()));
    let checkpoints = hunt.folder.join("checkpoints");
    wait_for("a checkpoint", LIMIT, || (!files(&checkpoints, "0000000001").is_empty()).then_some(()));

    for page in
        ["GET /metrics", "GET /healthz", "GET /readyz", "GET /api/status", "GET /api/explain/watermark", "GET /"]
    {
        hunt.look(page, &get(console, page));
    }
    hunt.look("a reload", &get(console, "POST /api/reload"));
    for plugin in ["redact", "nobody"] {
        hunt.look("a rollback", &get(console, &format!("POST /api/rollback/{plugin}")));
    }
    for command in [
        "status",
        "status --json",
        "reload",
        "explain watermark",
        "check FILE",
        "check FILE --online",
        "dead-letters list FILE --json",
        "dead-letters show FILE 0-0",
        "dead-letters export FILE --to -",
        "dead-letters stats FILE",
        "dead-letters replay FILE --dry-run --json",
        "checkpoint list FILE",
        "checkpoint verify FILE",
        "inspect redact.wasm",
    ] {
        hunt.command_on(command, &file);
    }
    let said = hunt.command(&["dead-letters", "stats", &file]);
    assert!(said.contains("100 in all"), "{said}");

    // Another version of the settings, which the component refuses.
    let text = fs::read_to_string(&file).expect("it was written");
    fs::write(&file, text.replace("reject = 7", "reject = \"${ANY}\"")).expect("the scratch folder is writable");
    let said = hunt.command(&["reload"]);
    assert!(said.contains("does not accept its settings"), "{said}");
    hunt.look("status after a refusal", &get(console, "GET /api/status"));

    assert!(program.terminate().success());
    hunt.look_at_files();
    for topic in ["numbers", "hunted.dead-letters", "hunted.parts"] {
        for Record { key, value, headers, .. } in kafka.read_all(topic) {
            let headers = headers.into_iter().flat_map(|(name, value)| [name.into_bytes(), value]);
            for bytes in key.into_iter().chain(value).chain(headers) {
                hunt.look(topic, &bytes);
            }
        }
    }
    for (_, partition, _, metadata) in kafka.positions("hunted", "numbers", 3) {
        hunt.look(&format!("the position of {partition}"), metadata.as_bytes());
    }
    for name in index.indices() {
        for document in index.documents(&name) {
            hunt.look(&name, &document.source);
        }
    }
}

/// A pipeline of which each piece may be another one.
struct Pieces<'a> {
    brokers: &'a str,
    kafka: &'a str,
    transform: &'a str,
    urls: &'a str,
    sink: &'a str,
    output: &'a str,
    more: &'a str,
}

/// One that is right, as far as that can be told without its index.
fn on(brokers: &str) -> Pieces<'_> {
    Pieces {
        brokers,
        kafka: "",
        transform: "",
        urls: "http://127.0.0.1:1",
        sink: "auth = { user = \"elastic\", password = \"${INDEX}\" }",
        output: "",
        more: "",
    }
}

impl Pieces<'_> {
    fn text(&self) -> String {
        let Pieces { brokers, kafka, transform, urls, sink, output, more } = self;
        format!(
            "name = \"hunted\"\n[source.kafka]\nbrokers = \"{brokers}\"\ntopics = [\"numbers\"]\n{kafka}\n{transform}\n\
             [sink.elasticsearch]\nurls = [\"{urls}\"]\n{sink}\n[[output]]\nname = \"all\"\nindex = \"all\"\n{output}\n{more}\n"
        )
    }
}

/// So many are looked at side by side: most of them wait for a server that is away.
const SIDE_BY_SIDE: usize = 8;

/// Checks and runs each, which must say this.
fn fail(hunt: &Hunt, cases: &[(Pieces<'_>, &str)]) {
    for cases in cases.chunks(SIDE_BY_SIDE) {
        thread::scope(|scope| {
            for (pieces, says) in cases {
                scope.spawn(|| fails(hunt, pieces, says));
            }
        });
    }
    hunt.look_at_files();
}

fn fails(hunt: &Hunt, pieces: &Pieces<'_>, says: &str) {
    let file = hunt.write(&pieces.text()).display().to_string();
    let said = thread::scope(|scope| {
        let commands = ["check FILE", "check FILE --online", "run FILE", "dead-letters list FILE"];
        let asked = commands.map(|command| {
            let file = &file;
            scope.spawn(move || hunt.command_on(command, file))
        });
        asked.map(|asked| asked.join().expect("it looks at what is said"))
    });
    assert!(said.iter().any(|said| said.contains(says)), "{says} is not in {}", said.join("\n---\n"));
}

#[test]
fn a_pipeline_file_that_is_wrong_shows_none() {
    let mut hunt = Hunt::new("file");
    let broker = StandInBroker::start(&[("numbers", 1)]).expect("the stand-in broker starts");
    let brokers = broker.bootstrap();
    let literal = hunt.secret("literal");
    let sink = |sink: &'static str| Pieces { sink, ..on(&brokers) };
    let kafka = |kafka: &'static str| Pieces { kafka, ..on(&brokers) };
    let more = |more: &'static str| Pieces { more, ..on(&brokers) };
    let mut cases = vec![
        (sink("auth = \"${INDEX}\""), "must be"),
        (sink("auth = { user = 5, password = \"${INDEX}\" }"), "must be"),
        (sink("auth = { password = \"${INDEX}\" }"), "user"),
        (sink("auth = { api_key = \"${INDEX}\", bearer = \"${ANY}\" }"), "auth"),
        (sink("auth = { api_key = \"${INDEX}\", bulk = \"${ANY}\" }"), "bulk"),
        (sink("auth = { api_key = { file = \"${INDEX}\" } }"), "secret"),
        (sink("bulk_bytes_max = \"${INDEX}\""), "bulk_bytes_max"),
        (sink("ca = \"ca.pem\""), "ca.pem"),
        (sink("client_certificate = { file = \"ca.pem\", password = \"${INDEX}\" }"), "client certificate"),
        (sink("client_certificate = { file = \"ca.pem\", password = { file = \"index\" } }"), "client certificate"),
        (kafka("librdkafka = \"${KAFKA_PASSWORD}\""), "must be"),
        (kafka("librdkafka = { \"sasl.password\" = [\"${KAFKA_PASSWORD}\"] }"), "must be"),
        (kafka("librdkafka = { \"sasl.mechanism\" = \"${KAFKA_PASSWORD}\" }"), "sasl.mechanism"),
        (kafka("librdkafka = { \"sasl.passwort\" = \"${KAFKA_PASSWORD}\" }"), "sasl.passwort"),
        (kafka("librdkafka = { \"socket.timeout.ms\" = \"${KAFKA_PASSWORD}\" }"), "socket.timeout.ms"),
        (kafka("librdkafka = { \"acks\" = \"${KAFKA_PASSWORD}\" }"), "acks"),
        (
            kafka("librdkafka = { \"ssl.ca.location\" = \"${KAFKA_PASSWORD}\", \"security.protocol\" = \"ssl\" }"),
            "kafka",
        ),
        (kafka("librdkafka = { \"ssl.key.pem\" = \"${KAFKA_PASSWORD}\", \"security.protocol\" = \"ssl\" }"), "kafka"),
        (kafka("start = \"${ANY}\""), "start"),
        (more("[checkpoint]\nlocations = [\"s3://${ANY}:${PLUGIN}@bucket\"]"), "a key does not belong"),
        (more("[checkpoint]\nlocations = [\"${ANY}\"]"), "location"),
        (more("[dead_letters]\narchive = \"s3://key:${ANY}@bucket/x\"\npercent_max = \"${ANY}\""), "percent_max"),
        (more("[limits]\nmemory = \"${ANY}\""), "memory"),
        (Pieces { urls: "http://elastic:${ANY}@index:9200", ..on(&brokers) }, "do not belong into the address"),
        (Pieces { output: "id = \"${ANY}\"\noperation = \"${ANY}\"", ..on(&brokers) }, "operation"),
        (Pieces { output: "sink = \"${SECOND_INDEX}\"", ..on(&brokers) }, "sink"),
        (more("[sink.second]\nurls = [\"http://127.0.0.1:1\"]\nauth = { bearer = [\"${SECOND_INDEX}\"] }"), "must be"),
    ];
    // What stands in the file itself.
    let wrong = [
        ("auth = { user = \"elastic\", password = \"", "\", api_key = \"x\" }"),
        ("auth = { user = \"elastic\", password = \"", "\" \"another\" }"),
        ("auth = { user = \"elastic\", password = \"", "\n\" }"),
        ("auth = { user = \"elastic\", password = \"x\", bearer = \"", "\" }"),
    ]
    .map(|(before, after)| format!("{before}{literal}{after}"));
    cases.extend(wrong.iter().map(|sink| (Pieces { sink, ..on(&brokers) }, ".toml:")));
    let urls = format!("http://elastic:{literal}@index:9200");
    cases.push((Pieces { urls: &urls, ..on(&brokers) }, "do not belong into the address"));
    let refused = format!("librdkafka = {{ \"sasl.mechanism\" = \"{literal}\" }}");
    cases.push((Pieces { kafka: &refused, ..on(&brokers) }, "sasl.mechanism"));
    fail(&hunt, &cases);
}

#[test]
fn components_that_refuse_their_settings_show_none() {
    let hunt = Hunt::new("plugin");
    let broker = StandInBroker::start(&[("numbers", 1)]).expect("the stand-in broker starts");
    let brokers = broker.bootstrap();
    let transforms = [
        (
            "plugin = \"mark.wasm\"\nsettings = { mark = \"one\", reject = \"${PLUGIN}\" }",
            "does not accept its settings",
        ),
        ("plugin = \"mark.wasm\"\nsettings = { mark = [\"${PLUGIN}\"] }", "does not accept its settings"),
        ("plugin = \"mark.wasm\"\nsettings = { make = \"${PLUGIN}\" }", "does not accept its settings"),
        (
            "plugin = \"redact.wasm\"\nsettings = { hash = \"${PLUGIN}\", key = \"${ANY}\" }",
            "does not accept its settings",
        ),
        ("plugin = \"redact.wasm\"\nsettings = \"${PLUGIN}\"", "must be"),
        ("plugin = \"mark.wasm\"\nsettings = { mark = \"@${PLUGIN}\" }", "settings"),
    ]
    .map(|(transform, says)| (format!("[[transform]]\n{transform}"), says));
    let cases = transforms.iter().map(|(transform, says)| (Pieces { transform, ..on(&brokers) }, *says));
    fail(&hunt, &cases.collect::<Vec<_>>());
}

#[test]
fn servers_that_are_away_or_refuse_us_show_none() {
    let mut hunt = Hunt::new("servers");
    let broker = StandInBroker::start(&[("numbers", 1)]).expect("the stand-in broker starts");
    let brokers = broker.bootstrap();
    let sasl = "librdkafka = { \"security.protocol\" = \"SASL_PLAINTEXT\", \"sasl.mechanism\" = \"PLAIN\", \
                \"sasl.username\" = \"${KAFKA_USER}\", \"sasl.password\" = \"${KAFKA_PASSWORD}\", \"debug\" = \"all\" }";
    let refusing_index = format!("http://{}", refusing("401 Unauthorized"));
    let mut cases =
        vec![(Pieces { kafka: sasl, ..on("127.0.0.1:1") }, "kafka does not"), (on(&brokers), "127.0.0.1:1")];
    for sink in [
        "auth = { user = \"elastic\", password = \"${INDEX}\" }",
        "auth = { user = \"elastic\", password = { file = \"index\" } }",
        "auth = { api_key = \"${INDEX}\" }",
        "auth = { bearer = \"${INDEX}\" }",
    ] {
        cases.push((Pieces { urls: &refusing_index, sink, ..on(&brokers) }, "401"));
    }
    let more = format!("[sink.second]\nurls = [\"{refusing_index}\"]\nauth = {{ api_key = \"${{SECOND_INDEX}}\" }}");
    let output = "sink = \"second\"";
    cases.push((Pieces { output, more: &more, ..on(&brokers) }, "401"));
    // TLS with somebody who does not speak it.
    let plain = refusing_index.replace("http:", "https:");
    cases.push((Pieces { urls: &plain, ..on(&brokers) }, "error"));
    fail(&hunt, &cases);
    // Another proxy than there should be.
    let proxy = hunt.secret("proxy");
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        let url = format!("http://proxy:{proxy}@{}", refusing("407 Proxy Authentication Required"));
        hunt.environment.push((name.to_owned(), url));
    }
    let urls = ["http://index.invalid:9200", "https://index.invalid:9200"];
    fail(&hunt, &urls.map(|urls| (Pieces { urls, ..on(&brokers) }, "error")));
}

#[test]
fn a_store_that_is_away_or_refuses_us_shows_none() {
    let broker = StandInBroker::start(&[("numbers", 1)]).expect("the stand-in broker starts");
    let brokers = &broker.bootstrap();
    let away = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    thread::scope(|scope| {
        for (name, endpoint) in
            [("forbids", refusing("403 Forbidden")), ("bad", refusing("400 Bad Request")), ("away", away)]
        {
            scope.spawn(move || {
                let mut hunt = Hunt::new(&format!("store-{name}"));
                for (name, value) in [
                    ("AWS_REGION", "us-east-1".to_owned()),
                    ("AWS_ALLOW_HTTP", "true".to_owned()),
                    ("AWS_ENDPOINT_URL", format!("http://{endpoint}")),
                ] {
                    hunt.environment.push((name.to_owned(), value));
                }
                let more =
                    "[dead_letters]\narchive = \"s3://bucket/letters\"\n[checkpoint]\nlocations = [\"s3://bucket\"]";
                let pieces = Pieces { more, ..on(brokers) };
                let file = hunt.write(&pieces.text()).display().to_string();
                fail(&hunt, &[(pieces, "the object store does not")]);
                for what in ["list", "verify"] {
                    hunt.command(&["checkpoint", what, &file]);
                }
            });
        }
    });
}
