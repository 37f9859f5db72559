//! What comes from outside the file is never shown.

use expect_test::expect;

use super::*;
use crate::config::Auth;

const SECRETS: [&str; 2] = ["hunter2", "hunter3"];

fn hides(shown: &str) {
    for secret in SECRETS {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn no_secret_is_in_debug_output() {
    let settings = With {
        root: "[[transform]]\nplugin = \"redact.wasm\"\nsettings = { key = \"${PASSWORD}\" }",
        kafka: "librdkafka = { \"sasl.password\" = \"${PASSWORD}\", \"sasl.username\" = \"hunter3\" }",
        elasticsearch: "auth = { user = \"u\", password = \"${PASSWORD}\" }",
        ..With::default()
    };
    hides(&format!("{:?}", settings.right()));
}

#[test]
fn no_error_shows_a_value_from_outside() {
    for kafka in ["start = \"${SOON}\"", "on_data_loss = \"${SOON}\"", "topics = [\"${SOON} x\"]", "group = \"${SOON}"]
    {
        let file = With { kafka, ..With::default() }.file();
        let errors = parse(&file.replace("topics = [\"t\"]\ntopics", "topics")).unwrap_err();
        hides(&errors.to_string());
        hides(&format!("{errors:?}"));
    }
    let file = With {
        watermark: "idle_after = \"${SOON}\"",
        elasticsearch: "bulk_bytes_max = \"${SOON}\"",
        output: "id = \"${SOON}\"",
        root: "[[transform]]\nplugin = \"${SOON}\"\nsettings = { table = \"@${SOON}\" }",
        ..With::default()
    };
    let errors = parse(&file.file().replace("\"i\"", "\"${SOON}X\"").replace("\"p\"", "\"${SOON} x\"")).unwrap_err();
    assert_eq!(errors.0.len(), 6, "{errors}");
    hides(&errors.to_string());
    let file = With {
        decode: "event_time = \"$${SOON}\"",
        watermark: "out_of_order = \"1m\"",
        aggregate: "window = { tumbling = \"1m\" }\ngroup_by = [\"${SOON}\", \"${SOON}\"]",
        ..With::default()
    };
    let file = file.file().replace("\"t\"", "\"${SOON}\", \"${SOON}\"").replace("\"i\"", "\"{a{${SOON}}\"");
    let errors = parse(&file).unwrap_err();
    assert_eq!(errors.0.len(), 4, "{errors}");
    hides(&errors.to_string());
}

#[test]
fn an_address_with_a_password_is_refused_unseen() {
    let file = With::default().file().replace("http://e:9200", "http://u:hunter2@e:9200");
    hides(&parse(&file).unwrap_err().to_string());
}

#[test]
fn a_secret_may_be_in_a_file_of_its_own() {
    let folder = Folder::new("secret");
    let file = |name: &str| {
        let auth = format!("auth = {{ api_key = {{ file = \"{}\" }} }}", folder.0.join(name).display());
        With::default().file().replace("urls = [\"http://e:9200\"]", &format!("urls = [\"http://e:9200\"]\n{auth}"))
    };
    folder.write("key", "hunter2\n");
    let settings = parse(&file("key")).unwrap();
    hides(&format!("{settings:?}"));
    let Auth::ApiKey(credential) = &settings.sinks[0].auth else { panic!("{:?}", settings.sinks[0].auth) };
    assert_eq!(credential.read().unwrap().expose(), "hunter2");
    let errors = parse(&file("missing")).unwrap_err().to_string();
    assert!(errors.contains("cannot read the secret: file=") && errors.contains("No such file"), "{errors}");
    folder.write("empty", "\n");
    let errors = parse(&file("empty")).unwrap_err().to_string();
    assert!(errors.contains("it is empty"), "{errors}");
    // Emptied while it runs: no secret to take, so the former one stays.
    folder.write("key", "");
    assert!(credential.read().unwrap_err().to_string().ends_with("key`: it is empty"));
}

#[test]
fn settings_take_files_from_beside_the_pipeline() {
    let folder = Folder::new("settings");
    folder.write("countries.csv", "de,Germany\n");
    let file = With {
        root: "[[transform]]\nplugin = \"lookup.wasm\"\nsettings = { table = \"@countries.csv\", at = \"@@x\", \
               deep = [\"@countries.csv\"], key = \"${PASSWORD}\" }",
        ..With::default()
    };
    let settings = parse_in(&folder.0, &file.file()).unwrap_or_else(|errors| panic!("{errors}"));
    expect![[r#"{"at":"@x","deep":["de,Germany\n"],"key":"hunter2","table":"de,Germany\n"}"#]]
        .assert_eq(&settings.transforms[0].plugin.settings);
}
