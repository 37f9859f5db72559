//! The requests to the index, carried by the official client's transport: pool, credentials, TLS. A body goes out as
//! the bytes that it is, and what comes back is told without judging it.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use elasticsearch::http::headers::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use elasticsearch::http::{Method, Url};

use super::SinkError;
use super::answer::{BULK_PATH, read_error, said};
use super::connection::CurrentConnection;
use super::ways_in::WaysIn;
use crate::config::ElasticsearchSettings;

/// A bulk of which each document is refused has some hundred bytes an item.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Sends requests to whichever node is next.
#[derive(Clone)]
pub(crate) struct Client {
    connection: Arc<CurrentConnection>,
    timeout: Duration,
}

/// What came back, whatever it says.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub status: u16,
    /// May repeat what lets us in: words of it are for nobody before they went through `ways_in`.
    pub body: Bytes,
    /// The answer has the header by which Elasticsearch, and nothing else, names itself.
    pub is_elasticsearch: bool,
    pub ways_in: WaysIn,
}

impl Reply {
    /// The error of a request that was refused as a whole, its type and its reason; none where the body is not the index's own JSON.
    pub fn error(&self) -> Option<(String, String)> {
        let (kind, reason) = read_error(&self.body)?;
        Some((self.ways_in.hide(kind), self.ways_in.hide(reason)))
    }

    /// For people.
    pub fn words(&self) -> String {
        let (kind, reason) = self.error().unwrap_or_default();
        said(self.status, &kind, &reason)
    }
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

/// What can be known of a cluster's settings without asking it: addresses, files of certificates, secrets.
pub fn check_settings(settings: &ElasticsearchSettings) -> Result<(), SinkError> {
    Client::new(settings).map(drop)
}

impl Client {
    pub fn new(settings: &ElasticsearchSettings) -> Result<Self, SinkError> {
        let connection = Arc::new(CurrentConnection::new(settings)?);
        Ok(Client { connection, timeout: settings.timeout })
    }

    /// What is made of answers, without what lets us in.
    pub fn hide(&self, words: String) -> String {
        self.connection.transport().1.hide(words)
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

    /// A question that has a body, in JSON.
    pub async fn ask(&self, path: &str, body: Bytes) -> Result<Reply, Broken> {
        self.send(Method::Post, path, Some(("application/json", body))).await
    }

    pub async fn post(&self, path: &str) -> Result<Reply, Broken> {
        self.send(Method::Post, path, None).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<(&'static str, Bytes)>) -> Result<Reply, Broken> {
        let (transport, ways_in) = self.connection.transport();
        let mut headers = HeaderMap::new();
        // Answers are short and mostly the same: packing them costs both sides more than it saves.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some((content_type, _)) = &body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        let body = body.map(|(_, body)| body);
        let nodes = self.connection.nodes();
        let mut others = nodes.len() - 1;
        let response = loop {
            let sent = transport.send(method, path, headers.clone(), None::<&()>, body.clone(), None).await;
            let error = match sent {
                Ok(response) => break response,
                Err(error) => error,
            };
            let broken = broken(&error);
            if matches!(broken.kind, BrokenKind::NoConnection | BrokenKind::TimeOut)
                && let Some(url) = url_of(&error)
            {
                nodes.mark_away(url, Instant::now());
            }
            // It was not sent, so the next one may have it.
            if broken.kind != BrokenKind::NoConnection || others == 0 {
                return Err(broken);
            }
            others -= 1;
        };
        let url = response.url();
        if !nodes.urls().any(|node| is_of(&node, path, url)) {
            let mut there = url.clone();
            there.set_query(None);
            let message = format!(
                "a redirect led to {there}, and what that answers is not believed: give the nodes themselves in urls"
            );
            return Err(Broken { kind: BrokenKind::Other, message: ways_in.hide(message) });
        }
        if let Some(bytes) = response.content_length().filter(|bytes| *bytes > ANSWER_BYTES_MAX) {
            let message =
                format!("the answer has {bytes} bytes, more than any that is right, max=`{ANSWER_BYTES_MAX}`");
            return Err(Broken { kind: BrokenKind::Other, message });
        }
        nodes.mark_there(url);
        let status = response.status_code().as_u16();
        let is_elasticsearch =
            response.headers().get("x-elastic-product").is_some_and(|product| product == "Elasticsearch");
        let body = response.bytes().await.map_err(|error| broken(&error))?;
        Ok(Reply { status, body, is_elasticsearch, ways_in })
    }
}

/// Whether this is where a request for the path goes at a node.
fn is_of(node: &Url, path: &str, url: &Url) -> bool {
    let asked = node.join(path.trim_start_matches('/'));
    asked.is_ok_and(|asked| asked.origin() == url.origin() && asked.path() == url.path())
}

/// Of the request.
fn url_of(error: &elasticsearch::Error) -> Option<&Url> {
    error.source()?.downcast_ref::<reqwest::Error>()?.url()
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
            name: "elasticsearch".to_owned(),
            urls: vec![url.into()],
            auth,
            ca: None,
            client_certificate: None,
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
        Client::new(&settings(url, auth)).err().expect("a wrong setting").to_string()
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
}
