//! A document for each event, without components: what the program itself costs, how old a document is when it is acknowledged, and how
//! near it comes to the barest driver of a real Elasticsearch.
//!
//! `make bench` runs it, or `target/release/bench-delivery --events 2000000 --rounds 3 --documents 300000 --seconds 20`; what is 0 is
//! left out. It is no test, and fails for no figure.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use tidegate_tests::bench::arrivals::{Arrivals, Arrived, now_micros};
use tidegate_tests::bench::broker::{Broker, PARTITIONS};
use tidegate_tests::bench::bulks;
use tidegate_tests::bench::consumers::{self, Way};
use tidegate_tests::bench::events::Mix;
use tidegate_tests::bench::index::AcceptOnlyIndex;
use tidegate_tests::bench::tidegate::{Tidegate, rate};
use tidegate_tests::bench::{self, Spread, print_ratio, process};
use tidegate_tests::index::Index;
use tidegate_tests::kafka::Kafka;
use tidegate_tests::wait_until;
use tidegate_tests::workspace::{root, scratch, target};

const TIMEOUT: Duration = Duration::from_secs(60);
const ELASTICSEARCH_PORT: u16 = 39200;
const PER_SECOND: u64 = 10_000;
/// For connections, the group, and the broker's compiler.
const WARM_UP: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(2);
/// The events have values of several types under one name, which no mapping takes.
const TEMPLATE: &str = r#"{
    "index_patterns": ["bare-*", "real-*"],
    "template": {
        "settings": { "number_of_replicas": 0, "refresh_interval": "30s" },
        "mappings": { "properties": { "properties": { "type": "object", "enabled": false } } }
    }
}"#;
const SETTLED: &str = "tidegate_index_settled_total{sink=\"elasticsearch\"}";

/// Acknowledgements are taken by a thread of its own.
type Events = ThreadedProducer<DefaultProducerContext>;

struct Bench {
    broker: Broker,
    /// So that no group of a former run is there.
    run: u64,
    rounds: usize,
}

fn main() -> anyhow::Result<()> {
    bench::main(|arguments| {
        let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let bench = Bench { broker: Broker::start()?, run, rounds: arguments.number("rounds", 3) };
        let events = arguments.number("events", 2_000_000);
        if events > 0 {
            bench.cost("events of 250 bytes", Mix::Purchases, events)?;
            bench.cost("events of 2 KB", Mix::Large, events / 4)?;
        }
        match arguments.number("seconds", 20) {
            0 => {}
            seconds => bench.latency(Duration::from_secs(seconds))?,
        }
        match arguments.number("documents", 300_000) {
            0 => Ok(()),
            documents => bench.elasticsearch(documents),
        }
    })
}

impl Bench {
    fn pipeline(&self, name: &str, topic: &str, url: &str, more: &str) -> anyhow::Result<PathBuf> {
        let (name, brokers) = (format!("{name}-{}", self.run), self.broker.address());
        let file = scratch(&format!("bench-{name}")).join("pipeline.toml");
        let text = format!(
            r#"
            name = "{name}"
            [source.kafka]
            brokers = "{brokers}"
            topics = ["{topic}"]
            [source.decode]
            event_time = "timestamp"
            [sink.elasticsearch]
            urls = ["{url}"]
            {more}
            [[output]]
            name = "all"
            index = "{name}"
            "#
        );
        fs::write(&file, text)?;
        Ok(file)
    }

