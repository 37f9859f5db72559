//! `[sink.elasticsearch]`, and other clusters beside it.

use std::time::Duration;

use crate::config::reader::{Section, Value};
use crate::config::values::{credential, duration, number, plain_name, size, string};
use crate::config::{Auth, ClientCertificateSettings, ElasticsearchSettings, PolicyRule, Refusal};

/// Elasticsearch's own limit for a request's body.
const BULK_BYTES_MAX: usize = 100_000_000;
const VERSION_CONFLICT: &str = "version_conflict_engine_exception";

/// What is called so where it is the only one, and nothing has another name.
const ELASTICSEARCH: &str = "elasticsearch";

/// The tables under `sink`: their names, and what they say where nothing is wrong with it.
pub(super) struct Sinks {
    pub names: Vec<String>,
    pub read: Option<Vec<ElasticsearchSettings>>,
}

pub(super) fn sinks(mut section: Section<'_>) -> Sinks {
    if section.is_without_keys() {
        let read = elasticsearch(ELASTICSEARCH.to_owned(), section.table(ELASTICSEARCH));
        return Sinks { names: vec![ELASTICSEARCH.to_owned()], read: read.map(|sink| vec![sink]) };
    }
    let sinks = section.take_all();
    let read: Vec<_> = sinks
        .iter()
        .map(|value| {
            let name = plain_name(value);
            let sink = elasticsearch(value.key.to_owned(), value.section());
            name.and(sink)
        })
        .collect();
    Sinks { names: sinks.iter().map(|value| value.key.to_owned()).collect(), read: read.into_iter().collect() }
}

fn elasticsearch(name: String, mut section: Section<'_>) -> Option<ElasticsearchSettings> {
    let urls = section.required("urls", urls);
    let auth = section.or("auth", Auth::None, auth);
    let ca = section.optional("ca", |value| Some(value.reader.folder.join(string(value)?)));
    let seconds = Duration::from_secs;
    let client_certificate = section.optional("client_certificate", client_certificate);
    let bulk_bytes_max = section.or("bulk_bytes_max", 8 << 20, size(1024..=BULK_BYTES_MAX));
    let bulk_age_max = section.or("bulk_age_max", seconds(1), duration(Duration::from_millis(10)..=seconds(60)));
    let in_flight_max = section.or("in_flight_max", 4, number(1..=64));
    let gzip = section.or("gzip", false, Value::boolean);
    let indices_max = section.or("indices_max", 500, number(1..=100_000));
    let timeout = section.or("timeout", seconds(60), duration(Duration::from_millis(100)..=seconds(600)));
    let policy: Vec<_> = section.tables("policy").into_iter().map(policy_rule).collect();
    section.finish();
    Some(ElasticsearchSettings {
        name,
        urls: urls?,
        auth: auth?,
        ca: ca?,
        client_certificate: client_certificate?,
        bulk_bytes_max: bulk_bytes_max?,
        bulk_age_max: bulk_age_max?,
        in_flight_max: in_flight_max?,
        gzip: gzip?,
        indices_max: indices_max?,
        timeout: timeout?,
        policy: policy.into_iter().collect::<Option<_>>()?,
    })
}

fn policy_rule(mut section: Section<'_>) -> Option<PolicyRule> {
    let status = section.optional("status", |value| u16::try_from(number(400..=599)(value)?).ok());
    let error_type = section.optional("type", string);
    let then = section.required("then", |value| {
        value.word(&[
            ("dead-letter", Refusal::DeadLetter),
            ("drop", Refusal::Drop),
            ("retry", Refusal::Retry),
            ("stall", Refusal::Stall),
        ])
    });
    let (any_status, any_type) = (matches!(status, Some(None)), matches!(error_type, Some(None)));
    if any_status && any_type {
        section.wrong::<()>(
            "a rule that fits everything",
            "give it the `status` or the `type` of what it is for, such as `type = \"document_parsing_exception\"`",
        );
    }
    // The index has a newer version, and will have it the next time too.
    let is_conflict = (any_type && status == Some(Some(409)))
        || error_type.as_ref().is_some_and(|kind| kind.as_deref() == Some(VERSION_CONFLICT));
    if is_conflict && matches!(then, Some(Refusal::Retry | Refusal::Stall)) {
        section.wrong::<()>(
            "a version conflict never passes",
            "the index has that version or a newer one already: leave it as it is, or take `dead-letter` or `drop`",
        );
    }
    section.finish();
    Some(PolicyRule { status: status?, error_type: error_type?, then: then? })
}

fn urls(value: &Value<'_>) -> Option<Vec<String>> {
    let urls = value.list(url)?;
    if urls.is_empty() { value.wrong("`urls` is empty", "at least one node's address") } else { Some(urls) }
}

/// Held to what the sink needs: a scheme, a host, no password.
fn url(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let host = rest.map(|rest| rest.split('/').next().unwrap_or(rest));
    match host {
        // Whatever it is, it may hold a password: it is not shown.
        _ if text.contains('@') => {
            value.wrong("user and password do not belong into the address", "write `auth = { user = …, password = … }`")
        }
        Some(host) if !host.is_empty() && !text.contains(['?', '#', ' ']) => Some(text.into_string()),
        _ => text.wrong("not an address", "such as `https://localhost:9200`"),
    }
}

fn client_certificate(value: &Value<'_>) -> Option<ClientCertificateSettings> {
    let mut section = value.section();
    let file = section.required("file", |value| Some(value.reader.folder.join(string(value)?)));
    let password = section.optional("password", credential);
    section.finish();
    Some(ClientCertificateSettings { file: file?, password: password? })
}

fn auth(value: &Value<'_>) -> Option<Auth> {
    const HINT: &str = "{ user, password }, { api_key } or { bearer }";
    let mut section = value.section();
    let user = section.optional("user", string);
    let password = section.optional("password", credential);
    let api_key = section.optional("api_key", credential);
    let bearer = section.optional("bearer", credential);
    let empty = section.is_empty();
    section.finish();
    match (user?, password?, api_key?, bearer?) {
        (Some(user), Some(password), None, None) => Some(Auth::Basic { user, password }),
        (None, None, Some(key), None) => Some(Auth::ApiKey(key)),
        (None, None, None, Some(token)) => Some(Auth::Bearer(token)),
        (None, None, None, None) if !empty => None,
        (None, None, None, None) => value.wrong("`auth` is empty", format!("{HINT}; leave it out for none")),
        (Some(_), None, None, None) | (None, Some(_), None, None) => {
            value.wrong("`auth` has a user without a password, or the reverse", HINT)
        }
        (_, _, _, _) => value.wrong("`auth` has more than one way in", HINT),
    }
}
