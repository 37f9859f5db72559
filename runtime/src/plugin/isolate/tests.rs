//! Isolation of rows of a guest that is made up: what it costs, and who is given up.

use proptest::prelude::*;

use super::*;

const DEADLINE: Duration = Duration::from_secs(1);
/// What an innocent row takes.
const ROW: Duration = Duration::from_nanos(100);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Row {
    Fine,
    /// It comes back, but late.
    Slow(Duration),
    Traps,
    /// On an instance that was called before: no fault of the row.
    TrapsUsed,
    /// Its answer is no answer: always, or on an instance that was called before.
    Lies,
    LiesUsed,
    /// It never comes back, and is at this place.
    Spins(u64),
}

/// What a batch cost, and who was given up.
#[derive(Default, Debug)]
struct Told {
    time: Duration,
    calls: usize,
    breaks: usize,
    given_up: Vec<u32>,
}

struct Guest {
    pace: Pace,
    /// The next call is the first of an instance.
    fresh: bool,
    /// What an instance does at its first call.
    first: Duration,
}

impl Guest {
    fn new() -> Self {
        Guest { pace: Pace::new(DEADLINE), fresh: true, first: Duration::ZERO }
    }

    /// As a caller does it.
    fn serve(&mut self, rows: &[Row]) -> Told {
        let mut told = Told::default();
        let count = rows.len() as u32;
        let (fresh, first) = (&mut self.fresh, self.first);
        let mut attempt = |piece: Range<u32>, time: Duration| {
            let is_first = std::mem::replace(fresh, false);
            let mut took = if is_first { first } else { Duration::ZERO };
            let mut came = Ok(());
            let mut place = 0;
            for row in piece.clone() {
                match rows[row as usize] {
                    Row::Fine => took += ROW,
                    Row::Slow(slow) => took += slow,
                    Row::Traps => (came, place) = (Err(CallError::Trap("no".into())), 100),
                    Row::TrapsUsed if !is_first => (came, place) = (Err(CallError::Trap("full".into())), 101),
                    Row::TrapsUsed => took += ROW,
                    Row::Lies => came = Err(CallError::Contract("no".into())),
                    Row::LiesUsed if !is_first => came = Err(CallError::Contract("full".into())),
                    Row::LiesUsed => took += ROW,
                    Row::Spins(at) => (took, place) = (Duration::MAX, at),
                }
                if took > time {
                    took = time;
                    came = Err(CallError::Deadline { time, trace: String::new() });
                }
                if came.is_err() {
                    break;
                }
            }
            *fresh = came.is_err();
            told.calls += 1;
            told.breaks += usize::from(came.is_err());
            told.time += took;
            Attempt { came, took, first: is_first, place: Place(place), grown: false }
        };
        if let Some(time) = self.pace.batch(count) {
            let whole = attempt(0..count, time);
            match whole.came {
                Ok(()) => {
                    self.pace.took(count, whole.took, whole.first);
                    self.pace.served(count, 0);
                    return told;
                }
                Err(error) => {
                    self.pace.broke();
                    if let CallError::Deadline { .. } = error {
                        self.pace.suspect();
                    }
                }
            }
        }
        let served = isolate(count, &mut self.pace, attempt, |_, _| None).expect("rows are to blame");
        let order: Vec<u32> = served.iter().flat_map(|(piece, _)| piece.clone()).collect();
        assert_eq!(order, (0..count).collect::<Vec<_>>(), "each row is settled once, in order");
        told.given_up = served.into_iter().filter(|(_, came)| came.is_err()).map(|(piece, _)| piece.start).collect();
        self.pace.served(count, told.given_up.len());
        told
    }
}

fn batch(guilty: &[(usize, Row)]) -> Vec<Row> {
    let mut rows = vec![Row::Fine; 1024];
    guilty.iter().for_each(|(at, row)| rows[*at] = *row);
    rows
}

#[test]
fn a_row_that_traps_breaks_three_calls() {
    let told = Guest::new().serve(&batch(&[(700, Row::Traps)]));
    assert_eq!((told.given_up, told.breaks), (vec![700], 4), "the batch, its run, used and fresh");
    assert!(told.calls < 100, "{}", told.calls);
}

