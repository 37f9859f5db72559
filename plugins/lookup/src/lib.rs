//! An enricher: a record gets fields of the row of a table that its key names.

use std::borrow::Cow;
use std::collections::HashMap;

use tidegate_sdk::{Field, Kind, Reject, Row, Values, enrich};

mod csv;
mod settings;
mod table;

use settings::{OnMissing, Settings};
use table::Table;

struct Lookup {
    /// Paths of the fields that make the key.
    keys: Vec<String>,
    writes: Vec<Field>,
    /// By [`table::key`].
    rows: HashMap<String, Values<'static>>,
    on_missing: OnMissing,
    /// What a record gets that is kept without a row: nothing, in every field.
    nothing: Values<'static>,
}

#[enrich]
impl Lookup {
    fn new(settings: Settings) -> Result<Self, String> {
        let table = Table::parse(&settings.table, settings.separator)?;
        let keys = settings.key.pairs();
        let key_columns = keys.iter().map(|(_, column)| table.column(column)).collect::<Result<Vec<_>, _>>()?;
        let fields = match settings.fields {
            Some(fields) => fields.pairs(),
            None => table.names().filter(|&name| keys.iter().all(|(_, key)| key != name)).map(same).collect(),
        };
        if keys.is_empty() || fields.is_empty() {
            return Err("key and fields name one column each, at least".to_owned());
        }
        let columns = fields.iter().map(|(_, column)| table.column(column)).collect::<Result<Vec<_>, _>>()?;
        let kinds = columns.iter().map(|&column| table.kind(column));
        let writes: Vec<Field> = fields.iter().zip(kinds).map(|((path, _), kind)| Field::new(path, kind)).collect();
        let rows = table.rows_by(&key_columns, &columns, &writes)?;
        let keys = keys.into_iter().map(|(path, _)| path).collect();
        Ok(Lookup { keys, writes, rows, on_missing: settings.on_missing, nothing: Values::new() })
    }

    fn reads(&self) -> Vec<Field> {
        self.keys.iter().map(|path| Field::new(path, Kind::Text)).collect()
    }

    fn writes(&self) -> Vec<Field> {
        self.writes.clone()
    }

    fn enrich(&self, row: Row<'_>) -> Result<Option<&Values<'static>>, Reject> {
        let found = self.key(row).and_then(|key| self.rows.get(&*key));
        match (found, self.on_missing) {
            (Some(values), _) => Ok(Some(values)),
            (None, OnMissing::Keep) => Ok(Some(&self.nothing)),
            (None, OnMissing::Drop) => Ok(None),
            (None, OnMissing::Reject) => Err(self.missing(row)),
        }
    }
}

fn same(name: &str) -> (String, String) {
    (name.to_owned(), name.to_owned())
}

impl Lookup {
    /// None where a field of it is absent.
    fn key<'a>(&self, row: Row<'a>) -> Option<Cow<'a, str>> {
        if self.keys.len() == 1 {
            return row.text(0).map(Cow::Borrowed);
        }
        let values: Option<Vec<&str>> = (0..self.keys.len()).map(|field| row.text(field)).collect();
        values.map(|values| Cow::Owned(table::key(&values)))
    }

    fn missing(&self, row: Row<'_>) -> Reject {
        let key = |(field, path): (usize, &String)| match row.text(field) {
            Some(value) => format!("{path}=`{value}`"),
            None => format!("{path} is absent"),
        };
        let keys: Vec<String> = self.keys.iter().enumerate().map(key).collect();
        Reject::new(format!("the table has no row for this record: {}", keys.join(", ")))
    }
}

#[cfg(test)]
mod tests;
