//! Positions that are committed while the source runs, and partitions that are read again.

use super::*;

#[test]
fn a_partition_that_stalls_is_read_again_from_where_its_lane_begins_anew() {
    let broker = broker(1);
    produce(&broker, 0, 10, b"a");
    let recorder = Recorder::default();
    let source = start(config(&broker), &recorder);
    recorder.wait_until("records", |told| told.offsets.get(&0).is_some_and(|offsets| offsets.len() == 10));
    recorder.change(|told| told.courses.insert(0, Course::Stalled));
    wait_for_status(&source, |status| status.partitions.iter().any(|it| it.paused));
    produce(&broker, 0, 5, b"a");
    recorder.change(|told| told.courses.insert(0, Course::Again(Offset(3))));
    recorder.wait_until("the rest again", |told| told.offsets[&0].len() == 22);
    recorder.change(|told| assert_eq!(told.offsets[&0][10..], (3..15).collect::<Vec<_>>()));
    close(source);
}

#[test]
fn a_commit_while_running_is_told_and_seen_in_the_status() {
    let broker = broker(1);
    produce(&broker, 0, 10, b"a");
    let recorder = Recorder::default();
    let source = start(config(&broker), &recorder);
    recorder.wait_until("records", |told| told.offsets.contains_key(&0));
    recorder.change(|told| told.commit = vec![at(0, 4, "x")]);
    let status = wait_for_status(&source, |status| status.partitions.iter().any(|it| it.committed == Some(Offset(4))));
    assert!(status.connected);
    assert_eq!(status.partitions[0].lag(), Some(0));
    recorder.wait_until("it is told", |told| told.committed.contains(&at(0, 4, "x")));
    close(source);
}
