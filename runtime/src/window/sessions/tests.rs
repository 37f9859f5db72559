//! Rows in sessions: folded, merged, closed, announced, cloned and converted, in any order, beside a plain list that takes one row
//! after the other.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::record::{Reason, ReasonKind};

const GAP: i64 = 10;
const CELL: i64 = 70;
/// Two states that are longer together cannot be merged.
const MERGED_BYTES_MAX: usize = 24;

fn windows() -> SessionWindows {
    SessionWindows::new(Duration::from_micros(GAP as u64), Duration::from_micros(CELL as u64))
}

fn at(micros: i64) -> EventTime {
    EventTime::from_micros(micros)
}

fn schema(version: u32) -> StateSchema {
    StateSchema { name: "test".to_owned(), version }
}

/// Migrates by appending the version that the state was of.
fn mark(before: &StateSchema, states: &Slices) -> Result<Slices, ()> {
    Ok(states.iter().map(|state| [state, &[before.version as u8]].concat()).collect())
}

/// What happens to a row.
#[derive(Clone, Copy, Debug)]
enum Taken {
    Always,
    Never,
    /// It depends on the state before.
    ByState,
}

#[derive(Clone, Debug)]
struct Row {
    time: i64,
    group: Vec<u8>,
    offset: i64,
    watermark: i64,
    taken: Taken,
}

impl Row {
    fn is_taken(&self, state: &[u8]) -> bool {
        match self.taken {
            Taken::Always => true,
            Taken::Never => false,
            Taken::ByState => state.len().is_multiple_of(2),
        }
    }

    fn hold(&self) -> Hold {
        Hold { offset: Offset(self.offset), watermark: at(self.watermark) }
    }
}

fn merge(left: &Slices, right: &Slices) -> Result<Accumulated, ()> {
    let states = left.iter().zip(right.iter()).map(|(left, right)| [left, right].concat()).collect::<Slices>();
    let too_long = (0..).zip(states.iter()).filter(|(_, state)| state.len() > MERGED_BYTES_MAX);
    let reason = || Reason::new(ReasonKind::Field, "it is too long");
    let rejected = too_long.map(|(row, _)| Rejection { row, reason: reason() }).collect();
    Ok(Accumulated { states, rejected })
}

/// Folds by appending a byte of the row's offset to the state; how many turns it took.
fn fold(sessions: &mut Sessions, rows: &[Row]) -> usize {
    let row_of = |row: u32| {
        let row = &rows[row as usize];
        SessionRow { time: at(row.time), group: &row.group, offset: Offset(row.offset), watermark: at(row.watermark) }
    };
    let mut left: Vec<u32> = (0..rows.len() as u32).collect();
    let (mut slots, mut turns) = (SessionSlots::default(), 0);
    while !left.is_empty() {
        sessions.assign(&left, row_of, &mut slots);
        sessions.convert_slots(&mut slots, mark).expect("it migrates");
        let broken = sessions.bridge(&mut slots, merge).expect("it merges");
        let mut states: Vec<Vec<u8>> = slots.states.iter().map(<[u8]>::to_vec).collect();
        let mut taken = vec![0; slots.rows.len()];
        for (place, (row, slot)) in slots.rows.iter().zip(&slots.groups).enumerate() {
            let (row, state) = (&rows[*row as usize], &mut states[*slot as usize]);
            if row.is_taken(state) {
                state.push(row.offset as u8);
                taken[place] = 1;
            }
        }
        broken.iter().for_each(|one| taken[one.row as usize] = 0);
        sessions.store(row_of, &taken, &mut slots, &states.iter().collect());
        assert!(slots.later.len() < left.len(), "every turn has a row that is done");
        left.clone_from(&slots.later);
        turns += 1;
    }
    turns
}

/// Open sessions of a group in the order of their starts, each as it leaves, with the times of its records.
#[derive(Clone, Default)]
struct Model {
    groups: BTreeMap<Vec<u8>, Vec<(SessionState, Vec<i64>)>>,
    version: u32,
}

