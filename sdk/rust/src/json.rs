//! A JSON value that is handed on as text.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Reject;

/// One valid JSON value, as text: what arrays and objects are read and written as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Json<'a>(Cow<'a, str>);

impl<'a> Json<'a> {
    /// The JSON of a value of the plugin's own.
    pub fn new<T: Serialize>(value: &T) -> Result<Json<'static>, Reject> {
        serde_json::to_string(value).map(|text| Json(Cow::Owned(text))).map_err(Reject::new)
    }

    /// Takes text that is JSON already; where it is not, the runtime rejects the record.
    pub fn from_text(text: impl Into<Cow<'a, str>>) -> Self {
        Json(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads it as a type of the plugin's own; a value that is not of that type is a reason to reject.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Reject> {
        serde_json::from_str(&self.0).map_err(Reject::new)
    }
}

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
