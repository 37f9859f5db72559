//! The client pauses partitions, by our word and, while a group rebalances, by its own: no record is passed over by that.

use super::*;

/// A partition that is at its end is paused, since another takes all the bytes there are; meanwhile so many records come.
fn paused_at_its_end(records: usize) {
    let broker = broker(2);
    produce(&broker, 0, 1, b"first");
    let recorder = Recorder::default();
    recorder.change(|told| told.keep_batches = true);
    let mut config = config(&broker);
    config.memory_bytes = 4 << 20;
    let source = start(config, &recorder);
    recorder.wait_until("the end of the first", |told| told.idle.contains(&0));
    produce(&broker, 1, 400, &[b'x'; 10_000]);
    let of = |status: &SourceStatus, number| status.partitions.iter().find(|it| it.partition.number == number).cloned();
    let is_paused = |status: &SourceStatus| of(status, 0).is_some_and(|it| it.paused);
    wait_for_status(&source, is_paused);
    produce(&broker, 0, records, b"after");
    recorder.change(|told| {
        told.keep_batches = false;
        told.batches.clear();
    });
    recorder.wait_until("what came after", |told| told.offsets[&0].len() > records);
    recorder.change(|told| assert_eq!(told.offsets[&0], (0..=records as i64).collect::<Vec<_>>()));
    close(source);
}

#[test]
fn the_record_after_the_end_is_read_when_it_is_the_last() {
    paused_at_its_end(1);
}

#[test]
fn the_record_after_the_end_is_read_when_others_follow() {
    paused_at_its_end(3);
}
