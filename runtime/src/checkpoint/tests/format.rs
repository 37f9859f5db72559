//! Objects come back as they went in, whatever is in them.

use std::collections::BTreeMap;

use super::*;

/// A group by its key: state, count, first and last offset.
type SourceGroups = BTreeMap<Vec<u8>, (Vec<u8>, u64, i64, i64)>;
type SourceModel = Vec<(i64, Option<(i64, i64)>, SourceGroups)>;

/// A part: topic, partition, revision, last offset, state.
type Part = (String, i32, u16, i64, Vec<u8>);
type PartsModel = Vec<(i64, i64, BTreeMap<Vec<u8>, Vec<Part>>)>;

#[derive(PartialEq, Debug)]
enum Model {
    Source(String, StateSchema, SourceModel),
    Parts(String, StateSchema, PartsModel),
}

fn bytes(rng: &mut fastrand::Rng) -> Vec<u8> {
    let length = [0, 1, rng.usize(0..60), rng.usize(0..3000), 70_000][[0, 1, 2, 2, 2, 2, 2, 3, 4][rng.usize(0..9)]];
    let byte = rng.u8(..);
    (0..length).map(|_| if byte < 128 { byte } else { rng.u8(..) }).collect()
}

fn number(rng: &mut fastrand::Rng) -> i64 {
    *rng.choice(&[0, 1, -1, i64::MIN, i64::MAX, 1_800_000_000_000_000]).expect("there are some")
}

fn text(rng: &mut fastrand::Rng) -> String {
    (0..rng.usize(0..20)).map(|_| rng.char(..)).collect()
}

fn source(rng: &mut fastrand::Rng) -> SourceModel {
    let group = |rng: &mut fastrand::Rng| (bytes(rng), (bytes(rng), rng.u64(..), number(rng), number(rng)));
    let window = |rng: &mut fastrand::Rng| {
        let groups = (0..rng.usize(0..40)).map(|_| group(rng)).collect();
        (number(rng), rng.bool().then(|| (number(rng), number(rng))), groups)
    };
    (0..rng.usize(0..5)).map(|_| window(rng)).collect()
}

fn parts(rng: &mut fastrand::Rng) -> PartsModel {
    let part = |rng: &mut fastrand::Rng| (text(rng), rng.i32(..), rng.u16(..), number(rng), bytes(rng));
    let window = |rng: &mut fastrand::Rng| {
        let group = |rng: &mut fastrand::Rng| (bytes(rng), (0..rng.usize(0..4)).map(|_| part(rng)).collect());
        (number(rng), number(rng), (0..rng.usize(0..20)).map(|_| group(rng)).collect())
    };
    (0..rng.usize(0..5)).map(|_| window(rng)).collect()
}

fn model(rng: &mut fastrand::Rng) -> Vec<Model> {
    let schema = |rng: &mut fastrand::Rng| StateSchema { name: text(rng), version: rng.u32(..) };
    let output = |rng: &mut fastrand::Rng| match rng.bool() {
        true => Model::Source(text(rng), schema(rng), source(rng)),
        false => Model::Parts(text(rng), schema(rng), parts(rng)),
    };
    (0..rng.usize(0..4)).map(|_| output(rng)).collect()
}

fn encoded(header: &Header, model: &[Model]) -> Vec<u8> {
    let mut encoder = Encoder::new(header);
    for output in model {
        match output {
            Model::Source(output, schema, windows) => encoder.source_windows(output, schema, |encoder| {
                for (start, hold, groups) in windows {
                    let hold = hold.map(|(offset, watermark)| Hold {
                        offset: Offset(offset),
                        watermark: EventTime::from_micros(watermark),
                    });
                    encoder.window(EventTime::from_micros(*start), hold);
                    for (key, (state, count, first, last)) in groups {
                        let (count, first, last) = (*count, Offset(*first), Offset(*last));
                        encoder.group(GroupState { key, state, count, first, last });
                    }
                }
            }),
            Model::Parts(output, schema, windows) => encoder.parts_windows(output, schema, |encoder| {
                for (start, first, groups) in windows {
                    encoder.window(EventTime::from_micros(*start), Offset(*first));
                    for (key, parts) in groups {
                        encoder.group(key);
                        for (topic, partition, revision, last, state) in parts {
                            let (partition, revision, last) = (*partition, *revision, Offset(*last));
                            encoder.part(PartOfSource { topic, partition, revision, last, state });
                        }
                    }
                }
            }),
        }
    }
    encoder.finish()
}

