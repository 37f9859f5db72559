//! Numbers that flow at a rate, and what must have been counted of them in the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::reload::{GROUPS, LIMIT, NUMBERS_PER_WINDOW, Numbers, Running, number};
use crate::wait_until;

/// A thread that produces numbers at a rate.
pub struct Load {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<i64>>,
}

impl Load {
    pub fn begin(job: &Arc<Numbers>, per_second: u32) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let (job, stopped) = (job.clone(), stop.clone());
        let thread = thread::spawn(move || flow(&job, per_second, &stopped));
        Load { stop, thread }
    }

    /// How many numbers there are now, all acknowledged.
    pub fn end(self) -> anyhow::Result<i64> {
        self.stop.store(true, Relaxed);
        self.thread.join().expect("the load does not panic")
    }
}

fn flow(job: &Numbers, per_second: u32, stop: &AtomicBool) -> anyhow::Result<i64> {
    let producer = producer(job)?;
    let (begun, mut next) = (Instant::now(), 0);
    while !stop.load(Relaxed) {
        if next as f64 > begun.elapsed().as_secs_f64() * f64::from(per_second) {
            producer.poll(Duration::from_millis(1));
            continue;
        }
        next = produce(job, &producer, next)?;
    }
    producer.flush(LIMIT).context("the numbers are not acknowledged")?;
    Ok(next)
}

/// Produces so many numbers at once, and some more; how many.
pub fn fill(job: &Numbers, least: i64) -> anyhow::Result<i64> {
    let producer = producer(job)?;
    let mut next = 0;
    while next < least {
        next = produce(job, &producer, next)?;
    }
    producer.flush(LIMIT).context("the numbers are not acknowledged")?;
    Ok(next)
}

fn producer(job: &Numbers) -> anyhow::Result<BaseProducer> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &job.brokers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("compression.type", "lz4");
    Ok(config.create()?)
}

/// A thousand numbers, from this one on; the one after them.
fn produce(job: &Numbers, producer: &BaseProducer, next: i64) -> anyhow::Result<i64> {
    let end = next + 1000;
    for n in next..end {
        let (partition, timestamp, value) = number(n);
        let mut record =
            BaseRecord::<(), String>::to(&job.topic).partition(partition).timestamp(timestamp).payload(&value);
        while let Err((error, again)) = producer.send(record) {
            ensure!(error == KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), "produce: {error}");
            producer.poll(Duration::from_millis(10));
            record = again;
        }
    }
    producer.poll(Duration::ZERO);
    Ok(end)
}

/// The whole windows of the numbers `0..produced` are in the index, and have counted each of them once.
pub fn check_counted(job: &Numbers, running: &Running, produced: i64) -> anyhow::Result<()> {
    job.pass_time(produced);
    let windows = produced / NUMBERS_PER_WINDOW;
    let with_the_last = ((produced - 1) / NUMBERS_PER_WINDOW + 1) * GROUPS;
    let counted = wait_until(LIMIT, || {
        let counted = job.tallies();
        let (sum, groups) = (counted.values().sum::<i64>(), counted.len() as i64);
        let is_there = sum >= produced && groups >= with_the_last;
        let waiting = || running.handle.snapshot().waiting.join("; ");
        is_there.then_some(counted).ok_or_else(|| {
            format!("{produced} in {with_the_last} groups; {sum} are counted, in {groups}; {}", waiting())
        })
    });
    let counted: Vec<i64> = counted.into_values().collect();
    let whole = counted.iter().filter(|count| **count == NUMBERS_PER_WINDOW / GROUPS).count() as i64;
    ensure!(counted.iter().sum::<i64>() == produced, "{} of {produced} were counted", counted.iter().sum::<i64>());
    ensure!(whole >= windows * GROUPS, "{whole} counts of {} are right", windows * GROUPS);
    let dead_letters = running.handle.snapshot().counts.dead_letters();
    ensure!(dead_letters == 0, "{dead_letters} dead letters");
    Ok(())
}
