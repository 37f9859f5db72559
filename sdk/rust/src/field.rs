//! A field: where it is in a record, and as what it is asked for.

pub use crate::bindings::data::{Field, Kind};

impl Field {
    /// A field by its dotted path (`user.id`; `\.` and `\$` escape). Paths that begin with `$` are the record's own: see
    /// the plugin page of the documentation. Not required, unless [`Field::required`] says so.
    pub fn new(path: impl Into<String>, kind: Kind) -> Self {
        Field { path: path.into(), kind, required: false }
    }

    /// A record without this field, or with another kind of value there, is rejected by the runtime.
    pub fn required(self) -> Self {
        Field { required: true, ..self }
    }
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Presence => "presence",
            Kind::Boolean => "boolean",
            Kind::Integer => "integer",
            Kind::Float => "float",
            Kind::Text => "text",
            Kind::Timestamp => "timestamp",
            Kind::Json => "json",
            Kind::Bytes => "bytes",
        }
    }
}

/// What may stand behind `#[field(path = …)]`: text, or an option of it, where `None` means that the field is switched
/// off.
pub trait Path {
    fn path(&self) -> Option<String>;
}

impl Path for str {
    fn path(&self) -> Option<String> {
        Some(self.to_owned())
    }
}

impl Path for String {
    fn path(&self) -> Option<String> {
        Some(self.clone())
    }
}

impl<T: Path> Path for Option<T> {
    fn path(&self) -> Option<String> {
        self.as_ref().and_then(Path::path)
    }
}

impl<T: Path + ?Sized> Path for &T {
    fn path(&self) -> Option<String> {
        (**self).path()
    }
}

/// Whether a type can be asked for in a kind; for the check that `#[derive(Fields)]` makes at compile time.
pub const fn allows(kinds: &[Kind], kind: Kind) -> bool {
    let mut index = 0;
    while index < kinds.len() {
        if kinds[index] as u8 == kind as u8 {
            return true;
        }
        index += 1;
    }
    false
}