fn decoded(checkpoint: &Checkpoint) -> Vec<Model> {
    let output = |windows: Result<Windows<'_>, Unreadable>| match windows.expect("it is whole") {
        Windows::Source(mut windows) => {
            let mut model = SourceModel::new();
            while let Some(item) = windows.next().expect("it is whole") {
                match item {
                    SourceItem::Window { start, hold } => {
                        let hold = hold.map(|hold| (hold.offset.0, hold.watermark.micros()));
                        model.push((start.micros(), hold, BTreeMap::new()));
                    }
                    SourceItem::Group(group) => {
                        let GroupState { key, state, count, first, last } = group;
                        let groups = &mut model.last_mut().expect("a window comes first").2;
                        groups.insert(key.to_vec(), (state.to_vec(), count, first.0, last.0));
                    }
                }
            }
            Model::Source(windows.output, windows.schema, model)
        }
        Windows::Parts(mut windows) => {
            let mut model = PartsModel::new();
            let mut current = Vec::new();
            while let Some(item) = windows.next().expect("it is whole") {
                match item {
                    PartsItem::Window { start, first } => model.push((start.micros(), first.0, BTreeMap::new())),
                    PartsItem::Group { key } => {
                        current = key.to_vec();
                        model.last_mut().expect("a window comes first").2.insert(current.clone(), Vec::new());
                    }
                    PartsItem::Part(part) => {
                        let PartOfSource { topic, partition, revision, last, state } = part;
                        let groups = &mut model.last_mut().expect("a window comes first").2;
                        let parts = groups.get_mut(&current).expect("a group comes first");
                        parts.push((topic.to_owned(), partition, revision, last.0, state.to_vec()));
                    }
                }
            }
            Model::Parts(windows.output, windows.schema, model)
        }
    };
    checkpoint.windows().map(output).collect()
}

#[test]
fn checkpoints_come_back_as_they_went_in() {
    for seed in 0..200 {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let mut header = header(slot(rng.u32(..), rng.u32(..)));
        header.topic_id = rng.bool().then(|| TopicId(rng.u128(..).to_le_bytes()));
        header.lane = *rng.choice(&[LaneKind::Source, LaneKind::Parts]).expect("there are some");
        (header.next, header.revision, header.position) = (Offset(number(rng)), rng.u16(..), bytes(rng));
        header.components = (0..rng.usize(0..4)).map(|_| Component { name: text(rng), digest: text(rng) }).collect();
        let model = model(rng);
        let checkpoint = opened(&encoded(&header, &model)).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        assert_eq!(checkpoint.header(), &header, "seed {seed}");
        assert_eq!(decoded(&checkpoint), model, "seed {seed}");
    }
}

#[test]
fn the_same_is_written_as_the_same_bytes() {
    assert_eq!(object(slot(1, 1)), object(slot(1, 1)));
    assert_ne!(object(slot(1, 1)), object(slot(1, 2)));
}

#[test]
fn what_is_in_it_is_counted() {
    let contents = opened(&object(slot(1, 1))).expect("it is whole").contents();
    assert_eq!(contents, Ok(Contents { outputs: 1, windows: 1, groups: 2, parts: 0 }));
}

/// A hundred thousand groups: the object is a fraction of them, and one group at a time is read.
#[test]
fn many_groups_are_one_small_object() {
    let groups = 100_000_u64;
    let mut encoder = Encoder::new(&header(slot(1, 1)));
    encoder.source_windows("counts", &schema(), |windows| {
        windows.window(EventTime::from_micros(0), None);
        for number in 0..groups {
            let (key, state) = (number.to_be_bytes(), [&number.to_le_bytes()[..], &[0; 32]].concat());
            let (first, last) = (Offset(number as i64), Offset(number as i64 + 7));
            windows.group(GroupState { key: &key, state: &state, count: 3, first, last });
        }
    });
    let object = encoder.finish();
    assert!(object.len() < groups as usize * 24, "{} bytes", object.len());
    let contents = opened(&object).expect("it is whole").contents().expect("it is whole");
    assert_eq!(contents.groups, groups);
}
