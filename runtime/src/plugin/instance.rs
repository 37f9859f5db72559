//! Filters and enrichers: a call, its bounds, a fresh instance after one that broke, and the rows that broke it found out.

use std::time::Duration;

use super::bindings::exports::tidegate::plugin::{enrich, filter};
use super::isolate::isolate;
use super::live::{Interface, Live};
use super::{CallError, Enrich, Filter, Plugin, PluginError, contract, crossing, split};
use crate::config::OnTrap;
use crate::record::{Batch, Column, Output, Rejection, Values, Verdicts};

/// How many records the breaker looks at before it judges.
const BREAKER_ROWS: u64 = 1000;

/// Calls the functions `G` of an instance of its plugin, and replaces the instance when a call broke.
pub(super) struct Caller<G> {
    plugin: Plugin,
    /// None after a call that broke.
    live: Option<(Live, G)>,
    /// Since the breaker judged last: rows that were served or given up, and those that were given up.
    rows: u64,
    broken: u64,
}

impl<G: Interface> Caller<G> {
    pub fn new(plugin: Plugin) -> Result<Self, PluginError> {
        let live = Some(start(&plugin)?);
        Ok(Caller { plugin, live, rows: 0, broken: 0 })
    }

    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// What a batch has of time.
    pub fn deadline(&self) -> Duration {
        self.plugin.limits().deadline
    }

    /// Runs `call`, which has so much time, then `check` on its answer, whose error is what the guest broke of its contract.
    pub fn call<A, T>(
        &mut self,
        deadline: Duration,
        call: impl FnOnce(&mut Live, &G) -> Result<A, CallError>,
        check: impl FnOnce(A) -> Result<T, String>,
    ) -> Result<T, CallError> {
        let (mut live, guest) = match self.live.take() {
            Some(live) => live,
            None => {
                start(&self.plugin).map_err(|error| CallError::Trap(format!("it cannot be started again: {error}")))?
            }
        };
        live.give(deadline);
        let answer = call(&mut live, &guest)?;
        let checked = check(answer).map_err(CallError::Contract)?;
        self.live = Some((live, guest));
        Ok(checked)
    }

    /// Whether a call that broke is the end of it, or its rows are served one by one.
    pub fn contain(&self, error: CallError) -> Result<CallError, CallError> {
        match self.plugin.on_trap() {
            OnTrap::DeadLetter | OnTrap::Pass => Ok(error),
            OnTrap::Stop => Err(error),
        }
    }

    /// The breaker: an error where the plugin breaks on more than half of the records, as of which `last` is one. Rows are
    /// counted when they are settled, so that none is given up after it.
    pub fn judge(&mut self, rows: u32, broken: usize, last: &CallError) -> Result<(), CallError> {
        self.rows += u64::from(rows);
        self.broken += broken as u64;
        if self.rows < BREAKER_ROWS {
            return Ok(());
        }
        let (rows, broken) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.broken));
        if broken * 2 > rows {
            return Err(CallError::Failing { broken, rows, last: last.to_string() });
        }
        Ok(())
    }

    /// Counts rows that were served whole.
    pub fn served(&mut self, rows: u32) {
        self.rows += u64::from(rows);
        if self.rows >= BREAKER_ROWS {
            (self.rows, self.broken) = (0, 0);
        }
    }
}

fn start<G: Interface>(plugin: &Plugin) -> Result<(Live, G), PluginError> {
    let mut live = plugin.start()?;
    let guest = live.find().map_err(|why| plugin.component().refused(why))?;
    Ok((live, guest))
}

pub(super) struct FilterInstance(Caller<filter::Guest>);

impl FilterInstance {
    pub fn new(plugin: Plugin) -> Result<Self, PluginError> {
        Caller::new(plugin).map(FilterInstance)
    }

    fn call(&mut self, batch: &Batch, deadline: Duration) -> Result<Verdicts, CallError> {
        let columns = crossing::columns(batch);
        self.0.call(
            deadline,
            |live, guest| live.call(|store| guest.call_filter(store, crossing::batch(batch, &columns))),
            |answer| contract::verdicts(answer, batch.rows),
        )
    }
}

