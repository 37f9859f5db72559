//! The requests to the index, carried by the official client's transport: pool, credentials, TLS. A body goes out as
//! the bytes that it is, and what comes back is told without judging it.

use std::error::Error as _;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::headers::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use elasticsearch::http::transport::{MultiNodeConnectionPool, Transport, TransportBuilder};
use elasticsearch::http::{Method, Url};

use super::SinkError;
use super::answer::BULK_PATH;
use super::credentials::CurrentCredentials;
use crate::config::ElasticsearchSettings;

/// Sends requests to whichever node is next.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    transport: Transport,
    auth: Option<Arc<CurrentCredentials>>,
    timeout: Duration,
}

/// What came back, whatever it says.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub body: Bytes,
    /// The answer has the header by which Elasticsearch, and nothing else, names itself.
    pub is_elasticsearch: bool,
}

/// Nothing whole came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Broken {
    pub kind: BrokenKind,
    pub message: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BrokenKind {
    NoConnection,
    Reset,
    TimeOut,
    Other,
}

impl Client {
    pub fn new(settings: &ElasticsearchSettings) -> Result<Self, SinkError> {
        let urls: Vec<Url> = settings.urls.iter().map(|url| parse_url(url)).collect::<Result<_, _>>()?;
        if urls.is_empty() {
            return Err(SinkError::NoUrl);
        }
        let local = urls.iter().all(is_loopback);
        let mut builder = TransportBuilder::new(MultiNodeConnectionPool::round_robin(urls, None))
            .enable_meta_header(false)
            .request_body_compression(settings.gzip)
            .timeout(settings.timeout);
        if local {
            builder = builder.disable_proxy();
        }
        if let Some(path) = &settings.ca {
            let refused = |error: String| SinkError::Ca { path: path.clone(), error };
            let pem = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
            let certificate = Certificate::from_pem(&pem).map_err(|error| refused(error.to_string()))?;
            builder = builder.cert_validation(CertificateValidation::Full(certificate));
        }
        let transport = builder.build().map_err(|error| SinkError::Client(error.to_string()))?;
        let auth = CurrentCredentials::new(&settings.auth)?.map(|(auth, credentials)| {
            transport.set_auth(credentials);
            Arc::new(auth)
        });
        Ok(Client { transport, auth, timeout: settings.timeout })
    }

    /// How long a server may wait for a shard before it says so: well before we stop waiting for it.
    fn shard_wait(&self) -> Duration {
        (self.timeout / 2).min(Duration::from_secs(10))
    }

    pub async fn bulk(&self, body: Bytes) -> Result<Reply, Broken> {
        let path = format!("{BULK_PATH}&timeout={}ms", self.shard_wait().as_millis());
        self.send(Method::Post, &path, Some(("application/x-ndjson", body))).await
    }

    pub async fn get(&self, path: &str) -> Result<Reply, Broken> {
        self.send(Method::Get, path, None).await
    }

    /// JSON.
    pub async fn put(&self, path: &str, body: Bytes) -> Result<Reply, Broken> {
        self.send(Method::Put, path, Some(("application/json", body))).await
    }

