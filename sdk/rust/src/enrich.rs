//! Enrichers: for each row the rows that come of it, one as a rule.

use serde::de::DeserializeOwned;

use crate::Reject;
use crate::bindings::data::{Batch, Column, Output, Rejection};
use crate::cells::Writer;
use crate::configured::{Configured, Slots, parse};
use crate::fields::{Columns, Reads, Writes};

/// What `#[enrich]` implements.
pub trait EnrichGlue: Sized + 'static {
    type Settings: DeserializeOwned;
    type Row<'a>: Reads<'a>;
    /// The plugin, what it reads and what it writes.
    fn configure(settings: Self::Settings) -> Result<(Self, Slots, Slots), String>;
    fn enrich<'a>(&'a self, row: Self::Row<'a>, out: &mut OutputRow<'_, '_>) -> Result<(), Reject>;
}

/// What an enricher's function may give back: a struct to write, an `Option` (none drops the record), a `Vec` (several
/// split it), or a `Result` of one of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written to a record",
    note = "give back a struct with `#[derive(Fields)]` or `Values<'_>`, an `Option` or a `Vec` of one, or a `Result<_, Reject>` of these"
)]
pub trait Outputs {
    type Row;
    fn put(self, out: &mut OutputRow<'_, '_>) -> Result<(), Reject>;
}

impl<T: Writes> Outputs for T {
    type Row = T;

    #[inline]
    fn put(self, out: &mut OutputRow<'_, '_>) -> Result<(), Reject> {
        out.write(self)
    }
}

impl<T: Writes> Outputs for Option<T> {
    type Row = T;

    #[inline]
    fn put(self, out: &mut OutputRow<'_, '_>) -> Result<(), Reject> {
        match self {
            Some(row) => out.write(row),
            None => Ok(()),
        }
    }
}

impl<T: Writes> Outputs for Vec<T> {
    type Row = T;

    fn put(self, out: &mut OutputRow<'_, '_>) -> Result<(), Reject> {
        self.into_iter().try_for_each(|row| out.write(row))
    }
}

impl<T: Outputs, E: Into<Reject>> Outputs for Result<T, E> {
    type Row = T::Row;

    #[inline]
    fn put(self, out: &mut OutputRow<'_, '_>) -> Result<(), Reject> {
        match self {
            Ok(outputs) => outputs.put(out),
            Err(error) => Err(error.into()),
        }
    }
}

/// The outputs of a batch under construction.
pub(crate) struct OutputBuilder<'a> {
    writer: Writer<'a>,
    /// How many outputs there are.
    written: u32,
    /// The row of each output, once it is not output i for row i.
    rows: Option<Vec<u32>>,
    rejected: Vec<Rejection>,
}

/// The outputs of one row.
pub struct OutputRow<'b, 'a> {
    builder: &'b mut OutputBuilder<'a>,
    row: u32,
}

impl OutputRow<'_, '_> {
    #[inline]
    fn write<T: Writes>(&mut self, values: T) -> Result<(), Reject> {
        let builder = &mut *self.builder;
        values.write(&mut builder.writer).map_err(|misfit| builder.writer.explain(misfit))?;
        if builder.rows.is_none() && builder.written != self.row {
            builder.rows = Some((0..builder.written).collect());
        }
        if let Some(rows) = &mut builder.rows {
            rows.push(self.row);
        }
        builder.written += 1;
        Ok(())
    }
}

impl<'a> OutputBuilder<'a> {
    pub(crate) fn new(slots: &'a Slots, rows: u32) -> Self {
        OutputBuilder { writer: Writer::new(slots, rows as usize), written: 0, rows: None, rejected: Vec::new() }
    }

    /// Rows ascend. An error takes back what the row had written.
    #[inline]
    pub(crate) fn row(&mut self, row: u32, put: impl FnOnce(&mut OutputRow<'_, 'a>) -> Result<(), Reject>) {
        let before = self.written;
        if let Err(reject) = put(&mut OutputRow { builder: self, row }) {
            self.written = before;
            self.writer.truncate(before as usize);
            if let Some(rows) = &mut self.rows {
                rows.truncate(before as usize);
            }
            self.rejected.push(Rejection { row, reason: reject.into_reason() });
        }
    }

    /// `rows`: how many there were.
    pub(crate) fn finish(self, rows: u32) -> Output {
        let explicit = match self.rows {
            Some(explicit) => Some(explicit),
            // The last rows were dropped or rejected, and nothing came after them.
            None if self.written != rows => Some((0..self.written).collect()),
            None => None,
        };
        let columns: Vec<Column> = self.writer.finish();
        Output { rows: explicit, columns, rejected: self.rejected }
    }
}

impl<P: EnrichGlue> Configured<P> {
    pub(crate) fn enrich_plugin(settings: &str) -> Result<Self, String> {
        let (plugin, reads, writes) = P::configure(parse(settings)?)?;
        Configured::new(plugin, reads, writes)
    }

    pub(crate) fn enrich(&self, batch: &Batch) -> Output {
        let views = P::Row::views(&Columns { slots: &self.reads, columns: &batch.columns });
        let mut out = OutputBuilder::new(&self.writes, batch.rows);
        for row in 0..batch.rows {
            out.row(row, |out| match P::Row::read(&views, row as usize) {
                Ok(values) => self.plugin.enrich(values, out),
                Err(misfit) => Err(self.reads.explain(misfit)),
            });
        }
        out.finish(batch.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Values;
    use crate::bindings::data::{Field, Kind, Values as ColumnValues};

    /// Runs the closure's outputs for each of `rows` rows: values of a text field, or an error.
    fn build(rows: &[Result<Vec<&str>, &str>]) -> (Option<Vec<u32>>, Vec<u32>, Vec<u32>) {
        let slots = Slots::of(vec![Field::new("a", Kind::Text)]);
        let mut out = OutputBuilder::new(&slots, 4);
        for (row, outputs) in rows.iter().enumerate() {
            out.row(row as u32, |out| {
                let outputs = outputs.clone()?;
                outputs.into_iter().map(|text| Values::from_iter([Some(text.into())])).collect::<Vec<_>>().put(out)
            });
        }
        let output = out.finish(rows.len() as u32);
        let ColumnValues::Slices(slices) = &output.columns[0].values else { panic!("text is slices") };
        let rejected = output.rejected.iter().map(|rejection| rejection.row).collect();
        (output.rows, slices.offsets.clone(), rejected)
    }

    #[test]
    fn every_row_once_needs_no_numbers() {
        assert_eq!(build(&[Ok(vec!["a"]), Ok(vec!["b"])]), (None, vec![0, 1, 2], vec![]));
    }

    #[test]
    fn dropped_split_and_rejected_rows_are_numbered() {
        assert_eq!(build(&[Ok(vec![]), Ok(vec!["b"])]), (Some(vec![1]), vec![0, 1], vec![]));
        assert_eq!(build(&[Ok(vec!["a", "b"]), Ok(vec!["c"])]), (Some(vec![0, 0, 1]), vec![0, 1, 2, 3], vec![]));
        assert_eq!(build(&[Err("no"), Ok(vec!["b"])]), (Some(vec![1]), vec![0, 1], vec![0]));
        assert_eq!(build(&[Ok(vec!["a"]), Ok(vec![])]), (Some(vec![0]), vec![0, 1], vec![]));
        assert_eq!(build(&[Ok(vec!["a"]), Err("no")]), (Some(vec![0]), vec![0, 1], vec![1]));
        assert_eq!(build(&[Ok(vec!["a", "b"]), Ok(vec![])]), (Some(vec![0, 0]), vec![0, 1, 2], vec![]));
    }
}
