//! Objects come back as they went in, whatever is in them.

use std::collections::BTreeMap;

use super::*;

/// A group by its key: state, count, first and last offset.
type Groups = BTreeMap<Vec<u8>, (Vec<u8>, u64, i64, i64)>;
type WindowsModel = Vec<(i64, Option<(i64, i64)>, Groups)>;

#[derive(PartialEq, Debug)]
struct Model {
    output: String,
    schema: StateSchema,
    windows: WindowsModel,
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

fn windows(rng: &mut fastrand::Rng) -> WindowsModel {
    let group = |rng: &mut fastrand::Rng| (bytes(rng), (bytes(rng), rng.u64(..), number(rng), number(rng)));
    let window = |rng: &mut fastrand::Rng| {
        let groups = (0..rng.usize(0..40)).map(|_| group(rng)).collect();
        (number(rng), rng.bool().then(|| (number(rng), number(rng))), groups)
    };
    (0..rng.usize(0..5)).map(|_| window(rng)).collect()
}

fn model(rng: &mut fastrand::Rng) -> Vec<Model> {
    let schema = |rng: &mut fastrand::Rng| StateSchema { name: text(rng), version: rng.u32(..) };
    let output = |rng: &mut fastrand::Rng| Model { output: text(rng), schema: schema(rng), windows: windows(rng) };
    (0..rng.usize(0..4)).map(|_| output(rng)).collect()
}

fn encoded(header: &Header, model: &[Model]) -> Vec<u8> {
    let mut encoder = Encoder::new(header);
    for Model { output, schema, windows } in model {
        encoder.windows(output, schema, |encoder| {
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
        });
    }
    encoder.finish()
}

fn decoded(checkpoint: &Checkpoint) -> Vec<Model> {
    let output = |windows: Result<Windows<'_>, Unreadable>| {
        let mut windows = windows.expect("it is whole");
        let mut model = WindowsModel::new();
        while let Some(item) = windows.next().expect("it is whole") {
            match item {
                Item::Window { start, hold } => {
                    let hold = hold.map(|hold| (hold.offset.0, hold.watermark.micros()));
                    model.push((start.micros(), hold, BTreeMap::new()));
                }
                Item::Session(_) => unreachable!("there are none"),
                Item::Group(group) => {
                    let GroupState { key, state, count, first, last } = group;
                    let groups = &mut model.last_mut().expect("a window comes first").2;
                    groups.insert(key.to_vec(), (state.to_vec(), count, first.0, last.0));
                }
            }
        }
        Model { output: windows.output, schema: windows.schema, windows: model }
    };
    checkpoint.windows().map(output).collect()
}

#[test]
fn checkpoints_come_back_as_they_went_in() {
    for seed in 0..200 {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let mut header = header(slot(rng.u32(..), rng.u32(..)));
        header.topic_id = rng.bool().then(|| TopicId(rng.u128(..).to_le_bytes()));
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
    assert_eq!(contents, Ok(Contents { outputs: 1, windows: 1, groups: 2 }));
}

/// A hundred thousand groups: the object is a fraction of them, and one group at a time is read.
#[test]
fn many_groups_are_one_small_object() {
    let groups = 100_000_u64;
    let mut encoder = Encoder::new(&header(slot(1, 1)));
    encoder.windows("counts", &schema(), |windows| {
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

#[test]
fn sessions_come_back_as_they_went_in() {
    let session = |start: i64, announced: Option<i64>| SessionState {
        window: Window { start: EventTime::from_micros(start), end: EventTime::from_micros(start + 30) },
        key: Arc::from(&b"a"[..]),
        state: Arc::from(&[1, 2, 3][..]),
        count: 4,
        first: Offset(17),
        last: Offset(90),
        hold: Hold { offset: Offset(17), watermark: EventTime::from_micros(start - 5) },
        announced: announced.map(EventTime::from_micros),
    };
    let written = [session(-60, None), session(60, Some(80))];
    let mut encoder = Encoder::new(&header(slot(1, 1)));
    encoder.windows("visits", &schema(), |windows| written.iter().for_each(|session| windows.session(session)));
    let checkpoint = opened(&encoder.finish()).expect("it is whole");
    assert_eq!(checkpoint.contents(), Ok(Contents { outputs: 1, windows: 2, groups: 2 }));
    let mut windows = checkpoint.windows().next().expect("there is one").expect("it is whole");
    for session in written {
        assert_eq!(windows.next(), Ok(Some(Item::Session(session))));
    }
    assert_eq!(windows.next(), Ok(None));
}