    pub async fn post(&self, path: &str) -> Result<Reply, Broken> {
        self.send(Method::Post, path, None).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<(&'static str, Bytes)>) -> Result<Reply, Broken> {
        if let Some(credentials) = self.auth.as_ref().and_then(|auth| auth.changed()) {
            self.transport.set_auth(credentials);
        }
        let mut headers = HeaderMap::new();
        // Answers are short and mostly the same: packing them costs both sides more than it saves.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some((content_type, _)) = &body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        let body = body.map(|(_, body)| body);
        let response = self.transport.send(method, path, headers, None::<&()>, body, None).await;
        let response = response.map_err(|error| broken(&error))?;
        let status = response.status_code().as_u16();
        let is_elasticsearch =
            response.headers().get("x-elastic-product").is_some_and(|product| product == "Elasticsearch");
        let body = response.bytes().await.map_err(|error| broken(&error))?;
        Ok(Reply { status, body, is_elasticsearch })
    }
}

fn parse_url(text: &str) -> Result<Url, SinkError> {
    let refused = |error: &str| SinkError::Url { url: text.into(), error: error.into() };
    let url = Url::parse(text).map_err(|error| refused(&error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        // The text would show the password.
        let error = "it holds credentials; put them under auth".into();
        return Err(SinkError::Url { url: url.host_str().unwrap_or_default().into(), error });
    }
    match (url.scheme(), url.host_str()) {
        ("http" | "https", Some(_)) => Ok(url),
        _ => Err(refused("it does not begin with http:// or https:// and a host")),
    }
}

/// No proxy from the environment stands between us and our own machine.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn broken(error: &elasticsearch::Error) -> Broken {
    let mut kind = if error.is_timeout() { BrokenKind::TimeOut } else { BrokenKind::Other };
    let mut message = without_query(&error.to_string());
    let mut cause = error.source();
    // The first cause is the client's own error again.
    let mut first = true;
    while let Some(error) = cause {
        let text = error.to_string();
        if !first && !message.ends_with(&text) {
            message = format!("{message}: {text}");
        }
        first = false;
        if kind == BrokenKind::Other {
            kind = kind_of(error, &text);
        }
        cause = error.source();
    }
    Broken { kind, message }
}

/// The client names the whole address of a request; what was asked for is always the same.
fn without_query(message: &str) -> String {
    match message.split_once('?').and_then(|(head, tail)| Some((head, tail.split_once(')')?.1))) {
        Some((head, tail)) => format!("{head}){tail}"),
        None => message.into(),
    }
}

fn kind_of(error: &(dyn std::error::Error + 'static), text: &str) -> BrokenKind {
    use io::ErrorKind::*;
    match error.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(ConnectionRefused | HostUnreachable | NetworkUnreachable | NotFound | AddrNotAvailable) => {
            BrokenKind::NoConnection
        }
        Some(ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof) => BrokenKind::Reset,
        Some(TimedOut) => BrokenKind::TimeOut,
        Some(_) | None => match text {
            "connection closed before message completed" => BrokenKind::Reset,
            text if text.starts_with("dns error") || text == "tcp connect error" => BrokenKind::NoConnection,
            _ => BrokenKind::Other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Auth, Credential, Secret};

    fn settings(url: &str, auth: Auth) -> ElasticsearchSettings {
        ElasticsearchSettings {
            urls: vec![url.into()],
            auth,
            ca: None,
            bulk_bytes_max: 1,
            bulk_age_max: Duration::from_secs(1),
            in_flight_max: 1,
            gzip: false,
            indices_max: 500,
            timeout: Duration::from_secs(1),
            policy: Vec::new(),
        }
    }

    fn refused(url: &str, auth: Auth) -> String {
        Client::new(&settings(url, auth)).expect_err("a wrong setting").to_string()
    }

    #[test]
    fn wrong_settings_are_told_without_the_secret() {
        assert_eq!(
            refused("http://me:hunter2@es:9200", Auth::None),
            "not an address of an index url=`es`: it holds credentials; put them under auth"
        );
        assert_eq!(
            refused("es:9200", Auth::None),
            "not an address of an index url=`es:9200`: it does not begin with http:// or https:// and a host"
        );
        assert_eq!(
            refused("http://es:9200", Auth::ApiKey(Credential::Fixed(Secret::new("a\nb")))),
            "the credential api_key is empty or has characters that no header takes: look for a line break in it"
        );
    }

    #[test]
    fn messages_name_the_server_and_not_the_query() {
        assert_eq!(
            without_query("error sending request for url (http://es:9200/_bulk?filter_path=a,b): reset"),
            "error sending request for url (http://es:9200/_bulk): reset"
        );
        assert_eq!(without_query("reset"), "reset");
    }

    #[test]
    fn only_our_own_machine_is_reached_without_the_proxy() {
        let loopback = |url| is_loopback(&Url::parse(url).unwrap());
        assert!(["http://localhost:1", "http://127.0.0.1", "http://[::1]:9200"].into_iter().all(loopback));
        assert!(!loopback("http://es:9200"));
    }
}