#[test]
fn the_next_ones_that_trap_there_need_no_fresh_instance() {
    let traps: Vec<_> = (0..10).map(|number| (number * 100 + 7, Row::Traps)).collect();
    let mut guest = Guest::new();
    guest.serve(&batch(&traps));
    let told = guest.serve(&batch(&traps));
    assert_eq!(told.given_up.len(), 10);
    assert!(told.breaks <= 21, "the batch, and of each its run and itself: {told:?}");
}

#[test]
fn the_first_row_that_spins_takes_less_than_two_deadlines() {
    for at in [0, 511, 1023] {
        let told = Guest::new().serve(&batch(&[(at, Row::Spins(1))]));
        assert_eq!(told.given_up, [at as u32]);
        assert!(told.time < DEADLINE * 18 / 10, "{:?}", told.time);
    }
    let many: Vec<_> = (0..1024).map(|at| (at, Row::Spins(1))).collect();
    let told = Guest::new().serve(&batch(&many));
    assert!(told.given_up.len() == 1024 && told.time < DEADLINE * 3, "{:?}", told.time);
}

#[test]
fn one_row_in_a_hundred_that_spins_costs_some_milliseconds_a_batch() {
    let spinning: Vec<_> = (0..10).map(|number| (number * 100 + 7, Row::Spins(1 + number as u64 % 3))).collect();
    let mut guest = Guest::new();
    guest.serve(&batch(&spinning));
    let told = guest.serve(&batch(&spinning));
    assert_eq!(told.given_up.len(), 10);
    assert!(told.time < Duration::from_millis(5) && told.breaks == 10, "{told:?}");
    let told = guest.serve(&batch(&spinning[..1]));
    assert!(told.time < Duration::from_millis(2), "{told:?}");
    let told = guest.serve(&batch(&[]));
    assert_eq!((told.calls, told.breaks), (1, 0));
}

#[test]
fn a_slow_row_beside_rows_that_spin_is_served() {
    let mut guest = Guest::new();
    guest.serve(&batch(&[(5, Row::Spins(1)), (6, Row::Spins(1))]));
    let slow = Row::Slow(Duration::from_millis(400));
    assert_eq!(guest.serve(&batch(&[(5, Row::Spins(1)), (900, slow)])).given_up, [5]);
}

#[test]
fn an_instance_that_is_slow_at_its_first_call_harms_no_row() {
    let mut guest = Guest::new();
    guest.first = Duration::from_millis(30);
    for _ in 0..10 {
        let told = guest.serve(&batch(&[(5, Row::Spins(1)), (500, Row::Traps), (501, Row::Traps)]));
        assert_eq!(told.given_up, [5, 500, 501]);
    }
}

#[test]
fn what_is_no_rows_fault_ends_it() {
    let gone = |_, _| Attempt {
        came: Err::<(), _>(CallError::Start("no memory".into())),
        took: Duration::ZERO,
        first: true,
        place: Place(0),
        grown: false,
    };
    let mut pace = Pace::new(DEADLINE);
    assert_eq!(isolate(8, &mut pace, gone, |_, _| None), Err(CallError::Start("no memory".into())));
}

fn row() -> impl Strategy<Value = Row> {
    prop_oneof![
        40 => Just(Row::Fine),
        1 => Just(Row::Traps),
        1 => Just(Row::TrapsUsed),
        1 => Just(Row::Lies),
        1 => Just(Row::LiesUsed),
        1 => (1..3u64).prop_map(Row::Spins),
        1 => (1..600_000u64).prop_map(|micros| Row::Slow(Duration::from_micros(micros))),
    ]
}

proptest! {
    #[test]
    fn only_guilty_rows_are_given_up_however_batches_follow_each_other(
        batches in proptest::collection::vec(proptest::collection::vec(row(), 1..300), 1..8),
        first_micros in 0..50_000u64,
    ) {
        let mut guest = Guest::new();
        guest.first = Duration::from_micros(first_micros);
        for rows in batches {
            // Slow rows together may be longer than a batch may take; alone each is not.
            let guilty = |row: &Row| matches!(row, Row::Traps | Row::Lies | Row::Spins(_));
            let expected: Vec<u32> = (0u32..).zip(&rows).filter(|(_, row)| guilty(row)).map(|(at, _)| at).collect();
            prop_assert_eq!(guest.serve(&rows).given_up, expected);
        }
    }
}
