//! The connection to the index as it is now. What lets us in may be in files, which are looked at again now and then: a secret, a
//! certificate or an authority that was rotated is taken while the pipeline runs.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use elasticsearch::auth::{ClientCertificate, Credentials};
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::Url;
use elasticsearch::http::transport::{Transport, TransportBuilder};

use super::SinkError;
use super::nodes::Nodes;
use super::ways_in::WaysIn;
use crate::config::{Auth, Credential, ElasticsearchSettings, Secret};

/// What was rotated is taken after this long.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(crate) struct CurrentConnection {
    settings: ElasticsearchSettings,
    nodes: Nodes,
    last: Mutex<Last>,
}

struct Last {
    looked: Instant,
    access: Access,
    transport: Transport,
    ways_in: WaysIn,
    /// The log says that what is in the files now cannot be used.
    is_told: bool,
}

/// What the files said when the transport was made.
#[derive(PartialEq, Eq)]
struct Access {
    secret: Option<Secret>,
    authorities: Option<Vec<u8>>,
    certificate: Option<(Vec<u8>, Option<Secret>)>,
}

impl CurrentConnection {
    pub fn new(settings: &ElasticsearchSettings) -> Result<Self, SinkError> {
        let access = Access::read(settings)?;
        let nodes = nodes(settings)?;
        let transport = transport(settings, &access, &nodes)?;
        let ways_in = WaysIn::new(&settings.auth, access.secret.as_ref());
        let last = Mutex::new(Last { looked: Instant::now(), access, transport, ways_in, is_told: false });
        Ok(CurrentConnection { settings: settings.clone(), nodes, last })
    }

    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// What cannot be read or used yet changes nothing.
    pub fn transport(&self) -> (Transport, WaysIn) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.looked.elapsed() >= LOOK_EVERY {
            last.looked = Instant::now();
            self.look(&mut last);
        }
        (last.transport.clone(), last.ways_in.clone())
    }

    fn look(&self, last: &mut Last) {
        let now = Access::read(&self.settings).and_then(|access| match access == last.access {
            true => Ok(None),
            false => Ok(Some((transport(&self.settings, &access, &self.nodes)?, access))),
        });
        match now {
            Ok(None) => {}
            Ok(Some((transport, access))) => {
                last.ways_in = WaysIn::new(&self.settings.auth, access.secret.as_ref());
                (last.transport, last.access, last.is_told) = (transport, access, false);
                tracing::info!(sink = self.settings.name, "the secret or a certificate for the index has changed");
            }
            Err(error) => {
                if !std::mem::replace(&mut last.is_told, true) {
                    let sink = &self.settings.name;
                    tracing::warn!(sink, "the former secret or certificate is still used for the index: {error}");
                }
            }
        }
    }
}

impl Access {
    fn read(settings: &ElasticsearchSettings) -> Result<Self, SinkError> {
        let authorities = |path: &Path| {
            fs::read(path).map_err(|error| SinkError::Ca { path: path.to_owned(), error: error.to_string() })
        };
        let certificate = settings.client_certificate.as_ref().map(|certificate| {
            let path = || certificate.file.clone();
            let bytes = fs::read(&certificate.file)
                .map_err(|error| SinkError::ClientCertificate { path: path(), error: error.to_string() })?;
            Ok((bytes, certificate.password.as_ref().map(read).transpose()?))
        });
        let secret = match &settings.auth {
            Auth::None => None,
            Auth::Basic { password: secret, .. } | Auth::ApiKey(secret) | Auth::Bearer(secret) => Some(read(secret)?),
        };
        Ok(Access {
            secret,
            authorities: settings.ca.as_deref().map(authorities).transpose()?,
            certificate: certificate.transpose()?,
        })
    }
}

fn read(secret: &Credential) -> Result<Secret, SinkError> {
    secret.read().map_err(|error| SinkError::Secret(error.to_string()))
}

fn nodes(settings: &ElasticsearchSettings) -> Result<Nodes, SinkError> {
    let urls: Vec<Url> = settings.urls.iter().map(|url| parse_url(url)).collect::<Result<_, _>>()?;
    if urls.is_empty() { Err(SinkError::NoUrl) } else { Ok(Nodes::new(urls)) }
}

fn transport(settings: &ElasticsearchSettings, access: &Access, nodes: &Nodes) -> Result<Transport, SinkError> {
    let local = nodes.urls().all(|url| is_loopback(&url));
    let mut builder = TransportBuilder::new(nodes.clone())
        .enable_meta_header(false)
        .request_body_compression(settings.gzip)
        .timeout(settings.timeout);
    if local {
        builder = builder.disable_proxy();
    }
    if let (Some(path), Some(pem)) = (&settings.ca, &access.authorities) {
        let refused = |error: String| SinkError::Ca { path: path.clone(), error };
        let authorities = Certificate::from_pem(pem).map_err(|error| refused(error.to_string()))?;
        builder = builder.cert_validation(CertificateValidation::Full(authorities));
    }
    if let (Some(certificate), Some((bytes, password))) = (&settings.client_certificate, &access.certificate) {
        let password = password.as_ref().map(Secret::expose);
        // The builder would not say whose fault it is.
        reqwest::Identity::from_pkcs12_der(bytes, password.unwrap_or_default()).map_err(|error| {
            SinkError::ClientCertificate { path: certificate.file.clone(), error: with_causes(&error) }
        })?;
        builder = builder.auth(ClientCertificate::Pkcs12(bytes.clone(), password.map(str::to_owned)).into());
    }
    let transport = builder.build().map_err(|error| SinkError::Client(error.to_string()))?;
    let credentials = match (&settings.auth, &access.secret) {
        (Auth::None, _) | (_, None) => None,
        (Auth::Basic { user, .. }, Some(secret)) => Some(Credentials::Basic(user.clone(), secret.expose().to_owned())),
        (Auth::ApiKey(_), Some(secret)) => Some(Credentials::EncodedApiKey(for_header(secret, "api_key")?)),
        (Auth::Bearer(_), Some(secret)) => Some(Credentials::Bearer(for_header(secret, "bearer")?)),
    };
    if let Some(credentials) = credentials {
        transport.set_auth(credentials);
    }
    Ok(transport)
}

/// The transport takes for granted that a credential can stand in a header.
fn for_header(secret: &Secret, name: &'static str) -> Result<String, SinkError> {
    let text = secret.expose();
    match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err(SinkError::Credential { name }),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_machine_is_reached_without_the_proxy() {
        let loopback = |url| is_loopback(&Url::parse(url).unwrap());
        assert!(["http://localhost:1", "http://127.0.0.1", "http://[::1]:9200"].into_iter().all(loopback));
        assert!(!loopback("http://es:9200"));
    }
}
