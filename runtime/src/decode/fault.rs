//! What is wrong with a value that is not taken as JSON, and where.

use super::DEPTH_MAX;
use super::span::VALUE_BYTES_MAX;

/// Why a value is not taken as JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    Empty,
    NotAnObject,
    Value,
    Key,
    Colon,
    CommaOrEnd,
    Literal,
    Number,
    Escape,
    Control,
    EndInString,
    Utf8,
    Trailing,
    Deep,
    Long,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.what {
            What::Empty => return f.write_str("the value is empty"),
            What::Long => return write!(f, "the value is longer than {VALUE_BYTES_MAX} bytes"),
            What::Deep => return write!(f, "values are nested deeper than {DEPTH_MAX} levels: byte=`{}`", self.at),
            What::NotAnObject => "the value is not a JSON object",
            What::Value => "a value is missing or begins with a wrong character",
            What::Key => "a key in quotes is missing",
            What::Colon => "a colon is missing after a key",
            What::CommaOrEnd => "a comma or the end of an object or array is missing",
            What::Literal => "a word is neither true, false nor null",
            What::Number => "a number is malformed",
            What::Escape => "an escape in a string is malformed",
            What::Control => "a string has a control character that is not escaped",
            What::EndInString => "the value ends within a string",
            What::Utf8 => "the text is not UTF-8",
            What::Trailing => "something follows the end of the value",
        };
        write!(f, "{what}: byte=`{}`", self.at)
    }
}
