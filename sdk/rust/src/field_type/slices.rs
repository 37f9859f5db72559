//! The field types whose values vary in length: texts, JSON, bytes. The borrowed ones point into the batch's own bytes.

use super::{FieldType, Misfit, on, wrong};
use crate::bindings::data::{Column, Values as ColumnValues};
use crate::cells::Cells;
use crate::{Json, Kind};

fn slices(column: Option<&Column>) -> (&[u32], &[u8]) {
    let column = on(column);
    match &column.values {
        ColumnValues::Slices(slices) => (&slices.offsets, &slices.bytes),
        ColumnValues::Presence | ColumnValues::Booleans(_) | ColumnValues::Integers(_) | ColumnValues::Floats(_) => {
            wrong(column)
        }
    }
}

/// The texts of a column: checked to be UTF-8 once for the batch.
pub struct TextView<'a> {
    offsets: &'a [u32],
    text: &'a str,
}

impl<'a> TextView<'a> {
    fn new(column: Option<&'a Column>) -> Self {
        let (offsets, bytes) = slices(column);
        TextView { offsets, text: std::str::from_utf8(bytes).expect("the runtime sends text that is UTF-8") }
    }

    #[inline]
    fn get(&self, row: usize) -> &'a str {
        &self.text[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }
}

impl<'a> FieldType<'a> for &'a str {
    const KINDS: &'static [Kind] = &[Kind::Text, Kind::Json];
    type View = TextView<'a>;

    fn view(column: Option<&'a Column>) -> TextView<'a> {
        TextView::new(column)
    }

    #[inline]
    fn get(view: &TextView<'a>, row: usize) -> Result<Self, Misfit> {
        Ok(view.get(row))
    }

    #[inline]
    fn put(self, cells: &mut Cells) -> Result<(), Misfit> {
        cells.slice(self.as_bytes());
        Ok(())
    }
}

impl<'a> FieldType<'a> for String {
    const KINDS: &'static [Kind] = &[Kind::Text, Kind::Json];
    type View = TextView<'a>;

    fn view(column: Option<&'a Column>) -> TextView<'a> {
        TextView::new(column)
    }

    fn get(view: &TextView<'a>, row: usize) -> Result<Self, Misfit> {
        Ok(view.get(row).to_owned())
    }

    fn put(self, cells: &mut Cells) -> Result<(), Misfit> {
        cells.slice(self.as_bytes());
        Ok(())
    }
}

impl<'a> FieldType<'a> for Json<'a> {
    const KINDS: &'static [Kind] = &[Kind::Json];
    type View = TextView<'a>;

    fn view(column: Option<&'a Column>) -> TextView<'a> {
        TextView::new(column)
    }

    #[inline]
    fn get(view: &TextView<'a>, row: usize) -> Result<Self, Misfit> {
        Ok(Json::from_text(view.get(row)))
    }

    fn put(self, cells: &mut Cells) -> Result<(), Misfit> {
        cells.slice(self.as_str().as_bytes());
        Ok(())
    }
}

/// The bytes of a column.
pub struct BytesView<'a> {
    offsets: &'a [u32],
    bytes: &'a [u8],
}

impl<'a> BytesView<'a> {
    fn new(column: Option<&'a Column>) -> Self {
        let (offsets, bytes) = slices(column);
        BytesView { offsets, bytes }
    }

    #[inline]
    fn get(&self, row: usize) -> &'a [u8] {
        &self.bytes[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }
}

impl<'a> FieldType<'a> for &'a [u8] {
    const KINDS: &'static [Kind] = &[Kind::Bytes];
    type View = BytesView<'a>;

    fn view(column: Option<&'a Column>) -> BytesView<'a> {
        BytesView::new(column)
    }

    #[inline]
    fn get(view: &BytesView<'a>, row: usize) -> Result<Self, Misfit> {
        Ok(view.get(row))
    }

    fn put(self, cells: &mut Cells) -> Result<(), Misfit> {
        cells.slice(self);
        Ok(())
    }
}

impl<'a> FieldType<'a> for Vec<u8> {
    const KINDS: &'static [Kind] = &[Kind::Bytes];
    type View = BytesView<'a>;

    fn view(column: Option<&'a Column>) -> BytesView<'a> {
        BytesView::new(column)
    }

    fn get(view: &BytesView<'a>, row: usize) -> Result<Self, Misfit> {
        Ok(view.get(row).to_vec())
    }

    fn put(self, cells: &mut Cells) -> Result<(), Misfit> {
        cells.slice(&self);
        Ok(())
    }
}
