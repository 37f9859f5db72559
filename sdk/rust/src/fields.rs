//! What `#[derive(Fields)]` implements: a struct as the fields of a record, read and written.

use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::bindings::data::Column;
use crate::cells::Writer;
use crate::configured::Slots;
use crate::field_type::Misfit;

/// A struct whose fields are fields of a record.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a struct with `#[derive(Fields)]`",
    note = "where the number of fields is a setting, use `Row<'_>` with `fn reads(&self) -> Vec<Field>`, or `Values<'_>` with `fn writes(&self) -> Vec<Field>`"
)]
pub trait Fields {
    /// [`NoSettings`], or [`With`] the settings that the paths are taken from.
    type Uses: Uses;
    const WRITABLE: bool;
    fn slots(settings: &<Self::Uses as Uses>::Settings) -> Result<Slots, String>;
}

/// A struct that can be read.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a record",
    note = "add `#[derive(Fields)]` to it"
)]
pub trait Reads<'a>: Sized {
    type Views;
    fn views(columns: &Columns<'a>) -> Self::Views;
    fn read(views: &Self::Views, row: usize) -> Result<Self, Misfit>;
}

/// A struct that can be written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written to a record",
    note = "add `#[derive(Fields)]` to it"
)]
pub trait Writes {
    fn write(self, writer: &mut Writer<'_>) -> Result<(), Misfit>;
}

/// A batch as a struct reads it.
#[derive(Clone, Copy)]
pub struct Columns<'a> {
    pub(crate) slots: &'a Slots,
    pub(crate) columns: &'a [Column],
}

impl<'a> Columns<'a> {
    /// The column of a slot; none where the settings switch the field off.
    pub fn get(&self, slot: usize) -> Option<&'a Column> {
        self.slots.column(slot).map(|column| &self.columns[column])
    }
}

/// No fields: for an aggregate that only counts rows.
impl Fields for () {
    type Uses = NoSettings;
    const WRITABLE: bool = true;

    fn slots(_: &NoSettings) -> Result<Slots, String> {
        Ok(Slots::default())
    }
}

impl<'a> Reads<'a> for () {
    type Views = ();
    fn views(_: &Columns<'a>) {}

    #[inline]
    fn read((): &(), _: usize) -> Result<(), Misfit> {
        Ok(())
    }
}

/// Which settings a struct's paths are taken from.
pub trait Uses {
    type Settings: DeserializeOwned;
}

/// A plugin without settings: only an empty table is taken.
#[derive(Clone, Copy, Default, Debug)]
pub struct NoSettings;

impl<'de> Deserialize<'de> for NoSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Empty;
        impl<'de> Visitor<'de> for Empty {
            type Value = NoSettings;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("no settings")
            }

            fn visit_unit<E>(self) -> Result<NoSettings, E> {
                Ok(NoSettings)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NoSettings, A::Error> {
                match map.next_entry::<String, IgnoredAny>()? {
                    None => Ok(NoSettings),
                    Some((name, _)) => {
                        Err(serde::de::Error::custom(format!("unknown setting `{name}`: this plugin has no settings")))
                    }
                }
            }
        }
        deserializer.deserialize_any(Empty)
    }
}

/// A struct that takes paths from settings of type `S`.
pub struct With<S>(std::marker::PhantomData<S>);

impl Uses for NoSettings {
    type Settings = NoSettings;
}

impl<S: DeserializeOwned> Uses for With<S> {
    type Settings = S;
}

/// The settings of two structs of one plugin: those of the one that has some.
pub trait And<U> {
    type Both: Uses;
}

impl And<NoSettings> for NoSettings {
    type Both = NoSettings;
}

impl<S: DeserializeOwned> And<With<S>> for NoSettings {
    type Both = With<S>;
}

impl<S: DeserializeOwned> And<NoSettings> for With<S> {
    type Both = With<S>;
}

impl<S: DeserializeOwned> And<With<S>> for With<S> {
    type Both = With<S>;
}

/// The settings of a plugin that reads `R` and writes `W`.
pub type Both<R, W> = <<<R as Fields>::Uses as And<<W as Fields>::Uses>>::Both as Uses>::Settings;

/// The settings of a plugin give those that a struct needs: the same, or none.
#[diagnostic::on_unimplemented(
    message = "this plugin's settings are `{Self}`, but its struct takes its paths from other ones",
    note = "`#[field(path = settings.x)]` means the type `Settings`; `#[fields(settings = Other)]` on the struct names another"
)]
pub trait Provides<U: Uses> {
    fn provide(&self) -> &U::Settings;
}

impl<S> Provides<NoSettings> for S {
    fn provide(&self) -> &NoSettings {
        &NoSettings
    }
}

impl<S: DeserializeOwned> Provides<With<S>> for S {
    fn provide(&self) -> &S {
        self
    }
}

/// The slots of a struct, by the plugin's settings.
pub fn slots_of<F: Fields, S: Provides<F::Uses>>(settings: &S) -> Result<Slots, String> {
    F::slots(settings.provide())
}
