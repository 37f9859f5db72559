//! The types that a field of a `#[derive(Fields)]` struct may have, and how each is read from a column and put in one.

use crate::bindings::data::{Column, Values as ColumnValues};
use crate::cells::Cells;
use crate::{Kind, Timestamp};

mod slices;

/// A type that a field can have.
///
/// A view is made once for each batch, and asked once for each row.
#[diagnostic::on_unimplemented(
    message = "a field cannot be of type `{Self}`",
    note = "fields are `&str`, `String`, integers, `f64`, `bool`, `Timestamp`, `Json<'_>`, `&[u8]`, `Vec<u8>`, `Present`, or an `Option` of one"
)]
pub trait FieldType<'a>: Sized {
    /// The kinds that it can be asked for in; the first, unless `#[field(kind = "…")]` names another.
    const KINDS: &'static [Kind];
    const REQUIRED: bool = true;
    const WRITABLE: bool = true;
    type View;

    /// `None`: the settings switch the field off, which only an `Option` bears.
    fn view(column: Option<&'a Column>) -> Self::View;
    fn get(view: &Self::View, row: usize) -> Result<Self, Misfit>;
    fn put(self, cells: &mut Cells) -> Result<(), Misfit>;
}

/// A value that its type cannot hold; `at` says in which of the struct's fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Misfit {
    pub(crate) field: usize,
    pub(crate) problem: String,
}

impl Misfit {
    #[cold]
    pub(crate) fn new(problem: String) -> Self {
        Misfit { field: 0, problem }
    }

    #[cold]
    pub fn at(self, field: usize) -> Self {
        Misfit { field, ..self }
    }
}

/// Whether a field is there and not null, of whatever kind: the cheapest question, nothing is copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Present(pub bool);

impl Present {
    pub fn is_present(self) -> bool {
        self.0
    }
}

fn on(column: Option<&Column>) -> &Column {
    column.expect("a field that settings switch off is an Option")
}

/// The host checked the numbers and kinds of columns that it sends; a wrong one is a bug of it.
fn wrong(column: &Column) -> ! {
    let got = match column.values {
        ColumnValues::Presence => "presence",
        ColumnValues::Booleans(_) => "booleans",
        ColumnValues::Integers(_) => "integers",
        ColumnValues::Floats(_) => "floats",
        ColumnValues::Slices(_) => "slices",
    };
    panic!("the runtime sent a column of another kind than was asked for: {got}")
}

impl<'a> FieldType<'a> for Present {
    const KINDS: &'static [Kind] = &[Kind::Presence];
    const REQUIRED: bool = false;
    const WRITABLE: bool = false;
    type View = &'a [u8];

    fn view(column: Option<&'a Column>) -> &'a [u8] {
        &on(column).present
    }

    #[inline]
    fn get(view: &&'a [u8], row: usize) -> Result<Self, Misfit> {
        Ok(Present(view.is_empty() || view[row] != 0))
    }

    fn put(self, _: &mut Cells) -> Result<(), Misfit> {
        unreachable!("`WRITABLE` is false, so the macros refuse it")
    }
}

impl<'a> FieldType<'a> for bool {
    const KINDS: &'static [Kind] = &[Kind::Boolean, Kind::Presence];
    type View = &'a [u8];

    fn view(column: Option<&'a Column>) -> &'a [u8] {
        let column = on(column);
        match &column.values {
            ColumnValues::Booleans(values) => values,
            ColumnValues::Presence => &column.present,
            ColumnValues::Integers(_) | ColumnValues::Floats(_) | ColumnValues::Slices(_) => wrong(column),
        }
    }

    /// No bytes means that all are present; a column of booleans has a byte for each row.
    #[inline]
    fn get(view: &&'a [u8], row: usize) -> Result<Self, Misfit> {
        Ok(view.is_empty() || view[row] != 0)
    }

    #[inline]
    fn put(self, cells: &mut Cells) -> Result<(), Misfit> {
        cells.boolean(self);
        Ok(())
    }
}

fn integers(column: Option<&Column>) -> &[i64] {
    let column = on(column);
    match &column.values {
        ColumnValues::Integers(values) => values,
        ColumnValues::Presence | ColumnValues::Booleans(_) | ColumnValues::Floats(_) | ColumnValues::Slices(_) => {
            wrong(column)
        }
    }
}

impl<'a> FieldType<'a> for i64 {
    const KINDS: &'static [Kind] = &[Kind::Integer, Kind::Timestamp];
    type View = &'a [i64];