impl Model {
    fn take(&mut self, row: &Row) {
        let group = self.groups.entry(row.group.clone()).or_default();
        let near = |times: &[i64]| {
            let of_cell = |time: &&i64| time.div_euclid(CELL) == row.time.div_euclid(CELL);
            times.iter().filter(of_cell).any(|time| time.abs_diff(row.time) < GAP as u64)
        };
        let (mut joined, mut others): (Vec<_>, Vec<_>) = group.drain(..).partition(|(_, times)| near(times));
        let before = joined.clone();
        let mut all: Option<(SessionState, Vec<i64>)> = None;
        let mut broken = false;
        for (session, times) in joined.drain(..) {
            let Some((left, left_times)) = &mut all else {
                all = Some((session, times));
                continue;
            };
            left.window.end = session.window.end;
            left.state = [&*left.state, &*session.state].concat().into();
            broken = left.state.len() > MERGED_BYTES_MAX;
            left.count += session.count;
            left.first = left.first.min(session.first);
            left.last = left.last.max(session.last);
            if session.hold.offset < left.hold.offset {
                left.hold = session.hold;
            }
            left.announced = left.announced.min(session.announced);
            left_times.extend(times);
        }
        let state = all.as_ref().map(|(session, _)| session.state.to_vec()).unwrap_or_default();
        if broken || !row.is_taken(&state) {
            others.extend(before);
        } else {
            let (mut session, mut times) = all.unwrap_or_else(|| {
                let session = SessionState {
                    window: Window { start: at(row.time), end: at(row.time) },
                    key: row.group.clone().into(),
                    state: Vec::new().into(),
                    count: 0,
                    first: Offset(row.offset),
                    last: Offset(row.offset),
                    hold: row.hold(),
                    announced: None,
                };
                (session, Vec::new())
            });
            times.push(row.time);
            session.window.start = session.window.start.min(at(row.time));
            session.window.end = session.window.end.max(at(row.time + GAP));
            session.state = [&state[..], &[row.offset as u8]].concat().into();
            session.count += 1;
            session.last = Offset(row.offset);
            others.push((session, times));
        }
        others.sort_by_key(|(session, _)| session.window.start);
        *group = others;
    }

    fn all(&self) -> Vec<SessionState> {
        let mut all: Vec<_> = self.groups.values().flatten().map(|(session, _)| session.clone()).collect();
        all.sort_by_key(|one| (one.window.end, one.key.clone(), one.window.start));
        all
    }

    fn close(&mut self, watermark: i64) -> Vec<SessionState> {
        let mut closed = self.all();
        closed.retain(|session| session.window.end <= at(watermark));
        self.groups.values_mut().for_each(|group| group.retain(|(one, _)| one.window.end > at(watermark)));
        self.groups.retain(|_, group| !group.is_empty());
        closed
    }

    fn announce(&mut self, watermark: i64) -> Vec<SessionState> {
        let mut announced = Vec::new();
        for (session, _) in self.groups.values_mut().flatten() {
            let is_due = match session.announced {
                None => session.window.start < at(watermark),
                Some(end) => end <= at(watermark),
            };
            if is_due {
                session.announced = Some(session.window.end);
                announced.push(session.clone());
            }
        }
        announced.sort_by_key(|one| (one.window.end, one.key.clone(), one.window.start));
        announced
    }

    fn change_schema(&mut self) {
        self.version += 1;
        for (session, _) in self.groups.values_mut().flatten() {
            session.state = [&*session.state, &[self.version as u8]].concat().into();
        }
    }

    /// Sorted, and cut where the gap is as long, or another cell begins.
    fn is_cut_by_definition(&self) -> bool {
        self.groups.values().all(|group| {
            let mut times: Vec<i64> = group.iter().flat_map(|(_, times)| times.clone()).collect();
            times.sort_unstable();
            let apart = |one: &i64, next: &i64| next - one < GAP && one.div_euclid(CELL) == next.div_euclid(CELL);
            let defined: Vec<_> =
                times.chunk_by(apart).map(|of| (at(of[0]), at(of[of.len() - 1] + GAP), of.len() as u64)).collect();
            let found: Vec<_> = group.iter().map(|(one, _)| (one.window.start, one.window.end, one.count)).collect();
            defined == found
        })
    }
}

