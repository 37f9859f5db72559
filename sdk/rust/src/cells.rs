//! The columns that a plugin gives back, filled row by row.

use crate::bindings::data::{Column, Field, Kind, Slices, Values};
use crate::configured::Slots;
use crate::field_type::{FieldType, Misfit};

/// One column under construction.
#[derive(Debug)]
pub struct Cells {
    values: Values,
    /// Empty while all are present.
    present: Vec<u8>,
}

impl Cells {
    pub(crate) fn new(field: &Field, rows: usize) -> Self {
        let values = match field.kind {
            Kind::Presence => Values::Presence,
            Kind::Boolean => Values::Booleans(Vec::with_capacity(rows)),
            Kind::Integer | Kind::Timestamp => Values::Integers(Vec::with_capacity(rows)),
            Kind::Float => Values::Floats(Vec::with_capacity(rows)),
            Kind::Text | Kind::Json | Kind::Bytes => {
                let mut offsets = Vec::with_capacity(rows + 1);
                offsets.push(0);
                Values::Slices(Slices { offsets, bytes: Vec::new() })
            }
        };
        Cells { values, present: Vec::new() }
    }

    fn len(&self) -> usize {
        match &self.values {
            Values::Presence => self.present.len(),
            Values::Booleans(values) => values.len(),
            Values::Integers(values) => values.len(),
            Values::Floats(values) => values.len(),
            Values::Slices(slices) => slices.offsets.len() - 1,
        }
    }

    #[inline]
    fn mark_present(&mut self) {
        if !self.present.is_empty() {
            self.present.push(1);
        }
    }

    pub(crate) fn absent(&mut self) {
        let before = self.len();
        if self.present.is_empty() {
            self.present = vec![1; before];
        }
        self.present.push(0);
        match &mut self.values {
            Values::Presence => {}
            Values::Booleans(values) => values.push(0),
            Values::Integers(values) => values.push(0),
            Values::Floats(values) => values.push(0.0),
            Values::Slices(slices) => slices.offsets.push(end(&slices.bytes)),
        }
    }

    #[inline]
    pub(crate) fn boolean(&mut self, value: bool) {
        self.mark_present();
        match &mut self.values {
            Values::Booleans(values) => values.push(u8::from(value)),
            Values::Presence | Values::Integers(_) | Values::Floats(_) | Values::Slices(_) => misplaced("a boolean"),
        }
    }

    #[inline]
    pub(crate) fn integer(&mut self, value: i64) {
        self.mark_present();
        match &mut self.values {
            Values::Integers(values) => values.push(value),
            Values::Presence | Values::Booleans(_) | Values::Floats(_) | Values::Slices(_) => misplaced("an integer"),
        }
    }

    #[inline]
    pub(crate) fn float(&mut self, value: f64) {
        self.mark_present();
        match &mut self.values {
            Values::Floats(values) => values.push(value),
            Values::Presence | Values::Booleans(_) | Values::Integers(_) | Values::Slices(_) => misplaced("a float"),
        }
    }

    #[inline]
    pub(crate) fn slice(&mut self, value: &[u8]) {
        self.mark_present();
        match &mut self.values {
            Values::Slices(slices) => {
                slices.bytes.extend_from_slice(value);
                slices.offsets.push(end(&slices.bytes));
            }
            Values::Presence | Values::Booleans(_) | Values::Integers(_) | Values::Floats(_) => misplaced("text"),
        }
    }

    fn truncate(&mut self, rows: usize) {
        if self.len() <= rows {
            return;
        }
        self.present.truncate(rows);
        match &mut self.values {
            Values::Presence => {}
            Values::Booleans(values) => values.truncate(rows),
            Values::Integers(values) => values.truncate(rows),
            Values::Floats(values) => values.truncate(rows),
            Values::Slices(slices) => {
                slices.offsets.truncate(rows + 1);
                slices.bytes.truncate(slices.offsets[rows] as usize);
            }
        }
    }

    fn finish(self) -> Column {
        Column { values: self.values, present: self.present }
    }
}

fn end(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a batch's output is bounded far below 4 GiB")
}

/// `#[derive(Fields)]` and `Values` check the kind before they come here.
#[cold]
fn misplaced(what: &str) -> ! {
    panic!("{what} was written into a field of another kind")
}

/// All columns that a plugin writes.
#[derive(Debug)]
pub struct Writer<'a> {
    slots: &'a Slots,
    cells: Vec<Cells>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(slots: &'a Slots, rows: usize) -> Self {
        Writer { slots, cells: slots.fields().iter().map(|field| Cells::new(field, rows)).collect() }
    }

    /// Puts the value of the struct's field `slot`; nothing where the settings switch that field off.
    #[inline]
    pub fn put<'v, T: FieldType<'v>>(&mut self, slot: usize, value: T) -> Result<(), Misfit> {
        match self.slots.column(slot) {
            Some(column) => value.put(&mut self.cells[column]).map_err(|misfit| misfit.at(slot)),
            None => Ok(()),
        }
    }

    pub(crate) fn fields(&self) -> &'a [Field] {
        self.slots.fields()
    }

    pub(crate) fn cells(&mut self, column: usize) -> &mut Cells {
        &mut self.cells[column]
    }

    /// Takes back what was written after the first `rows` rows.
    pub(crate) fn truncate(&mut self, rows: usize) {
        for cells in &mut self.cells {
            cells.truncate(rows);
        }
    }

    pub(crate) fn finish(self) -> Vec<Column> {
        self.cells.into_iter().map(Cells::finish).collect()
    }

    /// Says of a value that does not fit which field it is.
    #[cold]
    pub(crate) fn explain(&self, misfit: Misfit) -> crate::Reject {
        self.slots.explain(misfit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absence_is_marked_from_the_first_absent_value_on() {
        let mut cells = Cells::new(&Field::new("a", Kind::Text), 3);
        cells.slice(b"one");
        assert!(cells.present.is_empty());
        cells.absent();
        cells.slice(b"three");
        let column = cells.finish();
        assert_eq!(column.present, [1, 0, 1]);
        assert_eq!(column.values, Values::Slices(Slices { offsets: vec![0, 3, 3, 8], bytes: b"onethree".to_vec() }));
    }

    #[test]
    fn what_is_taken_back_leaves_no_trace() {
        let mut cells = Cells::new(&Field::new("a", Kind::Text), 3);
        cells.slice(b"one");
        cells.absent();
        cells.slice(b"three");
        cells.truncate(1);
        cells.slice(b"two");
        let column = cells.finish();
        assert_eq!(column.present, [1, 1]);
        assert_eq!(column.values, Values::Slices(Slices { offsets: vec![0, 3, 6], bytes: b"onetwo".to_vec() }));
    }
}
