//! The records of one seed: events of a few groups in a few partitions, out of order, with late, future and poison ones.

use fastrand::Rng;

pub const TOPIC: &str = "events";
/// Seconds are the simulation's unit; event times begin well after 1970.
pub const BEGIN: i64 = 1_000_000;
pub const OUT_OF_ORDER: i64 = 10;
pub const MAX_FUTURE: i64 = 60;
pub const GROUPS: u64 = 3;
/// The newest version of the shared filter; they count from 0.
pub const VERSION_MAX: u8 = 5;
/// The bit of the filter that the second output has for itself.
pub const OWN: u8 = 7;

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Record {
    /// `keep`: a bit for each version of the shared filter, and [`OWN`].
    Event {
        time: i64,
        group: u64,
        keep: u8,
        id: u64,
    },
    /// The event time is far ahead of the record's own timestamp.
    Future {
        time: i64,
    },
    Poison,
}

impl Record {
    /// Kafka's timestamp, in seconds.
    pub fn stamp(&self) -> i64 {
        match self {
            Record::Event { time, .. } => *time,
            Record::Future { time } => *time - MAX_FUTURE - 1,
            Record::Poison => BEGIN,
        }
    }

    pub fn value(&self) -> Vec<u8> {
        match self {
            Record::Event { time, group, keep, id } => {
                format!(r#"{{"time":{time},"group":"g{group}","keep":{keep},"id":{id}}}"#).into_bytes()
            }
            Record::Future { time } => format!(r#"{{"time":{time},"group":"g0","keep":255,"id":0}}"#).into_bytes(),
            Record::Poison => b"{".to_vec(),
        }
    }
}

/// All records, by partition, and the order in which they are produced.
pub struct Input {
    pub partitions: Vec<Vec<Record>>,
    /// The partition of each next record.
    pub order: Vec<usize>,
    /// Whether a partition ends with a record that closes every window of it.
    pub closes: Vec<bool>,
    /// Whether the filters think alike of every event.
    pub is_of_one_mind: bool,
}

impl Input {
    pub fn new(rng: &mut Rng) -> Self {
        let partitions = rng.usize(2..=3);
        let records = rng.usize(20..=120);
        let mut clocks = vec![BEGIN; partitions];
        let mut input = Input {
            partitions: vec![Vec::new(); partitions],
            order: Vec::new(),
            closes: Vec::new(),
            is_of_one_mind: true,
        };
        // A partition may have nothing, or go quiet for long.
        let weights: Vec<usize> = (0..partitions).map(|_| [0, 1, 4, 8][rng.usize(..4)]).collect();
        // Of so many events in a hundred the filters do not think alike.
        let discord = [0, rng.u8(..100), rng.u8(..100)][rng.usize(..3)];
        input.is_of_one_mind = discord == 0;
        let pace = rng.i64(2..10);
        for id in 0..records as u64 {
            let partition = pick(rng, &weights);
            clocks[partition] += rng.i64(0..pace);
            let clock = clocks[partition];
            let (late, in_time, ahead) = (rng.i64(OUT_OF_ORDER..60), rng.i64(0..=OUT_OF_ORDER), rng.i64(100..5000));
            let record = match rng.u8(..100) {
                0..3 => Record::Poison,
                3..6 => Record::Future { time: clock + ahead },
                6..14 => event(rng, clock - late, id, discord),
                _ => event(rng, clock - in_time, id, discord),
            };
            input.partitions[partition].push(record);
            input.order.push(partition);
        }
        // Partitions that had time go far ahead end all windows; at least one does.
        let last = clocks.iter().max().copied().unwrap_or(BEGIN) + 500;
        let certain = rng.usize(..partitions);
        for partition in 0..partitions {
            let closes = partition == certain || rng.u8(..3) > 0;
            input.closes.push(closes);
            if closes {
                // Nobody keeps it: time passes all the same.
                input.partitions[partition].push(Record::Event { time: last, group: 0, keep: 0, id: 1 << 40 });
                input.order.push(partition);
            }
        }
        input
    }
}

fn event(rng: &mut Rng, time: i64, id: u64, discord: u8) -> Record {
    let keep = if rng.u8(..100) < discord { rng.u8(..) } else { u8::MAX };
    Record::Event { time, group: rng.u64(..GROUPS), keep, id }
}

/// A place, by weights.
pub fn pick(rng: &mut Rng, weights: &[usize]) -> usize {
    let total: usize = weights.iter().sum();
    if total == 0 {
        return 0;
    }
    let mut at = rng.usize(..total);
    for (place, weight) in weights.iter().enumerate() {
        match at.checked_sub(*weight) {
            Some(rest) => at = rest,
            None => return place,
        }
    }
    0
}
