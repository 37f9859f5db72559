//! Where a value lies in its record, and what it is: all that the pass over a record leaves behind for a field.

/// What a JSON value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Shape {
    Absent = 0,
    Null,
    False,
    True,
    /// A number without fraction and exponent.
    Integer,
    /// Any other number.
    Decimal,
    /// A string without escapes.
    Text,
    /// A string with escapes.
    Escaped,
    Object,
    Array,
}

impl Shape {
    /// As messages to people name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Shape::Absent => "nothing",
            Shape::Null => "null",
            Shape::False | Shape::True => "boolean",
            Shape::Integer | Shape::Decimal => "number",
            Shape::Text | Shape::Escaped => "text",
            Shape::Object => "object",
            Shape::Array => "array",
        }
    }

    /// Null is absent, for every reader.
    pub(super) fn is_present(self) -> bool {
        !matches!(self, Shape::Absent | Shape::Null)
    }
}

/// A value's place in its record, in eight bytes: a batch has one for each record and slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    start: u32,
    /// From the top: 27 bits of length, one for a key that came more than once, four of shape.
    rest: u32,
}

/// The longest value that is decoded. A document of this size is beyond what Elasticsearch takes in a request (100 MB).
pub(super) const VALUE_BYTES_MAX: usize = (1 << 27) - 1;

const SHAPES: [Shape; 10] = [
    Shape::Absent,
    Shape::Null,
    Shape::False,
    Shape::True,
    Shape::Integer,
    Shape::Decimal,
    Shape::Text,
    Shape::Escaped,
    Shape::Object,
    Shape::Array,
];

impl Span {
    pub(super) const ABSENT: Span = Span { start: 0, rest: 0 };

    #[inline(always)]
    pub(super) fn new(start: usize, end: usize, shape: Shape, repeated: bool) -> Self {
        debug_assert!(start <= end && end <= VALUE_BYTES_MAX);
        Span { start: start as u32, rest: ((end - start) as u32) << 5 | u32::from(repeated) << 4 | shape as u32 }
    }

    #[inline(always)]
    pub(super) fn shape(self) -> Shape {
        // The mask keeps the index below 16; the six shapes that do not exist are never stored.
        SHAPES.get((self.rest & 15) as usize).copied().unwrap_or(Shape::Absent)
    }

    pub(super) fn is_repeated(self) -> bool {
        self.rest & 16 != 0
    }

    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    pub(super) fn end(self) -> usize {
        self.start as usize + (self.rest >> 5) as usize
    }

    #[inline(always)]
    pub(super) fn of(self, value: &[u8]) -> &[u8] {
        &value[self.start()..self.end()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_keeps_all_it_is_given() {
        for shape in SHAPES {
            let span = Span::new(7, VALUE_BYTES_MAX, shape, shape == Shape::Array);
            assert_eq!((span.start(), span.end(), span.shape()), (7, VALUE_BYTES_MAX, shape));
            assert_eq!(span.is_repeated(), shape == Shape::Array);
        }
        assert_eq!(Span::ABSENT.shape(), Shape::Absent);
        assert_eq!(size_of::<Span>(), 8);
    }
}