/// What is done to sessions, at random.
#[derive(Clone, Debug)]
enum Step {
    /// Rows of (time, group), and whether each is taken.
    Fold(Vec<(i64, u8, Taken)>),
    /// The watermark goes on by so much.
    Close(i64),
    Announce,
    Clone,
    /// The clone that was taken so many before the last goes on in place of the sessions.
    Restore(usize),
    PutBack,
    ChangeSchema,
    Convert(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let taken = prop_oneof![6 => Just(Taken::Always), 1 => Just(Taken::Never), 1 => Just(Taken::ByState)];
    let row = (0..150_i64, 0..4_u8, taken);
    prop_oneof![
        8 => prop::collection::vec(row, 1..25).prop_map(Step::Fold),
        4 => (0..40_i64).prop_map(Step::Close),
        3 => Just(Step::Announce),
        2 => Just(Step::Clone),
        1 => (0..3_usize).prop_map(Step::Restore),
        1 => Just(Step::PutBack),
        2 => Just(Step::ChangeSchema),
        3 => (1..4_usize).prop_map(Step::Convert),
    ]
}

fn same(sessions: &Sessions, model: &Model) -> Result<(), TestCaseError> {
    let all = model.all();
    let hold = all.iter().map(|session| session.hold).min_by_key(|hold| hold.offset);
    prop_assert_eq!(sessions.hold().map(|hold| hold.offset), hold.map(|hold| hold.offset));
    prop_assert_eq!(sessions.oldest_end(), all.first().map(|session| session.window.end));
    prop_assert_eq!(sessions.windows(), all.len());
    prop_assert_eq!(sessions.groups(), model.groups.values().filter(|group| !group.is_empty()).count());
    if sessions.is_converted() {
        prop_assert_eq!(sessions.content(), all);
    }
    prop_assert!(model.is_cut_by_definition());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]
    #[test]
    fn sessions_are_what_a_plain_list_is(steps in prop::collection::vec(step(), 1..30)) {
        let mut both = (Sessions::new(windows()), Model::default(), -100_i64);
        let mut clones = Vec::new();
        let mut offset = 0;
        for step in steps {
            let (sessions, model, watermark) = (&mut both.0, &mut both.1, &mut both.2);
            match step {
                Step::Fold(rows) => {
                    let rows: Vec<Row> = rows
                        .into_iter()
                        .map(|(ahead, group, taken)| {
                            offset += 1;
                            let (time, watermark) = (*watermark + ahead, *watermark);
                            Row { time, group: vec![group; 3], offset, watermark, taken }
                        })
                        .collect();
                    fold(sessions, &rows);
                    rows.iter().for_each(|row| model.take(row));
                }
                Step::Close(ahead) => {
                    *watermark += ahead;
                    let closed = sessions.close(at(*watermark), mark).expect("it migrates");
                    prop_assert_eq!(closed, model.close(*watermark));
                }
                Step::Announce => {
                    let closed = sessions.close(at(*watermark), mark).expect("it migrates");
                    prop_assert_eq!(closed, model.close(*watermark));
                    let announced = sessions.announce(at(*watermark), mark).expect("it migrates");
                    prop_assert_eq!(announced, model.announce(*watermark));
                }
                Step::Clone => clones.push(both.clone()),
                Step::Restore(back) => {
                    if let Some(place) = clones.len().checked_sub(back + 1) {
                        both = clones[place].clone();
                    }
                }
                Step::PutBack => {
                    while sessions.convert(7, mark).expect("it migrates") {}
                    let content = sessions.content();
                    *sessions = Sessions::new(windows());
                    content.iter().rev().for_each(|session| sessions.put_back(session));
                    prop_assert_eq!(sessions.content(), content);
                }
                Step::ChangeSchema => {
                    while sessions.convert(7, mark).expect("it migrates") {}
                    model.change_schema();
                    sessions.change_schema(schema(model.version));
                }
                Step::Convert(groups) => drop(sessions.convert(groups, mark)),
            }
            same(&both.0, &both.1)?;
        }
        clones.push(both);
        for (mut sessions, model, _) in clones {
            same(&sessions, &model)?;
            prop_assert_eq!(sessions.snapshot(mark).expect("it migrates"), model.all());
        }
    }
}

fn plain(time: i64, group: u32, offset: i64) -> Row {
    Row { time, group: group.to_le_bytes().to_vec(), offset, watermark: 0, taken: Taken::Always }
}

#[test]
fn what_cannot_be_merged_is_not_gone_on_from_by_any_row() {
    let mut sessions = Sessions::new(windows());
    let half = MERGED_BYTES_MAX / 2 + 1;
    let rows: Vec<Row> = (0..2 * half as i64).map(|offset| plain(offset % 2 * 18, 1, offset)).collect();
    fold(&mut sessions, &rows);
    let before = sessions.content();
    assert_eq!(before.len(), 2);
    assert_eq!(fold(&mut sessions, &[plain(9, 1, 100), plain(9, 1, 101)]), 2, "each is refused by itself");
    assert_eq!(sessions.content(), before);
}

#[test]
fn groups_are_refused_by_the_records_alone() {
    let mut sessions = Sessions::new(windows());
    let mut admit = |time, group: &[u8], watermark| {
        sessions.admit(&SessionRow { time: at(time), group, offset: Offset(0), watermark: at(watermark) }, 2)
    };
    assert!(admit(0, b"a", 0) && admit(1, b"b", 0) && !admit(2, b"c", 0) && admit(5, b"a", 9));
    assert!(!admit(12, b"c", 10), "neither has ended");
    assert!(admit(12, b"c", 11) && !admit(13, b"b", 11), "b has");
}

#[test]
fn a_clone_is_cheap_and_so_is_a_change_of_it() {
    let mut sessions = Sessions::new(windows());
    let rows: Vec<Row> = (0..100_000).map(|group| plain(1, group, i64::from(group))).collect();
    assert_eq!(fold(&mut sessions, &rows), 1);
    let begin = Instant::now();
    for round in 0..100_u32 {
        let frozen = sessions.clone();
        fold(&mut sessions, &[plain(2, round * 997, 100_000)]);
        drop(frozen);
    }
    println!("a clone and a change: {:?}", begin.elapsed() / 100);
    assert_eq!((sessions.windows(), sessions.groups()), (100_000, 100_000));
}
