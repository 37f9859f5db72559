//! The settings of `lookup`.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The table's text: CSV with a line of names, or a JSON object a line. In a pipeline file `"@countries.csv"`.
    pub table: String,
    /// The fields that make the key. `"code"`, or several; `{ "geo.country" = "code" }` where the column has another name.
    pub key: Names,
    /// The columns that are taken, likewise. Default: all that are not in the key.
    pub fields: Option<Names>,
    /// What becomes of a record for which the table has no row.
    #[serde(default)]
    pub on_missing: OnMissing,
    /// What stands between two values of a line of CSV.
    #[serde(default = "comma")]
    pub separator: char,
}

fn comma() -> char {
    ','
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnMissing {
    /// It goes on, without the fields.
    #[default]
    Keep,
    Drop,
    /// It goes to the dead letters.
    Reject,
}

/// Fields of a record and the columns that belong to them.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a name, a list of names, or a table of field = \"column\" is wanted")]
pub enum Names {
    One(String),
    Several(Vec<String>),
    Table(BTreeMap<String, String>),
}

impl Names {
    /// Field, column.
    pub fn pairs(self) -> Vec<(String, String)> {
        match self {
            Names::One(name) => vec![(name.clone(), name)],
            Names::Several(names) => names.into_iter().map(|name| (name.clone(), name)).collect(),
            Names::Table(names) => names.into_iter().collect(),
        }
    }
}
