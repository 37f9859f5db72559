//! Reads a TOML document key by key, notes everything that is wrong, and goes on. It knows no setting.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place};
use super::interpolate::interpolate;
use super::secret::Secret;

/// What all sections of a file share: where values come from, and what was found wrong.
///
/// A function that reads a value returns `None` once it has reported what is wrong with it.
pub(crate) struct Reader<'a> {
    pub file: &'a Path,
    pub text: &'a str,
    /// Paths in the file start here.
    pub folder: &'a Path,
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    pub errors: RefCell<Vec<ConfigError>>,
    /// Where each key that was read is, by its path (`output[0].aggregate.plugin`).
    pub places: RefCell<BTreeMap<String, Place>>,
    /// What `${…}` stood for, in the order that it was read.
    pub outside: RefCell<Vec<Secret>>,
    /// Files whose text is in what was read.
    pub included: RefCell<Vec<PathBuf>>,
}

impl Reader<'_> {
    pub fn report<T>(&self, span: &Range<usize>, message: impl Into<String>, hint: impl Into<String>) -> Option<T> {
        self.add(Some(Place::of(self.text, span.start)), message.into(), hint.into());
        None
    }

    /// Reports something about a key that was read before.
    pub fn report_at(&self, path: &str, message: impl Into<String>, hint: impl Into<String>) {
        let place = self.places.borrow().get(path).copied();
        self.add(place, message.into(), hint.into());
    }

    fn add(&self, place: Option<Place>, message: String, hint: String) {
        let hint = (!hint.is_empty()).then_some(hint);
        self.errors.borrow_mut().push(ConfigError { file: self.file.into(), place, message, hint });
    }
}

