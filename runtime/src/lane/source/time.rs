//! Event time is judged here, before any component: the far future is refused or clamped, and the watermark passes over
//! the records one by one.

use std::time::Duration;

use crate::config::{OnFuture, WatermarkSettings};
use crate::decode::{Decoded, Rejected};
use crate::lane::transform::Departed;
use crate::record::{EventTime, Reason, ReasonKind};
use crate::window::{Lateness, Watermark};

/// The watermark before each record of the batch. Records from the far future leave the table and move nothing.
pub(in crate::lane) fn pass(
    settings: &WatermarkSettings,
    watermark: &mut Watermark,
    decoded: &mut Decoded,
    departed: &mut Departed,
    lateness: &mut Lateness,
) -> Vec<EventTime> {
    let batch = decoded.table.batch().clone();
    let mut watermarks = Vec::with_capacity(batch.len());
    let mut future = Vec::new();
    let mut clamped = Vec::new();
    for (record, time) in decoded.event_times.iter_mut().enumerate() {
        watermarks.push(watermark.current());
        if *time == EventTime::MIN {
            continue;
        }
        if let Some(stamp) = batch.timestamp(record).filter(|stamp| *time > stamp.plus(settings.max_future)) {
            match settings.on_future {
                OnFuture::DeadLetter => {
                    let reason = too_far(*time, stamp, settings.max_future);
                    departed.rejected.push((None, Rejected { record: record as u32, ordinal: 0, reason }));
                    future.push(record as u32);
                    continue;
                }
                OnFuture::Clamp => {
                    *time = stamp;
                    clamped.push((record as u32, stamp));
                }
            }
        }
        lateness.note(watermark.largest(), *time);
        watermark.observe(*time);
    }
    if !future.is_empty() {
        decoded.table.remove_records(&future);
    }
    if !clamped.is_empty() {
        decoded.table.set_event_times(&clamped);
    }
    watermarks
}

fn too_far(time: EventTime, stamp: EventTime, max: Duration) -> Reason {
    let message =
        format!("the event time={time} is more than max_future={max:?} ahead of the record's own timestamp={stamp}");
    Reason::new(ReasonKind::Future, message)
}
