//! `[checkpoint]`.

use std::cell::RefCell;
use std::time::Duration;

use crate::config::reader::{Section, Text, Value};
use crate::config::values::duration;
use crate::config::{CheckpointSettings, Copies};

const HINT: &str = "`file:///DIRECTORY`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`";

pub(super) fn checkpoint(mut section: Section<'_>) -> Option<CheckpointSettings> {
    let locations = section.required("locations", locations);
    let seconds = Duration::from_secs;
    let every = section.or("every", seconds(10), duration(seconds(1)..=seconds(60 * 60)));
    let words = [("after", Copies::After), ("before-commit", Copies::BeforeCommit)];
    let copies = section.or("copies", Copies::After, |value| value.word(&words));
    section.finish();
    Some(CheckpointSettings { locations: locations?, every: every?, copies: copies? })
}

fn locations(value: &Value<'_>) -> Option<Vec<String>> {
    let seen = RefCell::new(Vec::new());
    let locations = value.list(|item| {
        let location = location(item.text()?)?;
        if seen.borrow().contains(&location) {
            return item.text()?.wrong("a location that is named twice", "a copy in the same place is none");
        }
        seen.borrow_mut().push(location.clone());
        Some(location)
    })?;
    if locations.is_empty() { value.wrong("`locations` is empty", HINT) } else { Some(locations) }
}

/// Whether there is such a place, only the store can say; it is given without slashes at its end.
pub(super) fn location(text: Text<'_>) -> Option<String> {
    let Some((scheme, place)) = text.split_once("://") else {
        return match text.starts_with('/') {
            true => text.wrong("not a location", "a directory is written with three slashes: `file:///DIRECTORY`"),
            false => text.wrong("not a location", format!("a URL, with all of its path: {HINT}")),
        };
    };
    // It may be a password.
    if place.contains('@') {
        return text
            .value
            .wrong("a key does not belong into a location", "AWS_…, GOOGLE_… and AZURE_… in the environment");
    }
    let place = place.trim_end_matches('/');
    let bucket = place.split('/').next().unwrap_or(place);
    let is_place = match scheme {
        "file" if !place.starts_with('/') => {
            return text
                .wrong("not a location", "a directory begins at the root, with three slashes: `file:///DIRECTORY`");
        }
        "file" => true,
        "s3" | "gs" | "az" => !bucket.is_empty(),
        _ => return text.wrong("no store that is known here", HINT),
    };
    let is_plain = |segment: &str| !matches!(segment, "" | "." | "..");
    let prefix = place.strip_prefix('/').unwrap_or(place);
    if !is_place || place.contains(['?', '#', ' ']) || !prefix.split('/').all(is_plain) {
        return text.wrong("not a location", HINT);
    }
    Some(format!("{scheme}://{place}"))
}