impl Filter for FilterInstance {
    fn filter(&mut self, batch: &Batch) -> Result<Verdicts, CallError> {
        let error = match self.call(batch, self.0.deadline()) {
            Ok(verdicts) => {
                self.0.served(batch.rows);
                return Ok(verdicts);
            }
            Err(error) => self.0.contain(error)?,
        };
        let passes = self.0.plugin().on_trap() == OnTrap::Pass;
        let limits = self.0.plugin().limits().clone();
        let (mut whole, mut broken) = (Verdicts::default(), 0);
        isolate(
            batch.rows,
            &limits,
            |rows, deadline| self.call(&split::rows(batch, rows), deadline),
            |rows, came| match came {
                Ok(verdicts) => {
                    whole.keep.extend(verdicts.keep);
                    whole.rejected.extend(split::shifted(verdicts.rejected, rows.start));
                }
                Err(reason) => {
                    broken += 1;
                    whole.keep.push(u8::from(passes));
                    if !passes {
                        whole.rejected.push(Rejection { row: rows.start, reason });
                    }
                }
            },
        );
        self.0.judge(batch.rows, broken, &error)?;
        Ok(whole)
    }
}

pub(super) struct EnrichInstance(Caller<enrich::Guest>);

impl EnrichInstance {
    pub fn new(plugin: Plugin) -> Result<Self, PluginError> {
        Caller::new(plugin).map(EnrichInstance)
    }

    fn call(&mut self, batch: &Batch, deadline: Duration) -> Result<Output, CallError> {
        let columns = crossing::columns(batch);
        let plugin = self.0.plugin().clone();
        self.0.call(
            deadline,
            |live, guest| live.call(|store| guest.call_enrich(store, crossing::batch(batch, &columns))),
            |answer| contract::output(answer, batch.rows, &plugin.ports().writes, plugin.limits().output_rows_max),
        )
    }
}

impl Enrich for EnrichInstance {
    fn enrich(&mut self, batch: &Batch) -> Result<Output, CallError> {
        let error = match self.call(batch, self.0.deadline()) {
            Ok(output) => {
                self.0.served(batch.rows);
                return Ok(output);
            }
            Err(error) => self.0.contain(error)?,
        };
        let limits = self.0.plugin().limits().clone();
        let (mut whole, mut broken) = (nothing(self.0.plugin()), 0);
        isolate(
            batch.rows,
            &limits,
            |rows, deadline| self.call(&split::rows(batch, rows), deadline),
            |rows, came| match came {
                Ok(output) => split::extend(&mut whole, output, rows.start, rows.end - rows.start),
                Err(reason) => {
                    broken += 1;
                    whole.rejected.push(Rejection { row: rows.start, reason });
                }
            },
        );
        self.0.judge(batch.rows, broken, &error)?;
        Ok(whole)
    }
}

