//! What a plugin reads and writes once its settings are known.

use serde::de::DeserializeOwned;

use crate::bindings::data::Field;
use crate::field::Path;
use crate::field_type::{FieldType, Misfit};
use crate::{Kind, Reject};

/// The fields of a struct in its order; one that the settings switch off has no column.
#[derive(Clone, Default, Debug)]
pub struct Slots {
    fields: Vec<Field>,
    columns: Vec<Option<usize>>,
}

impl Slots {
    /// A field for each slot: for [`crate::Row`] and [`crate::Values`].
    pub fn of(fields: Vec<Field>) -> Self {
        let columns = (0..fields.len()).map(Some).collect();
        Slots { fields, columns }
    }

    /// The next field of a struct, of type `T`.
    pub fn add<'a, T: FieldType<'a>>(
        &mut self,
        name: &str,
        path: &(impl Path + ?Sized),
        kind: Option<Kind>,
    ) -> Result<(), String> {
        let kind = kind.unwrap_or(T::KINDS[0]);
        match path.path() {
            Some(path) if path.is_empty() => return Err(format!("the path of the field {name} is empty")),
            Some(path) => {
                self.columns.push(Some(self.fields.len()));
                self.fields.push(Field { path, kind, required: T::REQUIRED && kind != Kind::Presence });
            }
            None if T::REQUIRED => return Err(format!("the field {name} cannot be switched off")),
            None => self.columns.push(None),
        }
        Ok(())
    }

    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    #[inline]
    pub(crate) fn column(&self, slot: usize) -> Option<usize> {
        self.columns[slot]
    }

    /// Says of a value that does not fit which field it is.
    #[cold]
    pub(crate) fn explain(&self, misfit: Misfit) -> Reject {
        let path = self.columns.get(misfit.field).copied().flatten().map_or("", |column| &self.fields[column].path);
        Reject::new(format!("field=`{path}`: {}", misfit.problem))
    }

    /// What is written cannot be of kind presence, and no path twice.
    fn check(&self, writes: bool) -> Result<(), String> {
        for (index, field) in self.fields.iter().enumerate() {
            if writes && field.kind == Kind::Presence {
                return Err(format!("field=`{}` cannot be written as presence, which has no value", field.path));
            }
            if writes && self.fields[..index].iter().any(|other| other.path == field.path) {
                return Err(format!("field=`{}` is written twice", field.path));
            }
        }
        Ok(())
    }
}

/// A plugin with what it reads and writes.
pub struct Configured<P> {
    pub(crate) plugin: P,
    pub(crate) reads: Slots,
    pub(crate) writes: Slots,
}

impl<P> Configured<P> {
    pub(crate) fn new(plugin: P, reads: Slots, writes: Slots) -> Result<Self, String> {
        reads.check(false)?;
        writes.check(true)?;
        Ok(Configured { plugin, reads, writes })
    }
}

/// Reads settings; the error is in the words of the settings' type.
pub(crate) fn parse<S: DeserializeOwned>(settings: &str) -> Result<S, String> {
    let text = if settings.trim().is_empty() { "{}" } else { settings };
    serde_json::from_str(text).map_err(|error| {
        let mut message = error.to_string();
        // The position is one in JSON that the user never saw.
        let position = format!(" at line {} column {}", error.line(), error.column());
        if message.ends_with(&position) {
            message.truncate(message.len() - position.len());
        }
        message
    })
}

/// What `new` may give back.
#[diagnostic::on_unimplemented(message = "`new` gives back `Self` or `Result<Self, String>`, not `{Self}`")]
pub trait IntoPlugin<P> {
    fn into_plugin(self) -> Result<P, String>;
}

impl<P> IntoPlugin<P> for P {
    fn into_plugin(self) -> Result<P, String> {
        Ok(self)
    }
}

impl<P, E: std::fmt::Display> IntoPlugin<P> for Result<P, E> {
    fn into_plugin(self) -> Result<P, String> {
        self.map_err(|error| error.to_string())
    }
}