    /// Of the program's whole CPU, from Kafka to the acknowledgement.
    fn cost(&self, what: &str, mix: Mix, events: u64) -> anyhow::Result<()> {
        let topic = self.broker.topic(mix, events)?;
        let mut index = AcceptOnlyIndex::start()?;
        let (mut rates, mut cpu, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        let micros = |cpu: Duration| cpu.as_secs_f64() * 1e6 / events as f64;
        for round in 0..self.rounds {
            let consumer =
                process::role(Way::BareBatch.name(), &[&self.broker.address(), &topic, &events.to_string()])?;
            bare.push(micros(process::measure(consumer)?.1.cpu));
            let before = index.accepted()?;
            let pipeline = self.pipeline(&format!("cost-{}-{round}", mix.name()), &topic, index.url(), "")?;
            let mut program = Tidegate::run(&pipeline)?;
            rates.push(rate(events, || {
                program.records()?; // it still runs
                Ok(index.accepted()? - before)
            })?);
            cpu.push(micros(program.terminate()?.cpu));
        }
        println!("delivery: {events} {what}, a document for each, median of {} rounds", self.rounds);
        println!("  {:<44} {:>9.0}", "documents/s", Spread::of(rates).median);
        let wanted = if mix == Mix::Large { "nothing" } else { "≤ 2" };
        print_ratio("CPU µs/document", Spread::of(cpu.iter().copied()), wanted);
        print_ratio("CPU µs/record of a bare consumer", Spread::of(bare.iter().copied()), "nothing");
        Ok(())
    }

    /// From the moment at which a record is given to a producer to the moment at which its document is acknowledged.
    fn latency(&self, time: Duration) -> anyhow::Result<()> {
        let mut index = Arrivals::start()?;
        let topic = format!("bench-latency-{}", self.run);
        Kafka::new(&self.broker.address()).create_topic(&topic, PARTITIONS);
        let pipeline = self.pipeline("latency", &topic, index.url(), "bulk_age_max = \"10ms\"")?;
        let mut program = Tidegate::run(&pipeline)?;
        // As its defaults are: it waits 5 ms for more.
        let producer: Events = ClientConfig::new().set("bootstrap.servers", self.broker.address()).create()?;
        let (first, all) = (WARM_UP.as_secs() * PER_SECOND, time.as_secs() * PER_SECOND);
        let (consumed, arrived) = thread::scope(|scope| -> anyhow::Result<(Arrived, Arrived)> {
            let consumer = scope.spawn(|| consumers::ages(&self.broker.address(), &topic, first, all));
            produce(&producer, &topic, WARM_UP)?;
            settle(&mut program, first)?;
            index.take()?;
            produce(&producer, &topic, time)?;
            settle(&mut program, first + all)?;
            Ok((consumer.join().expect("it does not panic")?, index.take()?))
        })?;
        program.terminate()?;
        let millis = |micros: u64| micros as f64 / 1000.0;
        println!(
            "delivery: {all} records, {PER_SECOND} a second, bulk_age_max = \"10ms\", from produce to acknowledged"
        );
        println!("  {:<44} {:>9.1}", "median ms", millis(arrived.median_micros));
        println!("  {:<44} {:>9.1}   wanted ≤ 50", "p99 ms", millis(arrived.p99_micros));
        println!("  {:<44} {:>9.1}", "longest ms", millis(arrived.max_micros));
        println!("  from produce to a bare consumer beside it:");
        println!("  {:<44} {:>9.1}", "median ms", millis(consumed.median_micros));
        println!("  {:<44} {:>9.1}", "p99 ms", millis(consumed.p99_micros));
        println!("  {:<44} {:>9.1}", "longest ms", millis(consumed.max_micros));
        Ok(())
    }

    /// Half of the cores are Elasticsearch's, as if it were on another machine; all else has the others.
    fn elasticsearch(&self, documents: u64) -> anyhow::Result<()> {
        let cores = thread::available_parallelism()?.get();
        ensure!(cores >= 2, "with one core there is nothing to compare: --documents 0 leaves it out");
        let ours = format!("{}-{}", cores / 2, cores - 1);
        pin(&ours, self.broker.pid()?)?;
        pin(&ours, std::process::id())?;
        let _stopped_at_the_end = Elasticsearch::start(format!("0-{}", cores / 2 - 1))?;
        let url = format!("http://127.0.0.1:{ELASTICSEARCH_PORT}");
        Index::new(&url, "").put_template("bench", TEMPLATE);
        let topic = self.broker.topic(Mix::Purchases, documents)?;
        let (mut ratios, mut rates) = (Vec::new(), Vec::new());
        let bare = |round: &str| -> anyhow::Result<bulks::Sent> {
            let index = format!("bare-{}-{round}", self.run);
            let role =
                process::role(bulks::ROLE, &[&url, &index, &topic, Mix::Purchases.name(), &documents.to_string()])?;
            Ok(serde_json::from_str(&process::measure(role)?.0)?)
        };
        // A server that has just started is slower than it is afterwards.
        bare("first")?;
        for round in 0..self.rounds {
            let bare = bare(&round.to_string())?;
            let mut program = Tidegate::run(&self.pipeline(&format!("real-{round}"), &topic, &url, "")?)?;
            let ours = rate(documents, || program.count(SETTLED))?;
            program.terminate()?;
            ratios.push(ours / bare.documents_per_second);
            rates.push(ours);
        }
        println!(
            "delivery: {documents} documents into a real Elasticsearch with half of the cores, median of {} rounds",
            self.rounds
        );
        println!("  {:<44} {:>9.0}", "documents/s", Spread::of(rates).median);
        print_ratio("documents/s ÷ a bare driver of made bulks", Spread::of(ratios), "≥ 0.95");
        Ok(())
    }
}

/// Waits until so many documents are acknowledged.
fn settle(program: &mut Tidegate, documents: u64) -> anyhow::Result<()> {
    wait_until(TIMEOUT, || match program.count(SETTLED) {
        Ok(count) if count < documents => Err(format!("documents: {count} of {documents} are acknowledged")),
        answer => Ok(answer.map(drop)),
    })
}

/// Some records each tick, so that their rate is even and the one that makes them is seldom on a core.
fn produce(producer: &Events, topic: &str, time: Duration) -> anyhow::Result<()> {
    let all = time.as_secs() * PER_SECOND;
    let text = "x".repeat(150);
    let (begun, mut made) = (Instant::now(), 0);
    for tick in 1.. {
        let due = all.min(PER_SECOND * u64::try_from(begun.elapsed().as_millis())? / 1000);
        for number in made..due {
            let now = now_micros();
            let value =
                format!(r#"{{"timestamp":{},"user":"user-{number}","sent":{now},"text":"{text}"}}"#, now / 1000);
            let partition = (number % PARTITIONS.unsigned_abs() as u64) as i32;
            let record = BaseRecord::<(), str>::to(topic).partition(partition).payload(&value);
            producer.send(record).map_err(|(error, _)| error)?;
        }
        made = due;
        if made == all {
            break;
        }
        thread::sleep((TICK * tick).saturating_sub(begun.elapsed()));
    }
    producer.flush(TIMEOUT).context("the records are not acknowledged")
}

/// A process, and all that it starts from now on, has these cores.
fn pin(cores: &str, pid: u32) -> anyhow::Result<()> {
    let pinned =
        Command::new("taskset").args(["-a", "-c", "-p", cores, &pid.to_string()]).stdout(Stdio::null()).status();
    ensure!(pinned.context("taskset cannot be run")?.success(), "the cores {cores} cannot be given to process {pid}");
    Ok(())
}

/// A real one, which has these cores. It is stopped when it is dropped; its data go.
struct Elasticsearch {
    cores: String,
}

impl Elasticsearch {
    fn start(cores: String) -> anyhow::Result<Self> {
        let server = Elasticsearch { cores };
        server.script("start")?;
        Ok(server)
    }

    fn script(&self, what: &str) -> anyhow::Result<()> {
        let script = root().join("scripts/servers/elasticsearch.sh");
        let folder = target().join("bench").join(format!("elasticsearch-{ELASTICSEARCH_PORT}"));
        let mut command = Command::new("taskset");
        command.args(["-c", &self.cores]).arg(script).arg(what).arg(folder);
        command.env("ES_PORT", ELASTICSEARCH_PORT.to_string()).stdin(Stdio::null());
        let done = command.status().context("taskset cannot be run")?;
        ensure!(done.success(), "scripts/servers/elasticsearch.sh {what} fails");
        Ok(())
    }
}

impl Drop for Elasticsearch {
    fn drop(&mut self) {
        let _ = self.script("clean");
    }
}
