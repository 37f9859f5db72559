//! What can be known of the clusters without asking them: addresses, certificates, files of index templates.

use serde_json::Value;

use super::Problem;
use crate::config::{PipelineSettings, Places};
use crate::record::HasKind;
use crate::sink::{SinkError, check_settings};

/// A look at the cluster itself begins with its settings.
pub(super) fn check(settings: &PipelineSettings, places: &Places, online: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for sink in settings.sinks.iter().filter(|_| !online) {
        if let Err(error) = check_settings(sink) {
            let place = format!("sink.{}.{}", sink.name, key_of(&error));
            problems.push(Problem { error: places.error(&place, error.to_string(), None), kind: error.kind() });
        }
    }
    for (number, output) in settings.outputs.iter().enumerate() {
        let Some(path) = &output.template else { continue };
        let text = std::fs::read(path).map_err(|error| error.to_string());
        let read = text.and_then(|text| serde_json::from_slice::<Value>(&text).map_err(|error| error.to_string()));
        if let Err(error) = read {
            let message = format!("cannot read the index template path=`{}`: {error}", path.display());
            let hint = "a file in JSON, as `PUT _index_template` takes it; a path that is not absolute is looked up beside the pipeline file";
            let error = places.error(&format!("output[{number}].template"), message, Some(hint.into()));
            problems.push(Problem::config(error));
        }
    }
    problems
}

/// The key that the error is about.
fn key_of(error: &SinkError) -> &'static str {
    match error {
        SinkError::Ca { .. } => "ca",
        SinkError::ClientCertificate { .. } => "client_certificate",
        SinkError::Secret(_) | SinkError::Credential { .. } => "auth",
        SinkError::NoUrl
        | SinkError::Url { .. }
        | SinkError::Client(_)
        | SinkError::Unreachable { .. }
        | SinkError::TooOld { .. }
        | SinkError::Template { .. }
        | SinkError::Unauthorised { .. }
        | SinkError::Answer { .. } => "urls",
    }
}
