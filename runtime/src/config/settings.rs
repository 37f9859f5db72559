//! A plugin's `settings` table as JSON text; `"@NAME"` becomes the text of a file beside the pipeline file.

use std::path::Path;

use serde_json::{Map, Number, Value as Json};
use toml::de::DeValue;

use super::reader::{Text, Value};

/// A table for a plugin is held in memory, by each of its instances once more.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// JSON text of a table.
pub(crate) fn settings(value: &Value<'_>) -> Option<String> {
    match value.value {
        DeValue::Table(_) => Some(json(value)?.to_string()),
        _ => value.expected("a table"),
    }
}

fn json(value: &Value<'_>) -> Option<Json> {
    match value.value {
        DeValue::String(text) => string(value, text),
        DeValue::Integer(_) => value.integer().map(|number| Json::Number(number.into())),
        DeValue::Float(float) => match float.as_str().parse().ok().and_then(Number::from_f64) {
            Some(number) => Some(Json::Number(number)),
            None => value.wrong(format!("`{}` is not a finite number", value.key), "JSON has no others"),
        },
        DeValue::Boolean(boolean) => Some(Json::Bool(*boolean)),
        DeValue::Datetime(datetime) => Some(Json::String(datetime.to_string())),
        DeValue::Array(_) => value.list(json).map(Json::Array),
        DeValue::Table(_) => {
            let read: Vec<_> =
                value.section().take_all().iter().map(|entry| Some((entry.key.to_owned(), json(entry)?))).collect();
            read.into_iter().collect::<Option<Map<_, _>>>().map(Json::Object)
        }
    }
}

/// What was put in by `${…}` never names a file, so only a literal `@` counts.
fn string<'a>(value: &Value<'a>, text: &'a str) -> Option<Json> {
    let text = match text.strip_prefix('@') {
        Some(escaped) if escaped.starts_with('@') => value.interpolated(escaped)?.into_string(),
        Some(name) => read(&value.interpolated(name)?)?,
        None => value.interpolated(text)?.into_string(),
    };
    Some(Json::String(text))
}

fn read(name: &Text<'_>) -> Option<String> {
    const HINT: &str =
        "\"@NAME\" stands for the text of a file beside the pipeline file; write \"@@…\" for the character";
    let (reader, file) = (name.value.reader, name.value.reader.folder.join(&**name));
    match read_bounded(&file) {
        Ok(text) => {
            reader.included.borrow_mut().push(file);
            Some(text)
        }
        Err(why) => name.wrong(&format!("cannot read a file that the settings name ({why})"), HINT),
    }
}

fn read_bounded(path: &Path) -> std::io::Result<String> {
    let file = std::fs::metadata(path)?;
    if !file.is_file() {
        return Err(std::io::Error::other("it is a folder, a pipe or a device, and no file"));
    }
    if file.len() > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!("it has {} bytes, at most {FILE_BYTES_MAX} are taken", file.len())));
    }
    std::fs::read_to_string(path)
}
