//! Checks what a guest gives back against the contract of `wit/tidegate.wit`, and makes our columns of it without a copy.
//! Whether a JSON value is valid is judged where it is written into a record.

use super::bindings::exports::tidegate::plugin::{aggregate, filter};
use super::bindings::tidegate::plugin::data;
use crate::record::{
    Accumulated, Column, Field, Kind, Output, Reason, ReasonKind, Rejection, Slices, Values, Verdicts,
};

pub(super) fn verdicts(answer: filter::Verdicts, rows: u32) -> Result<Verdicts, String> {
    let mut keep = answer.keep;
    if keep.len() != rows as usize {
        return Err(format!("`keep` has {} bytes for {rows} rows", keep.len()));
    }
    let rejected = rejections(answer.rejected, rows)?;
    for rejection in &rejected {
        keep[rejection.row as usize] = 0;
    }
    Ok(Verdicts { keep, rejected })
}

/// Of `enrich` and `emit`; `writes` are the fields of its columns.
pub(super) fn output(answer: data::Output, rows: u32, writes: &[Field], rows_max: usize) -> Result<Output, String> {
    let rejected = rejections(answer.rejected, rows)?;
    let count = match &answer.rows {
        None => rows as usize,
        Some(from) => {
            check_rows(from, rows, &rejected)?;
            from.len()
        }
    };
    if count > rows_max {
        return Err(format!("{count} rows come back of {rows}, the limit is {rows_max}"));
    }
    if answer.columns.len() != writes.len() {
        return Err(format!("{} columns come back, it said that it writes {}", answer.columns.len(), writes.len()));
    }
    let mut columns = Vec::with_capacity(writes.len());
    for (column, field) in answer.columns.into_iter().zip(writes) {
        columns.push(checked(column, field.kind, count).map_err(|what| format!("field=`{}`: {what}", field.path))?);
    }
    Ok(Output { rows: answer.rows, columns, rejected })
}

pub(super) fn accumulated(answer: aggregate::Accumulated, groups: usize, rows: u32) -> Result<Accumulated, String> {
    Ok(Accumulated { states: states(answer.states, groups)?, rejected: rejections(answer.rejected, rows)? })
}

pub(super) fn states(answer: data::SlicesResult, count: usize) -> Result<Slices, String> {
    slices(answer, count).map_err(|what| format!("states: {what}"))
}

/// Of `migrate`, where no record could be blamed for a state that is too large.
pub(super) fn migrated(answer: data::SlicesResult, count: usize, bytes_max: usize) -> Result<Slices, String> {
    let states = states(answer, count)?;
    let most = states.iter().map(<[u8]>::len).max().unwrap_or_default();
    if most > bytes_max {
        return Err(format!("a migrated state has {most} bytes, the limit is {bytes_max}"));
    }
    Ok(states)
}

fn check_rows(from: &[u32], rows: u32, rejected: &[Rejection]) -> Result<(), String> {
    if let Some(at) = from.windows(2).position(|pair| pair[0] > pair[1]) {
        return Err(format!("`rows` does not ascend: {} comes before {}", from[at], from[at + 1]));
    }
    match from.last() {
        Some(last) if *last >= rows => return Err(format!("`rows` names row {last} of {rows}")),
        Some(_) | None => {}
    }
    match rejected.iter().find(|rejection| from.binary_search(&rejection.row).is_ok()) {
        Some(rejection) => Err(format!("row {} is both rejected and in `rows`", rejection.row)),
        None => Ok(()),
    }
}

/// In the order of their rows.
fn rejections(answer: Vec<data::Rejection>, rows: u32) -> Result<Vec<Rejection>, String> {
    let mut rejected: Vec<Rejection> = answer
        .into_iter()
        .map(|rejection| {
            let words = super::plain(super::cut(&rejection.reason, Reason::MESSAGE_BYTES_MAX));
            Rejection { row: rejection.row, reason: Reason::new(ReasonKind::Plugin, words) }
        })
        .collect();
    rejected.sort_unstable_by_key(|rejection| rejection.row);
    match rejected.last() {
        Some(last) if last.row >= rows => return Err(format!("row {} of {rows} is rejected", last.row)),
        Some(_) | None => {}
    }
    match rejected.windows(2).find(|pair| pair[0].row == pair[1].row) {
        Some(pair) => Err(format!("row {} is rejected twice", pair[0].row)),
        None => Ok(rejected),
    }
}

