//! `[audit]`.

use crate::config::AuditSettings;
use crate::config::reader::Section;
use crate::config::values::{number, size, string};

pub(super) fn audit(mut section: Section<'_>) -> Option<AuditSettings> {
    let path = section.required("path", |value| {
        let path = value.reader.folder.join(string(value)?);
        match path.file_name() {
            Some(_) => Some(path),
            None => value.wrong("`path` names no file", "for example `audit.ndjson`"),
        }
    });
    let percent = section.or("percent", 100, |value| u8::try_from(number(1..=100)(value)?).ok());
    let file_bytes_max = section.or("file_bytes_max", 100 << 20, size(64 << 10..=1 << 40));
    let files_max = section.or("files_max", 5, number(1..=1000));
    section.finish();
    Some(AuditSettings { path: path?, percent: percent?, file_bytes_max: file_bytes_max?, files_max: files_max? })
}
