//! `[checkpoint]`: what is a location, and what else there is.

use std::time::Duration;

use expect_test::expect;

use super::*;
use crate::config::{CheckpointSettings, Copies};

fn with(lines: &str) -> Result<PipelineSettings, ConfigErrors> {
    parse(&format!("{}\n[checkpoint]\n{lines}", With::default().file()))
}

fn wrong(lines: &str, expected: expect_test::Expect) {
    expected.assert_eq(&with(lines).map_or_else(|errors| errors.to_string(), |_| "nothing is wrong".to_owned()));
}

#[test]
fn locations_are_enough() {
    let read = with("locations = [\"file:///var/lib/tidegate/\", \"s3://bucket\", \"gs://b/a/b\", \"az://c/${SOON}\"]");
    let locations = ["file:///var/lib/tidegate", "s3://bucket", "gs://b/a/b", "az://c/hunter3"].map(str::to_owned);
    let settings =
        CheckpointSettings { locations: locations.into(), every: Duration::from_secs(10), copies: Copies::After };
    assert_eq!(read.expect("it is right").checkpoint, Some(settings));
    assert_eq!(With::default().right().checkpoint, None);
}

#[test]
fn what_is_no_location() {
    wrong("", expect!["p.toml:19:1: `locations` is missing in [checkpoint]"]);
    wrong(
        "locations = []\nevery = \"500ms\"\ncopies = \"before\"\nkeep = 3",
        expect![[r#"
        p.toml:20:13: `locations` is empty
            `file:///DIRECTORY`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`
        p.toml:21:9: out of bounds: every=`500ms`
            from 1s to 1h
        p.toml:22:10: no such choice: copies=`before`
            one of: after, before-commit
        p.toml:23:1: unknown key `keep` in [checkpoint]
            known here: locations, every, copies"#]],
    );
    wrong(
        "locations = [\"file:///a\", \"file:///b\", \"file:///a/\"]",
        expect![[r#"
        p.toml:20:40: a location that is named twice: locations=`file:///a/`
            a copy in the same place is none"#]],
    );
    wrong(
        "locations = [\"checkpoints\", \"/var/lib/x\", \"file://x/y\", \"file:///\", \"s3:///x\"]",
        expect![[r#"
        p.toml:20:14: not a location: locations=`checkpoints`
            a URL, with all of its path: `file:///DIRECTORY`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`
        p.toml:20:29: not a location: locations=`/var/lib/x`
            a directory is written with three slashes: `file:///DIRECTORY`
        p.toml:20:43: not a location: locations=`file://x/y`
            a directory begins at the root, with three slashes: `file:///DIRECTORY`
        p.toml:20:57: not a location: locations=`file:///`
            a directory begins at the root, with three slashes: `file:///DIRECTORY`
        p.toml:20:69: not a location: locations=`s3:///x`
            `file:///DIRECTORY`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`"#]],
    );
    wrong(
        "locations = [\"memory:///\", \"s3://a/../b\", \"gs://a?x\", \"${PASSWORD}\"]",
        expect![[r#"
        p.toml:20:14: no store that is known here: locations=`memory:///`
            `file:///DIRECTORY`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`
        p.toml:20:28: not a location: locations=`s3://a/../b`
            `file:///DIRECTORY`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`
        p.toml:20:43: not a location: locations=`gs://a?x`
            `file:///DIRECTORY`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`
        p.toml:20:55: not a location: locations=(from outside the file, not shown)
            a URL, with all of its path: `file:///DIRECTORY`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`"#]],
    );
    wrong(
        "locations = [\"s3://key:secret@bucket\"]\nevery = \"2h\"",
        expect![[r#"
        p.toml:20:14: a key does not belong into a location
            AWS_…, GOOGLE_… and AZURE_… in the environment
        p.toml:21:9: out of bounds: every=`2h`
            from 1s to 1h"#]],
    );
}