fn checked(column: data::ColumnResult, kind: Kind, count: usize) -> Result<Column, String> {
    let present = column.present;
    if !present.is_empty() && present.len() != count {
        return Err(format!("`present` has {} bytes for {count} rows", present.len()));
    }
    let values = match (kind, column.values) {
        (Kind::Presence, data::ValuesResult::Presence) => Values::Presence,
        (Kind::Boolean, data::ValuesResult::Booleans(values)) => {
            if let Some(odd) = values.iter().find(|value| **value > 1) {
                return Err(format!("a boolean is {odd}, neither 0 nor 1"));
            }
            Values::Booleans(counted(values, count)?)
        }
        (Kind::Integer | Kind::Timestamp, data::ValuesResult::Integers(values)) => {
            Values::Integers(counted(values, count)?)
        }
        (Kind::Float, data::ValuesResult::Floats(values)) => Values::Floats(counted(values, count)?),
        (Kind::Json | Kind::Bytes, data::ValuesResult::Slices(values)) => Values::Slices(slices(values, count)?),
        (Kind::Text, data::ValuesResult::Slices(values)) => Values::Slices(text(slices(values, count)?)?),
        (kind, values) => {
            return Err(format!("its values are {}, for a field of kind {}", name(&values), kind.name()));
        }
    };
    Ok(Column { values, present })
}

fn counted<T>(values: Vec<T>, count: usize) -> Result<Vec<T>, String> {
    if values.len() == count { Ok(values) } else { Err(format!("{} values for {count} rows", values.len())) }
}

fn slices(answer: data::SlicesResult, count: usize) -> Result<Slices, String> {
    let data::SlicesResult { offsets, bytes } = answer;
    if offsets.len() != count + 1 {
        return Err(format!("{} offsets for {count} values; one more than values is needed", offsets.len()));
    }
    match (offsets.first(), offsets.last()) {
        (Some(0), Some(end)) if *end as usize == bytes.len() => {}
        (Some(start), Some(end)) => {
            return Err(format!("offsets go from {start} to {end}, and there are {} bytes", bytes.len()));
        }
        (_, None) | (None, _) => {}
    }
    if let Some(at) = offsets.windows(2).position(|pair| pair[0] > pair[1]) {
        return Err(format!("offsets do not ascend: {} comes before {}", offsets[at], offsets[at + 1]));
    }
    Ok(Slices { offsets, bytes })
}

/// One pass over all bytes; then a value is UTF-8 when it begins at a character.
fn text(values: Slices) -> Result<Slices, String> {
    let broken = match simdutf8::basic::from_utf8(&values.bytes) {
        Ok(all) => values.offsets.iter().any(|offset| !all.is_char_boundary(*offset as usize)),
        Err(_) => true,
    };
    if !broken {
        return Ok(values);
    }
    let row = values.iter().position(|value| simdutf8::basic::from_utf8(value).is_err()).unwrap_or_default();
    Err(format!("the text of row {row} is not UTF-8"))
}