/// An output of no rows.
pub(super) fn nothing(plugin: &Plugin) -> Output {
    let empty = |kind| Column { values: Values::empty(kind), present: Vec::new() };
    let columns = plugin.ports().writes.iter().map(|field| empty(field.kind)).collect();
    Output { rows: Some(Vec::new()), columns, rejected: Vec::new() }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::super::tests::{self as guests, Guest, field};
    use super::super::{Component, Engine};
    use super::*;
    use crate::record::{Column, Field, Kind, Reason, ReasonKind, Rejection, Slices, Values};

    const DEADLINE: Duration = Duration::from_secs(1);

    fn filter_of(engine: &Engine, component: &[u8]) -> FilterInstance {
        let component = Component::from_bytes(engine, "test", component).expect("loads");
        FilterInstance::new(component.configure("{}").expect("configures")).expect("starts")
    }

    fn filter(engine: &Engine, guest: &Guest) -> FilterInstance {
        filter_of(engine, &guest.build("filter-plugin"))
    }

    fn enrich(engine: &Engine, guest: &Guest) -> EnrichInstance {
        let component = Component::from_bytes(engine, "test", &guest.build("enrich-plugin")).expect("loads");
        EnrichInstance::new(component.configure("{}").expect("configures")).expect("starts")
    }

    fn rejection(row: u32, reason: &str) -> Rejection {
        Rejection { row, reason: Reason::new(ReasonKind::Plugin, reason) }
    }

    /// Three rows, without a column.
    fn batch() -> Batch {
        Batch { rows: 3, columns: Vec::new() }
    }

    #[test]
    fn a_filter_gives_a_verdict_for_each_row() {
        let answer =
            Verdicts { keep: vec![1, 0, 1], rejected: vec![rejection(2, "odd"), rejection(0, &"ä".repeat(600))] };
        let mut filter = filter(guests::engine(), &Guest::new(&[], &[]).filter("", &answer));
        for _ in 0..3 {
            let verdicts = filter.filter(&batch()).expect("answers");
            assert_eq!(verdicts.keep, [0, 0, 0], "a rejected row is not kept");
            assert_eq!(verdicts.rejected, [rejection(0, &"ä".repeat(512)), rejection(2, "odd")], "sorted and cut");
        }
    }

    /// Sums up the columns that it gets, and traps unless they are what the test sends.
    #[test]
    fn columns_of_each_kind_arrive() {
        let sees = |column: u32, offset: u32, load: &str, expected: &str| {
            let (kind, _) = expected.split_once('.').expect("a typed constant");
            format!(
                "(if ({kind}.ne ({load} (i32.load (i32.add (local.get 1) (i32.const {})))) ({expected}))
                    (then unreachable))",
                column * 28 + offset
            )
        };
        let body = [
            sees(0, 20, "i32.load16_u", "i32.const 1"),
            sees(1, 4, "i32.load16_u", "i32.const 256"),
            sees(2, 4, "i64.load offset=8", "i64.const -7"),
            sees(3, 4, "f64.load", "f64.const 2.5"),
            sees(4, 4, "i32.load offset=8", "i32.const 3"),
            sees(4, 12, "i32.load8_u offset=2", "i32.const 99"),
        ];
        let reads =
            [Kind::Presence, Kind::Boolean, Kind::Integer, Kind::Float, Kind::Text].map(|kind| field("a", kind));
        let answer = Verdicts { keep: vec![1, 1], rejected: Vec::new() };
        let mut filter = filter(guests::engine(), &Guest::new(&reads, &[]).filter(&body.concat(), &answer));
        let columns = [
            Column { values: Values::Presence, present: vec![1, 0] },
            Column { values: Values::Booleans(vec![0, 1]), present: Vec::new() },
            Column { values: Values::Integers(vec![1, -7]), present: Vec::new() },
            Column { values: Values::Floats(vec![2.5, 0.0]), present: Vec::new() },
            Column { values: Values::Slices(["", "abc"].iter().collect()), present: Vec::new() },
        ];
        assert_eq!(filter.filter(&Batch { rows: 2, columns: columns.into() }), Ok(answer));
    }

    fn broken(error: CallError) -> String {
        match error {
            CallError::Contract(what) => what,
            CallError::Trap(_) | CallError::Deadline { .. } | CallError::Failing { .. } => panic!("{error}"),
        }
    }

    fn check_filter(answer: &Verdicts, expected: Expect) {
        let mut filter = filter(guests::engine(), &Guest::new(&[], &[]).filter("", answer));
        expected.assert_eq(&broken(filter.call(&batch(), DEADLINE).expect_err("refused")));
    }

    #[test]
    fn verdicts_must_fit_the_batch() {
        let keep = || vec![1, 1, 1];
        check_filter(&Verdicts { keep: vec![1, 1], rejected: vec![] }, expect!["`keep` has 2 bytes for 3 rows"]);
        check_filter(&Verdicts { keep: keep(), rejected: vec![rejection(3, "")] }, expect!["row 3 of 3 is rejected"]);
        check_filter(
            &Verdicts { keep: keep(), rejected: vec![rejection(1, ""), rejection(1, "")] },
            expect!["row 1 is rejected twice"],
        );
    }

    fn check_enrich(writes: &[Field], output: &Output, expected: Expect) {
        let guest = Guest::new(&[], writes).enrich(output);
        match enrich(guests::narrow_engine(), &guest).call(&batch(), DEADLINE) {
            Ok(answer) => {
                assert_eq!(&answer, output);
                expected.assert_eq("ok");
            }
            Err(error) => expected.assert_eq(&broken(error)),
        }
    }

    fn column(values: Values) -> Output {
        Output { rows: None, columns: vec![Column { values, present: Vec::new() }], rejected: Vec::new() }
    }

    fn rows(rows: &[u32]) -> Output {
        Output { rows: Some(rows.to_vec()), ..Output::default() }
    }

    #[test]
    fn rows_that_come_back_ascend_within_the_batch() {
        check_enrich(&[], &rows(&[]), expect!["ok"]);
        check_enrich(&[], &rows(&[0, 0, 2]), expect!["ok"]);
        check_enrich(&[], &rows(&[1, 0]), expect!["`rows` does not ascend: 1 comes before 0"]);
        check_enrich(&[], &rows(&[0, 3]), expect!["`rows` names row 3 of 3"]);
        check_enrich(&[], &rows(&[1; 17]), expect!["17 rows come back of 3, the limit is 16"]);
        check_enrich(
            &[],
            &Output { rejected: vec![rejection(1, "no")], ..rows(&[0, 1]) },
            expect!["row 1 is both rejected and in `rows`"],
        );
        check_enrich(&[], &Output { rejected: vec![rejection(1, "no")], ..rows(&[0, 2]) }, expect!["ok"]);
    }

    #[test]
    fn columns_that_come_back_are_those_that_were_declared() {
        let integer = [field("n", Kind::Integer)];
        let boolean = [field("b", Kind::Boolean)];
        check_enrich(&integer, &column(Values::Integers(vec![1, 2, 3])), expect!["ok"]);
        check_enrich(&[field("t", Kind::Timestamp)], &column(Values::Integers(vec![1, 2, 3])), expect!["ok"]);
        check_enrich(&[field("f", Kind::Float)], &column(Values::Floats(vec![1.0, 2.0, 3.0])), expect!["ok"]);
        check_enrich(&boolean, &column(Values::Booleans(vec![0, 1, 1])), expect!["ok"]);
        check_enrich(&integer, &Output::default(), expect!["0 columns come back, it said that it writes 1"]);
        check_enrich(&integer, &column(Values::Integers(vec![1, 2])), expect!["field=`n`: 2 values for 3 rows"]);
        check_enrich(
            &integer,
            &column(Values::Floats(vec![1.0, 2.0, 3.0])),
            expect!["field=`n`: its values are floats, for a field of kind integer"],
        );
        check_enrich(
            &boolean,
            &column(Values::Booleans(vec![0, 2, 1])),
            expect!["field=`b`: a boolean is 2, neither 0 nor 1"],
        );
        let mut absent = column(Values::Integers(vec![1, 2, 3]));
        absent.columns[0].present = vec![1];
        check_enrich(&integer, &absent, expect!["field=`n`: `present` has 1 bytes for 3 rows"]);
    }

    #[test]
    fn slices_that_come_back_are_whole_and_text_is_utf8() {
        let text = [field("s", Kind::Text)];
        let slices = |offsets: &[u32], bytes: &[u8]| {
            column(Values::Slices(Slices { offsets: offsets.to_vec(), bytes: bytes.to_vec() }))
        };
        check_enrich(&text, &slices(&[0, 1, 1, 3], "aä".as_bytes()), expect!["ok"]);
        check_enrich(&[field("x", Kind::Bytes)], &slices(&[0, 1, 2, 3], "aä".as_bytes()), expect!["ok"]);
        check_enrich(
            &text,
            &slices(&[0, 1, 2, 3], "aä".as_bytes()),
            expect!["field=`s`: the text of row 1 is not UTF-8"],
        );
        check_enrich(&text, &slices(&[0, 1, 2, 3], b"a\xffb"), expect!["field=`s`: the text of row 1 is not UTF-8"]);
        check_enrich(
            &text,
            &slices(&[0, 1, 2], b"ab"),
            expect!["field=`s`: 3 offsets for 3 values; one more than values is needed"],
        );
        check_enrich(
            &text,
            &slices(&[], b""),
            expect!["field=`s`: 0 offsets for 3 values; one more than values is needed"],
        );
        check_enrich(
            &text,
            &slices(&[1, 1, 2, 3], b"abc"),
            expect!["field=`s`: offsets go from 1 to 3, and there are 3 bytes"],
        );
        check_enrich(
            &text,
            &slices(&[0, 1, 2, 9], b"abc"),
            expect!["field=`s`: offsets go from 0 to 9, and there are 3 bytes"],
        );
        check_enrich(
            &text,
            &slices(&[0, 2, 1, 3], b"abc"),
            expect!["field=`s`: offsets do not ascend: 2 comes before 1"],
        );
    }

    /// A filter that breaks on batches of one row, and answers others.
    fn check_break(with_log: bool, body: &str, expected: Expect) {
        let answer = Verdicts { keep: vec![1, 1, 1], rejected: Vec::new() };
        let mut guest = Guest::new(&[], &[]);
        let words = guest.bytes("index out of range".as_bytes());
        let body = body.replace("WORDS", &format!("(i32.const {}) (i32.const {})", words.0, words.1));
        let guest = guest.filter(&format!("(if (i32.eq (local.get $rows) (i32.const 1)) (then {body}))"), &answer);
        let log = r#"(import "tidegate:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#;
        let text = guest.text(if with_log { log } else { "" });
        let text = text.replacen("(data", "(func $deep (call $deep) (call $deep)) (data", 1);
        let guest = guests::module(&text, None, "filter-plugin");
        let mut filter = filter_of(guests::narrow_engine(), &guest);
        let breaks = Batch { rows: 1, columns: Vec::new() };
        let error = filter.call(&breaks, filter.0.deadline()).expect_err("breaks");
        expected.assert_eq(&error.to_string());
        assert_eq!(filter.filter(&batch()).as_ref(), Ok(&answer), "a fresh instance serves the next call");
        let rejected = vec![Rejection { row: 0, reason: error.reason() }];
        let alone = Verdicts { keep: vec![0], rejected };
        assert_eq!(filter.filter(&breaks).as_ref(), Ok(&alone), "a row that breaks alone is rejected");
        assert_eq!(filter.filter(&batch()).as_ref(), Ok(&answer));
    }

    /// A filter that answers with the column of booleans that it gets, and traps on 7, spins on 8.
    fn moody() -> Guest {
        let column = |offset: u32| format!("(i32.load offset={offset} (local.get 1))");
        let body = format!(
            "(local $at i32)
             (loop $next
                (if (i32.eq (i32.load8_u (i32.add {values} (local.get $at))) (i32.const 7)) (then unreachable))
                (if (i32.eq (i32.load8_u (i32.add {values} (local.get $at))) (i32.const 8)) (then (loop (br 0))))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $at) (local.get $rows))))
             (i32.store (i32.const 0) {values}) (i32.store (i32.const 4) (local.get $rows))
             (i64.store (i32.const 8) (i64.const 0)) (return (i32.const 0))",
            values = column(4)
        );
        Guest::new(&[field("mood", Kind::Boolean)], &[]).filter(&body, &Verdicts::default())
    }

    fn moods(moods: &[u8]) -> Batch {
        let column = Column { values: Values::Booleans(moods.to_vec()), present: Vec::new() };
        Batch { rows: moods.len() as u32, columns: vec![column] }
    }

    #[test]
    fn only_the_rows_that_break_a_call_are_rejected() {
        let mut filter = filter(guests::narrow_engine(), &moody());
        let mut batch: Vec<u8> = (0..300u32).map(|row| u8::from(row % 3 != 0)).collect();
        for (row, mood) in [(0, 7), (1, 7), (140, 8), (299, 7)] {
            batch[row] = mood;
        }
        let verdicts = filter.filter(&moods(&batch)).expect("goes on");
        let expected: Vec<u8> = batch.iter().map(|mood| u8::from(*mood == 1)).collect();
        assert_eq!(verdicts.keep, expected);
        let rejected: Vec<_> = verdicts.rejected.iter().map(|one| (one.row, one.reason.kind)).collect();
        let (trap, deadline) = (ReasonKind::Trap, ReasonKind::Deadline);
        assert_eq!(rejected, [(0, trap), (1, trap), (140, deadline), (299, trap)]);
        expect!["the plugin trapped: wasm `unreachable` instruction executed"]
            .assert_eq(&verdicts.rejected[3].reason.message);
        assert_eq!(filter.filter(&moods(&[1, 0])).map(|verdicts| verdicts.keep), Ok(vec![1, 0]));
    }

    #[test]
    fn a_row_that_breaks_a_call_passes_or_stops_where_that_is_wished() {
        let with = |on_trap| {
            let component = Component::from_bytes(guests::engine(), "test", &moody().build("filter-plugin"));
            let plugin = component.and_then(|it| it.configure("{}")).and_then(|it| it.with_on_trap(on_trap));
            FilterInstance::new(plugin.expect("a filter")).expect("starts").filter(&moods(&[1, 7, 0]))
        };
        assert_eq!(with(OnTrap::Pass), Ok(Verdicts { keep: vec![1, 1, 0], rejected: vec![] }));
        assert!(matches!(with(OnTrap::Stop), Err(CallError::Trap(_))));
        let component = Component::from_bytes(guests::engine(), "test", &echo().build("enrich-plugin"));
        let refused = component.and_then(|it| it.configure("{}")).and_then(|it| it.with_on_trap(OnTrap::Pass));
        expect!["on_trap=`pass` is for filters, and the plugin `test` is of the kind enrich: its answer cannot be done without; write `dead-letter` or `stop`"]
            .assert_eq(&refused.expect_err("no filter").to_string());
    }

    /// An enricher that writes the booleans that it gets, and traps on 7.
    fn echo() -> Guest {
        let values = "(i32.load offset=4 (local.get 1))";
        let body = format!(
            "(local $at i32)
             (loop $next
                (if (i32.eq (i32.load8_u (i32.add {values} (local.get $at))) (i32.const 7)) (then unreachable))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $at) (local.get 0))))
             (memory.fill (i32.const 0) (i32.const 0) (i32.const 128))
             (i32.store (i32.const 12) (i32.const 64)) (i32.store (i32.const 16) (i32.const 1))
             (i32.store (i32.const 64) (i32.const 1)) (i32.store (i32.const 68) {values})
             (i32.store (i32.const 72) (local.get 0)) (i32.const 0)"
        );
        let mood = [field("mood", Kind::Boolean)];
        let mut guest = Guest::new(&mood, &mood);
        guest.function("enrich", "enrich", "(param i32 i32 i32) (result i32)", &body);
        guest
    }

    #[test]
    fn an_enricher_writes_the_rows_that_do_not_break_it() {
        let mut enrich = enrich(guests::engine(), &echo());
        let output = enrich.enrich(&moods(&[7, 1, 0, 7, 1])).expect("goes on");
        assert_eq!(output.rows, Some(vec![1, 2, 4]));
        assert_eq!(output.columns[0].values, Values::Booleans(vec![1, 0, 1]));
        assert_eq!(output.rejected.iter().map(|one| one.row).collect::<Vec<_>>(), [0, 3]);
        let output = enrich.enrich(&moods(&[7])).expect("goes on");
        assert_eq!((output.rows, output.columns[0].values.clone()), (Some(vec![]), Values::Booleans(vec![])));
        assert_eq!(enrich.enrich(&moods(&[1, 0])).expect("serves").rows, None);
    }

    #[test]
    fn a_plugin_that_breaks_on_most_records_is_an_error() {
        let mut filter = filter(guests::engine(), &moody());
        let mostly: Vec<u8> = (0..400).map(|row| if row % 5 < 3 { 7 } else { 1 }).collect();
        for _ in 0..2 {
            assert!(filter.filter(&moods(&mostly)).is_ok(), "too few to judge");
        }
        expect!["the plugin breaks on 720 of 1200 records, the last time so: the plugin trapped: wasm `unreachable` instruction executed"]
            .assert_eq(&filter.filter(&moods(&mostly)).expect_err("too many").to_string());
        let seldom: Vec<u8> = (0..1200).map(|row| if row % 5 < 2 { 7 } else { 1 }).collect();
        assert!(filter.filter(&moods(&seldom)).is_ok());
    }

    #[test]
    fn a_trap_is_the_calls_own_and_carries_the_last_words() {
        check_break(false, "unreachable", expect!["the plugin trapped: wasm `unreachable` instruction executed"]);
        check_break(
            true,
            "(call $log (i32.const 3) WORDS) unreachable",
            expect!["the plugin trapped: wasm `unreachable` instruction executed; its last words: index out of range"],
        );
        check_break(
            true,
            "(call $log (i32.const 2) WORDS) unreachable",
            expect!["the plugin trapped: wasm `unreachable` instruction executed"],
        );
        check_break(
            false,
            "(drop (i32.load (i32.const -1)))",
            expect!["the plugin trapped: out of bounds memory access"],
        );
    }

    #[test]
    fn limits_end_a_call_and_nothing_else() {
        check_break(false, "(call $deep)", expect!["the plugin trapped: call stack exhausted"]);
        check_break(false, "(loop (br 0))", expect!["the plugin took longer than its deadline of 20 ms"]);
        check_break(
            false,
            "(drop (memory.grow (i32.const 64)))",
            expect!["the plugin trapped: it asked for 6291456 bytes of memory, its limit is 4194304"],
        );
        check_break(
            true,
            "(call $log (i32.const 3) (i32.const 0) (i32.const 0x180000))",
            expect![
                "the plugin broke the contract of its interface: it hands over more bytes in one call than its output limit"
            ],
        );
        check_break(
            false,
            "(i32.store (i32.const 0) (i32.const 0)) (i32.store (i32.const 4) (i32.const 0x180000))
             (i64.store (i32.const 8) (i64.const 0)) (return (i32.const 0))",
            expect![
                "the plugin broke the contract of its interface: it hands over more bytes in one call than its output limit"
            ],
        );
        check_break(false, "(return (i32.const -4))", expect!["the plugin trapped: pointer out of bounds of memory"]);
    }
}