/// A table while it is read. Each key is taken by name; [`Section::finish`] reports what is left.
pub(crate) struct Section<'a> {
    reader: &'a Reader<'a>,
    /// `source.kafka`, `output[0].aggregate`; empty for the file.
    path: String,
    /// What a missing key is reported at: the table's head.
    span: Range<usize>,
    table: Option<&'a DeTable<'a>>,
    /// It is there and not a table, which is reported already: nothing else is missing.
    broken: bool,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub fn root(reader: &'a Reader<'a>, table: &'a DeTable<'a>) -> Self {
        Section::new(reader, String::new(), 0..0, Some(table))
    }

    fn new(reader: &'a Reader<'a>, path: String, span: Range<usize>, table: Option<&'a DeTable<'a>>) -> Self {
        Section { reader, path, span, table, broken: false, known: Vec::new() }
    }

    /// The value of a key, which is known from now on.
    pub fn take(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        let (name, value) = self.table?.get_key_value(key)?;
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        let place = Place::of(self.reader.text, value.span().start);
        self.reader.places.borrow_mut().insert(path.clone(), place);
        Some(Value { reader: self.reader, key: name.get_ref(), path, span: value.span(), value: value.get_ref() })
    }

    /// A key that must be there.
    pub fn required<T>(&mut self, key: &'static str, read: impl FnOnce(&Value<'a>) -> Option<T>) -> Option<T> {
        match self.take(key) {
            Some(value) => read(&value),
            None if self.broken => None,
            None => self.reader.report(&self.span, format!("`{key}` is missing{}", self.place_name()), ""),
        }
    }

    /// A key with a default.
    pub fn or<T>(&mut self, key: &'static str, default: T, read: impl FnOnce(&Value<'a>) -> Option<T>) -> Option<T> {
        self.take(key).map_or(Some(default), |value| read(&value))
    }

    /// A key that may be left out.
    pub fn optional<T>(&mut self, key: &'static str, read: impl FnOnce(&Value<'a>) -> Option<T>) -> Option<Option<T>> {
        self.take(key).map_or(Some(None), |value| read(&value).map(Some))
    }

    /// A table; one that is left out is empty.
    pub fn table(&mut self, key: &'static str) -> Section<'a> {
        match self.take(key) {
            Some(value) => value.section(),
            None => {
                let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
                let mut section = Section::new(self.reader, path, self.span.clone(), None);
                section.broken = self.broken;
                section
            }
        }
    }

    pub fn optional_table(&mut self, key: &'static str) -> Option<Section<'a>> {
        self.take(key).map(|value| value.section())
    }

    /// The tables of `[[key]]`.
    pub fn tables(&mut self, key: &'static str) -> Vec<Section<'a>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        match value.value {
            DeValue::Array(_) => value.items().iter().map(Value::section).collect(),
            _ => {
                self.reader.report::<()>(
                    &value.span,
                    format!("`{key}` is a list of tables"),
                    format!("write `[[{}]]`", without_numbers(&value.path)),
                );
                Vec::new()
            }
        }
    }

    pub fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Whether it is not there, or has no key at all.
    pub fn is_without_keys(&self) -> bool {
        self.table.is_none_or(|table| table.is_empty())
    }

    /// Whether it is there and has no key at all.
    pub fn is_empty(&self) -> bool {
        self.table.is_some_and(|table| table.is_empty())
    }

    /// Reports what the section as a whole lacks.
    pub fn wrong<T>(&self, message: impl Into<String>, hint: impl Into<String>) -> Option<T> {
        if self.broken { None } else { self.reader.report(&self.span, message, hint) }
    }

    /// Takes every key, in the order of the names.
    pub fn take_all(&mut self) -> Vec<Value<'a>> {
        let entries = self.table.into_iter().flat_map(|table| table.iter());
        let reader = self.reader;
        let values = entries.map(|(key, value)| Value {
            reader,
            key: key.get_ref(),
            path: format!("{}.{}", self.path, key.get_ref()),
            span: value.span(),
            value: value.get_ref(),
        });
        let values = values.collect();
        self.table = None;
        values
    }

    /// Reports every key that nobody took.
    pub fn finish(self) {
        for (key, _) in self.table.into_iter().flat_map(|table| table.iter()) {
            let name: &str = key.get_ref();
            if !self.known.contains(&name) {
                let hint = match nearest(name, &self.known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known here: {}", self.known.join(", ")),
                };
                self.reader.report::<()>(&key.span(), format!("unknown key `{name}`{}", self.place_name()), hint);
            }
        }
    }

    /// ` in [source.kafka]`, ` in [[output]]`.
    fn place_name(&self) -> String {
        let name = without_numbers(&self.path);
        match (name.is_empty(), self.path.ends_with(']')) {
            (true, _) => String::new(),
            (false, true) => format!(" in [[{name}]]"),
            (false, false) => format!(" in [{name}]"),
        }
    }
}

/// `output[0].aggregate` without its numbers.
fn without_numbers(path: &str) -> String {
    path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect()
}

/// A value while it is read.
#[derive(Clone)]
pub(crate) struct Value<'a> {
    pub reader: &'a Reader<'a>,
    pub key: &'a str,
    path: String,
    pub span: Range<usize>,
    pub value: &'a DeValue<'a>,
}