fn name(values: &data::ValuesResult) -> &'static str {
    match values {
        data::ValuesResult::Presence => "presence",
        data::ValuesResult::Booleans(_) => "booleans",
        data::ValuesResult::Integers(_) => "integers",
        data::ValuesResult::Floats(_) => "floats",
        data::ValuesResult::Slices(_) => "slices",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slices_of() -> impl Strategy<Value = data::SlicesResult> {
        let any = (proptest::collection::vec(0..9u32, 0..6), proptest::collection::vec(any::<u8>(), 0..8));
        let fit = proptest::collection::vec(".{0,3}", 0..5).prop_map(|texts| {
            let slices: Slices = texts.iter().collect();
            (slices.offsets, slices.bytes)
        });
        prop_oneof![any, fit].prop_map(|(offsets, bytes)| data::SlicesResult { offsets, bytes })
    }

    fn column_of() -> impl Strategy<Value = data::ColumnResult> {
        let values = prop_oneof![
            Just(data::ValuesResult::Presence),
            proptest::collection::vec(0..3u8, 0..5).prop_map(data::ValuesResult::Booleans),
            proptest::collection::vec(any::<i64>(), 0..5).prop_map(data::ValuesResult::Integers),
            proptest::collection::vec(any::<f64>(), 0..5).prop_map(data::ValuesResult::Floats),
            slices_of().prop_map(data::ValuesResult::Slices),
        ];
        let present = prop_oneof![Just(Vec::new()), proptest::collection::vec(0..2u8, 0..5)];
        (values, present).prop_map(|(values, present)| data::ColumnResult { values, present })
    }

    fn rejected_of() -> impl Strategy<Value = Vec<data::Rejection>> {
        let rejection = (0..6u32, ".{0,3}").prop_map(|(row, reason)| data::Rejection { row, reason });
        proptest::collection::vec(rejection, 0..3)
    }

    fn kind_of() -> impl Strategy<Value = Kind> {
        prop_oneof![
            Just(Kind::Boolean),
            Just(Kind::Integer),
            Just(Kind::Float),
            Just(Kind::Text),
            Just(Kind::Timestamp),
            Just(Kind::Json),
            Just(Kind::Bytes)
        ]
    }

    fn check_column(column: &Column, kind: Kind, count: usize) {
        assert!(column.present.is_empty() || column.present.len() == count);
        match &column.values {
            Values::Presence => unreachable!("nothing is written as presence"),
            Values::Booleans(values) => assert!(values.len() == count && values.iter().all(|value| *value <= 1)),
            Values::Integers(values) => assert_eq!(values.len(), count),
            Values::Floats(values) => assert_eq!(values.len(), count),
            Values::Slices(slices) => {
                assert_eq!(slices.len(), count);
                let texts = slices.iter().map(std::str::from_utf8);
                assert!(kind != Kind::Text || texts.into_iter().all(|text| text.is_ok()));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn whatever_a_guest_gives_back_is_refused_or_keeps_the_contract(
            rows in proptest::option::of(proptest::collection::vec(0..5u32, 0..5)),
            columns in proptest::collection::vec(column_of(), 0..3),
            kinds in proptest::collection::vec(kind_of(), 0..3),
            rejected in rejected_of(),
            count in 0..5u32,
        ) {
            let writes: Vec<Field> =
                kinds.iter().map(|kind| Field { path: "a".into(), kind: *kind, required: false }).collect();
            if let Ok(output) = output(data::Output { rows, columns, rejected }, count, &writes, 4) {
                let given = output.rows.as_ref().map_or(count as usize, Vec::len);
                prop_assert!(given <= 4 && output.columns.len() == writes.len());
                let from = output.rows.unwrap_or_default();
                prop_assert!(from.is_sorted() && from.iter().all(|row| *row < count));
                let of: Vec<u32> = output.rejected.iter().map(|rejection| rejection.row).collect();
                prop_assert!(of.is_sorted_by(|one, other| one < other) && of.iter().all(|row| *row < count));
                prop_assert!(of.iter().all(|row| !from.contains(row)));
                output.columns.iter().zip(&kinds).for_each(|(column, kind)| check_column(column, *kind, given));
            }
        }

        #[test]
        fn verdicts_and_states_are_refused_or_as_many_as_asked_for(
            keep in proptest::collection::vec(any::<u8>(), 0..5),
            rejected in rejected_of(),
            answer in slices_of(),
            count in 0..5u32,
        ) {
            if let Ok(verdicts) = verdicts(filter::Verdicts { keep, rejected }, count) {
                prop_assert_eq!(verdicts.keep.len(), count as usize);
                prop_assert!(verdicts.rejected.iter().all(|one| verdicts.keep[one.row as usize] == 0));
            }
            if let Ok(states) = states(answer, count as usize) {
                prop_assert_eq!(states.iter().map(<[u8]>::len).sum::<usize>(), states.bytes.len());
            }
        }
    }
}
