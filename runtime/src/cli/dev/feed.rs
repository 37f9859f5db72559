//! Feeds a pipeline with the records of a file, over and over. Each time they are later, so that windows close and nothing is late
//! that is not late in the file.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::cli::input::{Input, Line};
use crate::config::{DecodeSettings, PipelineSettings};
use crate::decode::{DecodeError, Decoder};
use crate::pipeline::VirtualRecord;
use crate::record::{
    Batch, BatchBuilder, Column, EventTime, Field, Kind, Message, Offset, Output, Partition, Slices, Values,
};
use crate::source::Writer;

/// What is enough to see something, and what is too much to look at.
const RATE_MIN: usize = 20;
const RATE_MAX: usize = 1000;
/// No more are written while so many are on their way.
const WAITING_MAX: usize = 10_000;
/// A record so far from the others stays where it is: it is there to be refused.
const OUTLIER: Duration = Duration::from_secs(30 * DAY);
const DAY: u64 = 24 * 60 * 60;
/// For so long the times of the records must not reach the present.
const RUN: u64 = 10 * 60 * 60;
/// The earliest that they may begin before the present.
const BACK_MAX: Duration = Duration::from_secs(50 * 365 * DAY);
/// Stands for the time while the text around it is found.
const PLACEHOLDER: &str = "\"\\u0000tidegate time\"";

pub(super) struct Feed {
    topic: Arc<str>,
    records: Vec<Fed>,
    /// What the times of one turn are later than those of the turn before.
    span: Duration,
    /// What the times of the first turn are later than those of the file; earlier, where that is negative.
    shift_micros: i64,
    /// Records a second.
    rate: usize,
    begun: Option<Instant>,
    sent: usize,
}

/// A record of the file.
struct Fed {
    partition: i32,
    record: VirtualRecord,
    time: Option<Time>,
}

/// Where a record's value says when it happened.
#[derive(Clone, PartialEq, Debug)]
struct Time {
    micros: i64,
    before: Vec<u8>,
    after: Vec<u8>,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Form {
    Text,
    /// A number, and how many microseconds its unit has.
    Number {
        value: f64,
        micros: f64,
    },
}

impl Feed {
    pub fn new(settings: &PipelineSettings, input: &Input) -> Result<Feed, DecodeError> {
        let timer = Timer::new(&settings.decode)?;
        let mut records: Vec<Fed> = input.lines.iter().filter_map(|line| timer.fed(line)).collect();
        let mut times: Vec<i64> = records.iter().filter_map(|fed| Some(fed.time.as_ref()?.micros)).collect();
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or(0);
        let is_near = |micros: &i64| micros.abs_diff(median) <= OUTLIER.as_micros() as u64;
        times.retain(is_near);
        for fed in &mut records {
            fed.time = fed.time.take().filter(|time| is_near(&time.micros));
        }
        let (first, last) = (times.first().copied().unwrap_or(0), times.last().copied().unwrap_or(0));
        // Whole minutes and days, so that records fall into windows as they do in the file.
        let span = Duration::from_secs((last.abs_diff(first) / 60_000_000 + 1) * 60);
        let rate = records.len().clamp(RATE_MIN, RATE_MAX);
        let turns = (rate as u64 * RUN).div_ceil(records.len().max(1) as u64);
        let back = span.saturating_mul(u32::try_from(turns).unwrap_or(u32::MAX));
        let back = back.clamp(Duration::from_secs(DAY), BACK_MAX);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let start = i64::try_from(now.saturating_sub(back).as_micros()).unwrap_or(0);
        let day = Duration::from_secs(DAY).as_micros() as i64;
        let shift_micros = start.saturating_sub(first).div_euclid(day) * day;
        let topic = settings.kafka.topics.first().map_or("", String::as_str).into();
        Ok(Feed { topic, records, span, shift_micros, rate, begun: None, sent: 0 })
    }

    pub fn rate(&self) -> usize {
        self.rate
    }

    /// Writes what is due by now.
    pub fn tick(&mut self, writer: &Writer, now: Instant) {
        let begun = *self.begun.get_or_insert(now);
        let due = (now.duration_since(begun).as_secs_f64() * self.rate as f64) as usize + 1;
        if writer.status().waiting > WAITING_MAX {
            self.pause(now);
            return;
        }
        // After a pause not all at once.
        let due = due.saturating_sub(self.sent).min(self.rate);
        let messages = (0..due).filter_map(|ahead| self.message(self.sent + ahead)).collect();
        self.sent += due;
        writer.write(messages, |_| ());
    }

    /// Nothing is due for what passes until the next tick.
    pub fn pause(&mut self, now: Instant) {
        let sent = Duration::from_secs_f64(self.sent as f64 / self.rate as f64);
        self.begun = now.checked_sub(sent);
    }