impl<'a> Value<'a> {
    /// Reports a value of another type; the value itself is not shown.
    pub fn expected<T>(&self, what: &str) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.wrong(format!("`{}` must be {what}, not {found}", self.key), "")
    }

    pub fn wrong<T>(&self, message: impl Into<String>, hint: impl Into<String>) -> Option<T> {
        self.reader.report(&self.span, message, hint)
    }

    /// A key that a later version brings.
    pub fn not_yet<T>(&self, instead: &str) -> Option<T> {
        self.wrong(format!("`{}` is not supported yet", without_numbers(&self.path)), instead)
    }

    /// A known key with a value that a later version brings.
    pub fn value_not_yet<T>(&self, instead: &str) -> Option<T> {
        self.wrong(format!("this value of `{}` is not supported yet", without_numbers(&self.path)), instead)
    }

    /// A string, with what it takes from outside put in.
    pub fn text(&self) -> Option<Text<'a>> {
        let DeValue::String(text) = self.value else { return self.expected("a string") };
        self.interpolated(text)
    }

    pub fn interpolated(&self, text: &'a str) -> Option<Text<'a>> {
        match interpolate(text, self.reader.folder, self.reader.environment) {
            Ok(done) => {
                self.reader.outside.borrow_mut().extend(done.put_in.into_iter().map(Secret::new));
                Some(Text { text: done.text, secret: done.secret, value: self.clone() })
            }
            Err(why) => self.wrong(format!("{}: {}=…", why.message, self.key), why.hint),
        }
    }

    pub fn boolean(&self) -> Option<bool> {
        match self.value {
            DeValue::Boolean(value) => Some(*value),
            _ => self.expected("true or false"),
        }
    }

    pub fn integer(&self) -> Option<i64> {
        let DeValue::Integer(integer) = self.value else { return self.expected("an integer") };
        match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => Some(number),
            Err(_) => self.wrong(format!("not a 64-bit integer: {}=`{integer}`", self.key), ""),
        }
    }

    /// The table as a section; another value is reported.
    pub fn section(&self) -> Section<'a> {
        let table = match self.value {
            DeValue::Table(table) => Some(table),
            _ => self.expected("a table"),
        };
        let mut section = Section::new(self.reader, self.path.clone(), self.span.clone(), table);
        section.broken = table.is_none();
        section
    }

    /// The items of an array; another value is reported.
    pub fn items(&self) -> Vec<Value<'a>> {
        let DeValue::Array(array) = self.value else {
            self.expected::<()>("an array");
            return Vec::new();
        };
        let items = array.iter().enumerate().map(|(number, item)| {
            let path = format!("{}[{number}]", self.path);
            let place = Place::of(self.reader.text, item.span().start);
            self.reader.places.borrow_mut().insert(path.clone(), place);
            Value { path, span: item.span(), value: item.get_ref(), ..self.clone() }
        });
        items.collect()
    }

    /// Reads each item of an array; none when one of them is wrong.
    pub fn list<T>(&self, read: impl Fn(&Value<'a>) -> Option<T>) -> Option<Vec<T>> {
        let DeValue::Array(_) = self.value else { return self.expected("an array") };
        let read: Vec<Option<T>> = self.items().iter().map(read).collect();
        read.into_iter().collect()
    }

    /// One of a few words.
    pub fn word<T: Clone>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == &*text) {
            return Some(value.clone());
        }
        let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let hint = match nearest(&text, &names) {
            Some(near) if !text.secret => format!("did you mean `{near}`?"),
            _ => format!("one of: {}", names.join(", ")),
        };
        text.wrong("no such choice", hint)
    }
}

/// A string of the file, ready to use.
pub(crate) struct Text<'a> {
    text: Cow<'a, str>,
    /// It holds a value from the environment or from a `${file:…}`: no message may show it.
    pub secret: bool,
    pub value: Value<'a>,
}

impl Text<'_> {
    /// Reports what is wrong with it, and shows it unless it came from outside.
    pub fn wrong<T>(&self, what: &str, hint: impl Into<String>) -> Option<T> {
        self.value.wrong(format!("{what}: {}={}", self.value.key, self.shown()), hint)
    }

    pub fn shown(&self) -> String {
        const CHARS_MAX: usize = 120;
        if self.secret {
            return "(from outside the file, not shown)".into();
        }
        let mut shown: String = self.chars().take(CHARS_MAX).flat_map(char::escape_debug).collect();
        if self.chars().nth(CHARS_MAX).is_some() {
            shown.push('…');
        }
        format!("`{shown}`")
    }

    /// Something made of it takes its place.
    pub fn replace(&mut self, text: &str) {
        self.text = Cow::Owned(text.to_owned());
    }

    pub fn into_string(self) -> String {
        self.text.into_owned()
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

/// The known name that was probably meant: at most one edit in three letters.
pub(crate) fn nearest<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    let distance = |known: &&str| strsim::damerau_levenshtein(name, known);
    let near = known.iter().copied().min_by_key(distance)?;
    (distance(&near) <= near.len().max(3) / 3).then_some(near)
}
