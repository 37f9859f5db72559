//! What a real Elasticsearch with security on is given: certificates of an authority of our own, users with passwords, what they may do. It
//! lies in a folder, which `scripts/servers/secured.sh` hands to the server, as often as it changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::hash::MessageDigest;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::x509::X509;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, Identity};

use crate::servers::{secure, secured};
use crate::{block_on, wait_until};

/// Who the pipeline is, and the password of its certificate.
pub const USER: &str = "tidegate";
pub const CERTIFICATE_PASSWORD: &str = "of the certificate";
/// Who the test is.
const TESTER: &str = "tester";
const TESTERS_PASSWORD: &str = "of the tester";
const LIMIT: Duration = Duration::from_secs(60);
const ITERATIONS: usize = 1000;
const HASH_BYTES: usize = 32;

pub struct Secured {
    folder: PathBuf,
    pub url: String,
}

impl Secured {
    /// Starts a server that lets the pipeline in with a password, and lets it do this with these indices.
    pub fn start(folder: &Path, password: &str, indices: &str) -> Secured {
        let mut secured = Secured { folder: folder.to_owned(), url: String::new() };
        fs::create_dir_all(folder).expect("the scratch folder is writable");
        secured.write("tester", format!("{TESTER}:{TESTERS_PASSWORD}"));
        secured.issue();
        secured.set_users(password);
        secured.set_roles(indices);
        secured.url = self::secured(folder);
        secured
    }

    /// Hands what has changed to the server, which looks at it now and then.
    pub fn hand_over(&self) {
        secure(&self.folder);
    }

    pub fn set_users(&self, password: &str) {
        self.write("users", format!("{USER}:{}\n{TESTER}:{}\n", hashed(password), hashed(TESTERS_PASSWORD)));
        self.write("users_roles", format!("writer:{USER}\nsuperuser:{TESTER}\n"));
    }

    pub fn set_roles(&self, indices: &str) {
        let text = format!(
            "writer:\n  cluster: [monitor, manage_index_templates]\n  indices:\n    - names: [\"{indices}\"]\n      \
             privileges: [create_index, index, read, view_index_metadata]\n"
        );
        self.write("roles.yml", text);
    }

    /// A new authority, and what it says of the server, of the pipeline and of the test.
    pub fn issue(&self) {
        let authority = authority();
        self.write("ca.pem", authority.pem());
        for name in ["node", TESTER] {
            let (certificate, key) = issued(name, &authority);
            self.write(&format!("{name}.pem"), certificate.pem());
            self.write(&format!("{name}.key"), key.serialize_pem());
        }
        self.write("client.p12", pkcs12(&issued(USER, &authority)).expect("a file of a certificate"));
    }

    /// A client of the test, as the certificates are now.
    pub fn client(&self) -> Client {
        self.client_of(TESTER, TESTERS_PASSWORD)
    }

    fn client_of(&self, user: &str, password: &str) -> Client {
        let read = |name: &str| fs::read(self.folder.join(name)).expect("it was written");
        let identity = Identity::from_pkcs8_pem(&read("tester.pem"), &read("tester.key")).expect("a certificate");
        let authority = Certificate::from_pem(&read("ca.pem")).expect("a certificate");
        let credentials = STANDARD.encode(format!("{user}:{password}"));
        let header = HeaderValue::from_str(&format!("Basic {credentials}")).expect("a header");
        let headers = HeaderMap::from_iter([(AUTHORIZATION, header)]);
        let builder = Client::builder().identity(identity).add_root_certificate(authority).default_headers(headers);
        builder.build().expect("a client")
    }

    /// Gives the pipeline what is in its folder of the authority and of itself.
    pub fn give(&self, pipeline: &Path) {
        for name in ["ca.pem", "client.p12"] {
            fs::copy(self.folder.join(name), pipeline.with_file_name(name)).expect("the scratch folder is writable");
        }
    }

    /// Until the server says this status to the pipeline's user, who asks for an index with a password.
    pub fn wait_for_status(&self, status: u16, password: &str, index: &str) {
        let client = self.client_of(USER, password);
        let url = format!("{}/{index}/_search", self.url);
        wait_until(LIMIT, || {
            let said = block_on(client.get(&url).send()).expect("the server answers").status();
            if said == status { Ok(()) } else { Err(format!("{status} instead of {said}")) }
        });
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.folder.join(name), content).expect("the scratch folder is writable");
    }
}

/// As the server's file of users has it.
fn hashed(password: &str) -> String {
    let (salt, mut hash) = ([7; HASH_BYTES], [0; HASH_BYTES]);
    pbkdf2_hmac(password.as_bytes(), &salt, ITERATIONS, MessageDigest::sha512(), &mut hash).expect("a hash");
    format!("{{PBKDF2}}{ITERATIONS}${}${}", STANDARD.encode(salt), STANDARD.encode(hash))
}

type Authority = CertifiedIssuer<'static, KeyPair>;

/// Another one of the same name would be taken for the same.
fn authority() -> Authority {
    let (mut parameters, key) = named(&format!("authority {}", fastrand::u32(..)));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, key).expect("a certificate")
}

/// What the authority says of somebody, and the key.
fn issued(name: &str, authority: &Authority) -> (rcgen::Certificate, KeyPair) {
    let (parameters, key) = named(name);
    (parameters.signed_by(&key, authority).expect("a certificate"), key)
}

fn named(name: &str) -> (CertificateParams, KeyPair) {
    let mut parameters = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
    parameters.distinguished_name.push(DnType::CommonName, name);
    (parameters, KeyPair::generate().expect("a key"))
}

fn pkcs12((certificate, key): &(rcgen::Certificate, KeyPair)) -> Result<Vec<u8>, openssl::error::ErrorStack> {
    let (certificate, key) = (X509::from_der(certificate.der())?, PKey::private_key_from_der(&key.serialize_der())?);
    Pkcs12::builder().name(USER).pkey(&key).cert(&certificate).build2(CERTIFICATE_PASSWORD)?.to_der()
}