    fn view(column: Option<&'a Column>) -> &'a [i64] {
        integers(column)
    }

    #[inline]
    fn get(view: &&'a [i64], row: usize) -> Result<Self, Misfit> {
        Ok(view[row])
    }

    #[inline]
    fn put(self, cells: &mut Cells) -> Result<(), Misfit> {
        cells.integer(self);
        Ok(())
    }
}

macro_rules! narrower_integers {
    ($($type:ident)*) => {$(
        impl<'a> FieldType<'a> for $type {
            const KINDS: &'static [Kind] = &[Kind::Integer];
            type View = &'a [i64];

            fn view(column: Option<&'a Column>) -> &'a [i64] {
                integers(column)
            }

            #[inline]
            fn get(view: &&'a [i64], row: usize) -> Result<Self, Misfit> {
                $type::try_from(view[row])
                    .map_err(|_| Misfit::new(format!("{} does not fit {}", view[row], stringify!($type))))
            }

            #[inline]
            fn put(self, cells: &mut Cells) -> Result<(), Misfit> {
                match i64::try_from(self) {
                    Ok(value) => cells.integer(value),
                    Err(_) => return Err(Misfit::new(format!("{self} does not fit a 64-bit integer with a sign"))),
                }
                Ok(())
            }
        }
    )*};
}

narrower_integers!(i8 i16 i32 u8 u16 u32 u64);

impl<'a> FieldType<'a> for Timestamp {
    const KINDS: &'static [Kind] = &[Kind::Timestamp];
    type View = &'a [i64];

    fn view(column: Option<&'a Column>) -> &'a [i64] {
        integers(column)
    }

    #[inline]
    fn get(view: &&'a [i64], row: usize) -> Result<Self, Misfit> {
        Ok(Timestamp::from_micros(view[row]))
    }

    #[inline]
    fn put(self, cells: &mut Cells) -> Result<(), Misfit> {
        cells.integer(self.micros());
        Ok(())
    }
}

impl<'a> FieldType<'a> for f64 {
    const KINDS: &'static [Kind] = &[Kind::Float];
    type View = &'a [f64];

    fn view(column: Option<&'a Column>) -> &'a [f64] {
        let column = on(column);
        match &column.values {
            ColumnValues::Floats(values) => values,
            ColumnValues::Presence
            | ColumnValues::Booleans(_)
            | ColumnValues::Integers(_)
            | ColumnValues::Slices(_) => wrong(column),
        }
    }

    #[inline]
    fn get(view: &&'a [f64], row: usize) -> Result<Self, Misfit> {
        Ok(view[row])
    }

    #[inline]
    fn put(self, cells: &mut Cells) -> Result<(), Misfit> {
        cells.float(self);
        Ok(())
    }
}

/// The column of a field that need not be there.
pub struct OptionView<'a, V> {
    present: &'a [u8],
    /// `None` where the settings switch the field off.
    values: Option<V>,
}

impl<'a, T: FieldType<'a>> FieldType<'a> for Option<T> {
    const KINDS: &'static [Kind] = T::KINDS;
    const REQUIRED: bool = false;
    const WRITABLE: bool = T::WRITABLE;
    type View = OptionView<'a, T::View>;

    fn view(column: Option<&'a Column>) -> Self::View {
        OptionView {
            present: column.map_or(&[], |column| column.present.as_slice()),
            values: column.map(|column| T::view(Some(column))),
        }
    }

    #[inline]
    fn get(view: &Self::View, row: usize) -> Result<Self, Misfit> {
        match &view.values {
            Some(values) if view.present.is_empty() || view.present[row] != 0 => T::get(values, row).map(Some),
            Some(_) | None => Ok(None),
        }
    }

    #[inline]
    fn put(self, cells: &mut Cells) -> Result<(), Misfit> {
        match self {
            Some(value) => value.put(cells),
            None => {
                cells.absent();
                Ok(())
            }
        }
    }
}
