//! A document for each event, without components: what the program itself costs, how old a document is when it is acknowledged, and how
//! near it comes to the barest driver of a real Elasticsearch.
//!
//! `make bench` runs it, or `target/release/bench-delivery --events 2000000 --rounds 3 --documents 300000 --seconds 20`. It is no test,
//! and fails for no figure.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tidegate_tests::bench::arrivals::{Arrivals, now_micros};
use tidegate_tests::bench::broker::{Broker, PARTITIONS};
use tidegate_tests::bench::bulks;
use tidegate_tests::bench::consumers::Way;
use tidegate_tests::bench::events::Mix;
use tidegate_tests::bench::index::AcceptOnlyIndex;
use tidegate_tests::bench::tidegate::{Tidegate, rate};
use tidegate_tests::bench::{self, Spread, print_ratio, process};
use tidegate_tests::kafka::Kafka;
use tidegate_tests::workspace::{root, scratch, target};

const TIMEOUT: Duration = Duration::from_secs(60);
const ELASTICSEARCH_PORT: u16 = 39200;
const PER_SECOND: u64 = 10_000;
const SETTLED: &str = "tidegate_index_settled_total{sink=\"elasticsearch\"}";

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
        bench.cost("events of 250 bytes", Mix::Purchases, events)?;
        bench.cost("events of 2 KB", Mix::Large, events / 4)?;
        bench.latency(Duration::from_secs(arguments.number("seconds", 20)))?;
        bench.elasticsearch(arguments.number("documents", 300_000))
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
        let pipeline = self.pipeline("latency", &topic, &index.url.clone(), "bulk_age_max = \"10ms\"")?;
        let mut program = Tidegate::run(&pipeline)?;
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", self.broker.address()).set("linger.ms", "1").create()?;
        // The first two seconds are for connections and the group.
        produce(&producer, &topic, Duration::from_secs(2))?;
        let begun = Instant::now();
        while index.take()?.documents > 0 || program.records()? < 2 * PER_SECOND {
            ensure!(begun.elapsed() < TIMEOUT, "the first records do not arrive");
            std::thread::sleep(Duration::from_millis(500));
        }
        produce(&producer, &topic, time)?;
        let (wanted, begun) = ((time.as_secs() + 2) * PER_SECOND, Instant::now());
        while program.count(SETTLED)? < wanted {
            ensure!(begun.elapsed() < TIMEOUT, "not all records arrive");
            std::thread::sleep(Duration::from_millis(100));
        }
        let arrived = index.take()?;
        program.terminate()?;
        let millis = |micros: u64| micros as f64 / 1000.0;
        println!(
            "delivery: {} documents at {PER_SECOND} a second, bulk_age_max = \"10ms\", from produce to acknowledged",
            arrived.documents
        );
        println!("  {:<44} {:>9.1}", "median ms", millis(arrived.median_micros));
        println!("  {:<44} {:>9.1}   wanted ≤ 50", "p99 ms", millis(arrived.p99_micros));
        println!("  {:<44} {:>9.1}", "longest ms", millis(arrived.max_micros));
        Ok(())
    }

    fn elasticsearch(&self, documents: u64) -> anyhow::Result<()> {
        let _stopped_at_the_end = Elasticsearch::start()?;
        let url = format!("http://127.0.0.1:{ELASTICSEARCH_PORT}");
        let topic = self.broker.topic(Mix::Purchases, documents)?;
        let (mut ratios, mut rates) = (Vec::new(), Vec::new());
        for round in 0..self.rounds {
            let index = format!("bare-{}-{round}", self.run);
            let role = process::role(bulks::ROLE, &[&url, &index, Mix::Purchases.name(), &documents.to_string()])?;
            let bare: bulks::Sent = serde_json::from_str(&process::measure(role)?.0)?;
            let mut program = Tidegate::run(&self.pipeline(&format!("real-{round}"), &topic, &url, "")?)?;
            let ours = rate(documents, || program.count(SETTLED))?;
            program.terminate()?;
            ratios.push(ours / bare.documents_per_second);
            rates.push(ours);
        }
        println!("delivery: {documents} documents into a real Elasticsearch, median of {} rounds", self.rounds);
        println!("  {:<44} {:>9.0}", "documents/s", Spread::of(rates).median);
        print_ratio("documents/s ÷ a bare driver of made bulks", Spread::of(ratios), "≥ 0.95");
        Ok(())
    }
}

/// A record every 100 µs, in groups of a millisecond.
fn produce(producer: &BaseProducer, topic: &str, time: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut made = 0;
    while made < time.as_secs() * PER_SECOND {
        let due = begun.elapsed().as_millis() as u64 * PER_SECOND / 1000;
        for number in made..due.min(time.as_secs() * PER_SECOND) {
            let now = now_micros();
            let value = format!(
                r#"{{"timestamp":{},"user":"user-{number}","sent":{now},"text":"{}"}}"#,
                now / 1000,
                "x".repeat(150)
            );
            let partition = (number % PARTITIONS.unsigned_abs() as u64) as i32;
            let record = BaseRecord::<(), str>::to(topic).partition(partition).payload(&value);
            producer.send(record).map_err(|(error, _)| error)?;
        }
        made = made.max(due);
        producer.poll(Duration::from_micros(500));
    }
    producer.flush(TIMEOUT).context("the records are not acknowledged")
}

/// A real one, stopped when it is dropped; its data go.
struct Elasticsearch;

impl Elasticsearch {
    fn start() -> anyhow::Result<Self> {
        ensure!(script("start")?.success(), "Elasticsearch does not start");
        Ok(Elasticsearch)
    }
}

impl Drop for Elasticsearch {
    fn drop(&mut self) {
        let _ = script("clean");
    }
}

fn script(what: &str) -> anyhow::Result<std::process::ExitStatus> {
    let folder = target().join("bench").join(format!("elasticsearch-{ELASTICSEARCH_PORT}"));
    let mut command = Command::new(root().join("scripts/servers/elasticsearch.sh"));
    command.arg(what).arg(folder).env("ES_PORT", ELASTICSEARCH_PORT.to_string()).stdin(Stdio::null());
    command.status().context("scripts/servers/elasticsearch.sh cannot be run")
}
