//! What a real Elasticsearch with security on is given: certificates of an authority of our own, users with passwords, what they may do. It
//! lies in a folder, which `scripts/servers/secured.sh` hands to the server, as often as it changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
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
        // Another one of the same name would be taken for the same.
        let authority = Issued::new(&format!("authority {}", fastrand::u32(..)), None);
        self.write("ca.pem", authority.certificate_pem());
        for name in ["node", TESTER] {
            let issued = Issued::new(name, Some(&authority));
            self.write(&format!("{name}.pem"), issued.certificate_pem());
            self.write(&format!("{name}.key"), issued.key_pem());
        }
        self.write("client.p12", Issued::new(USER, Some(&authority)).pkcs12());
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

struct Issued {
    certificate: X509,
    key: PKey<Private>,
}

impl Issued {
    /// An authority where nobody issues it.
    fn new(name: &str, issuer: Option<&Issued>) -> Issued {
        Issued::build(name, issuer).expect("openssl makes a certificate")
    }

    fn build(name: &str, issuer: Option<&Issued>) -> Result<Issued, openssl::error::ErrorStack> {
        let key = PKey::from_rsa(Rsa::generate(2048)?)?;
        let mut names = X509NameBuilder::new()?;
        names.append_entry_by_text("CN", name)?;
        let names = names.build();
        let mut builder = X509::builder()?;
        builder.set_version(2)?;
        let serial = BigNum::from_u32(fastrand::u32(1..))?.to_asn1_integer()?;
        builder.set_serial_number(&serial)?;
        builder.set_subject_name(&names)?;
        builder.set_issuer_name(issuer.map_or(&names, |issuer| issuer.certificate.subject_name()))?;
        builder.set_pubkey(&key)?;
        let (now, then) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(2)?);
        builder.set_not_before(&now)?;
        builder.set_not_after(&then)?;
        match issuer {
            None => builder.append_extension(BasicConstraints::new().critical().ca().build()?)?,
            Some(issuer) => {
                let context = builder.x509v3_context(Some(&issuer.certificate), None);
                let address = SubjectAlternativeName::new().ip("127.0.0.1").build(&context)?;
                builder.append_extension(address)?;
            }
        }
        builder.sign(issuer.map_or(&key, |issuer| &issuer.key), MessageDigest::sha256())?;
        Ok(Issued { certificate: builder.build(), key })
    }

    fn certificate_pem(&self) -> Vec<u8> {
        self.certificate.to_pem().expect("a certificate can be written")
    }

    fn key_pem(&self) -> Vec<u8> {
        self.key.private_key_to_pem_pkcs8().expect("a key can be written")
    }

    fn pkcs12(&self) -> Vec<u8> {
        let mut builder = Pkcs12::builder();
        builder.name(USER).pkey(&self.key).cert(&self.certificate);
        let file = builder.build2(CERTIFICATE_PASSWORD).expect("a certificate can be written");
        file.to_der().expect("a certificate can be written")
    }
}
