//! Why a record is not taken, in the plugin's words.

use std::fmt;

/// Sends this one record to the dead letters with a reason; the others go on.
///
/// `Err("no such country")?` and `value.ok_or("no such country")?` make one of a text; for other errors there is
/// `map_err(Reject::new)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reject(String);

impl Reject {
    pub fn new(reason: impl fmt::Display) -> Self {
        Reject(reason.to_string())
    }

    pub fn reason(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_reason(self) -> String {
        self.0
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Reject {
    fn from(reason: String) -> Self {
        Reject(reason)
    }
}

impl From<&str> for Reject {
    fn from(reason: &str) -> Self {
        Reject(reason.to_owned())
    }
}