    fn message(&self, number: usize) -> Option<Message> {
        let turn = number.checked_div(self.records.len())?;
        let Fed { partition, record, time } = self.records.get(number % self.records.len())?;
        let value = match time {
            Some(time) => Some(time.shifted(self.shift_micros, self.span, turn)),
            None => record.value.clone(),
        };
        Some(Message {
            topic: self.topic.clone(),
            partition: Some(*partition),
            key: record.key.clone(),
            value,
            headers: record.headers.clone(),
        })
    }
}

impl Time {
    /// The value with the time of this turn.
    fn shifted(&self, shift_micros: i64, span: Duration, turn: usize) -> Vec<u8> {
        let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        let shift = shift_micros.saturating_add(span.saturating_mul(i64::try_from(turn).unwrap_or(i64::MAX)));
        let time = match self.form {
            Form::Text => format!("\"{}\"", EventTime::from_micros(self.micros.saturating_add(shift))),
            Form::Number { value, micros } => number(value + shift as f64 / micros),
        };
        [&self.before, time.as_bytes(), &self.after].concat()
    }
}

/// Without a fraction where there is none.
fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { value.to_string() }
}

/// Finds the event times of records as the pipeline does.
struct Timer {
    decoder: Decoder,
    field: Vec<Field>,
}

impl Timer {
    fn new(decode: &DecodeSettings) -> Result<Timer, DecodeError> {
        let path = decode.event_time.clone();
        // Kafka's own time is the present.
        let field =
            if path.starts_with('$') { Vec::new() } else { vec![Field { path, kind: Kind::Json, required: true }] };
        Ok(Timer { decoder: Decoder::new(decode, field.iter().map(|field| field.path.as_str()))?, field })
    }

    fn fed(&self, line: &Line) -> Option<Fed> {
        match line {
            Line::Record { partition, record } => {
                Some(Fed { partition: *partition, record: record.clone(), time: self.time(record) })
            }
            Line::Idle(_) | Line::Restart | Line::Deploy => None,
        }
    }

    fn time(&self, record: &VirtualRecord) -> Option<Time> {
        if self.field.is_empty() {
            return None;
        }
        let mut batch = BatchBuilder::new(EventTime::MIN);
        batch.push(Offset(0), None, None, record.value.as_deref());
        let mut table = self.decoder.decode(&Partition::new("", 0), Arc::new(batch.finish())).table;
        let (reads, writes) = (self.decoder.reads(&self.field).ok()?, self.decoder.writes(&self.field).ok()?);
        let mut columns = Batch::default();
        table.columns(&reads, &mut columns);
        let Values::Slices(raw) = &columns.columns.first()?.values else { return None };
        if table.is_empty() || raw.is_empty() {
            return None;
        }
        let micros = table.event_time(0).micros();
        let form = form(raw.get(0), micros)?;
        let placeholder: Slices = [PLACEHOLDER].into_iter().collect();
        let column = Column { values: Values::Slices(placeholder), present: Vec::new() };
        table.write(&writes, Output { columns: vec![column], ..Output::default() });
        let mut value = Vec::new();
        table.document(0, &mut value);
        let at = memchr::memmem::find(&value, PLACEHOLDER.as_bytes())?;
        let after = value.split_off(at + PLACEHOLDER.len());
        value.truncate(at);
        Some(Time { micros, before: value, after, form })
    }
}

/// How a time is written that is so many microseconds.
fn form(raw: &[u8], micros: i64) -> Option<Form> {
    if raw.first() == Some(&b'"') {
        return Some(Form::Text);
    }
    let value: f64 = std::str::from_utf8(raw).ok()?.parse().ok()?;
    // The unit of a number is told by its size: it is the one with which the two agree.
    let units = [1e6, 1e3, 1.0, 1e-3];
    let off = |unit: &f64| (value * unit - micros as f64).abs();
    let unit = units.into_iter().min_by(|one, other| off(one).total_cmp(&off(other)))?;
    Some(Form::Number { value, micros: unit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Format, OnWrongType, TimestampUnit};

    fn time(value: &str) -> Option<Time> {
        let decode = DecodeSettings {
            format: Format::Json,
            event_time: "at.time".into(),
            timestamp_unit: TimestampUnit::Auto,
            on_wrong_type: OnWrongType::DeadLetter,
            defaults: Default::default(),
            schema_version: None,
            schema_versions: Vec::new(),
        };
        let record = VirtualRecord { value: Some(value.as_bytes().to_vec()), ..VirtualRecord::default() };
        Timer::new(&decode).expect("the path is valid").time(&record)
    }

    fn check(value: &str, later: &str) {
        let time = time(value).unwrap_or_else(|| panic!("{value} has a time"));
        let shifted = time.shifted(60_000_000, Duration::from_secs(10), 2);
        assert_eq!(String::from_utf8_lossy(&shifted), later);
    }

    #[test]
    fn times_move_on_in_the_form_that_they_have() {
        check(
            r#"{"n": 1, "at": {"time": "2026-01-01T12:00:20Z"}, "x": "é"}"#,
            r#"{"n": 1, "at": {"time": "2026-01-01T12:01:40Z"}, "x": "é"}"#,
        );
        check(r#"{"at":{"time":1740830400}}"#, r#"{"at":{"time":1740830480}}"#);
        check(r#"{"at":{"time":1740830400123}}"#, r#"{"at":{"time":1740830480123}}"#);
        check(r#"{"at":{"time":1740830400000001}}"#, r#"{"at":{"time":1740830480000001}}"#);
    }

    #[test]
    fn what_has_no_time_stays_as_it_is() {
        for value in ["no JSON", "{}", r#"{"at": {"time": null}}"#, r#"{"at": {"time": "noon"}}"#] {
            assert_eq!(time(value), None, "{value}");
        }
    }
}
