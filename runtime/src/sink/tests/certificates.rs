//! A server that asks who we are: a certificate lets us in, and another one after it was rotated. The server is openssl's, in this
//! process; it answers any request with 200 and an empty object.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod, SslVerifyMode};
use openssl::x509::X509;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};

use super::*;
use crate::config::{ClientCertificateSettings, Secret};
use crate::sink::client::Client;

type Authority = CertifiedIssuer<'static, KeyPair>;

struct Identity {
    certificate: X509,
    key: PKey<Private>,
}

impl Identity {
    fn issue(name: &str, authority: &Authority) -> Identity {
        let (parameters, key) = named(name);
        let certificate = parameters.signed_by(&key, authority).unwrap();
        let certificate = X509::from_der(certificate.der()).unwrap();
        Identity { certificate, key: PKey::private_key_from_der(&key.serialize_der()).unwrap() }
    }

    fn write(&self, path: &Path, password: &str) {
        let mut builder = Pkcs12::builder();
        builder.name("client").pkey(&self.key).cert(&self.certificate);
        std::fs::write(path, builder.build2(password).unwrap().to_der().unwrap()).unwrap();
    }
}

fn authority() -> Authority {
    let (mut parameters, key) = named("authority");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, key).unwrap()
}

fn named(name: &str) -> (CertificateParams, KeyPair) {
    let mut parameters = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    // Its name alone.
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    (parameters, KeyPair::generate().unwrap())
}

/// Lets in who has a certificate of the authority; notes their names.
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

fn serve(authority: &Authority) -> Server {
    let own = Identity::issue("server", authority);
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor.set_private_key(&own.key).unwrap();
    acceptor.set_certificate(&own.certificate).unwrap();
    acceptor.cert_store_mut().add_cert(X509::from_der(authority.der()).unwrap()).unwrap();
    acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    let acceptor = acceptor.build();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = seen.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (acceptor, noted) = (acceptor.clone(), noted.clone());
            thread::spawn(move || answer(&acceptor, stream.unwrap(), &noted));
        }
    });
    Server { url, seen }
}

fn answer(acceptor: &SslAcceptor, stream: TcpStream, noted: &Mutex<Vec<String>>) {
    let Ok(mut stream) = acceptor.accept(stream) else { return };
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return;
        }
        request.push(byte[0]);
    }
    let peer = stream.ssl().peer_certificate().expect("nobody comes in without one");
    let name = peer.subject_name().entries().next().unwrap().data().to_string().unwrap();
    noted.lock().unwrap().push(name);
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_lets_us_in_and_another_one_after_it() {
    let folder = std::env::temp_dir().join(format!("tidegate-certificates-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let authority = authority();
    let (ca, file) = (folder.join("ca.pem"), folder.join("client.p12"));
    std::fs::write(&ca, authority.pem()).unwrap();
    Identity::issue("first", &authority).write(&file, "hunter2");
    let server = serve(&authority);

    let without = ElasticsearchSettings { ca: Some(ca), ..settings(&server.url) };
    Client::new(&without).unwrap().get("/").await.expect_err("nobody knows us");

    let password = |text: &str| Some(Credential::Fixed(Secret::new(text)));
    let certificate = |password| Some(ClientCertificateSettings { file: file.clone(), password });
    let wrong = ElasticsearchSettings { client_certificate: certificate(password("hunter3")), ..without.clone() };
    let words = Client::new(&wrong).err().expect("a wrong password").to_string();
    assert!(words.contains("the client certificate cannot be used") && words.contains("client.p12"), "{words}");
    assert!(!words.contains("hunter3"), "{words}");

    let right = ElasticsearchSettings { client_certificate: certificate(password("hunter2")), ..without };
    let client = Client::new(&right).unwrap();
    assert_eq!(client.get("/").await.unwrap().status, 200);
    Identity::issue("second", &authority).write(&file, "hunter2");
    while server.seen.lock().unwrap().last().map(String::as_str) != Some("second") {
        assert_eq!(client.get("/").await.unwrap().status, 200);
    }
    assert_eq!(server.seen.lock().unwrap().first().map(String::as_str), Some("first"));
    std::fs::remove_dir_all(&folder).unwrap();
}
