//! A hunt for secrets: they are planted in the environment and in files, and looked for, in all their forms, in all that comes out.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::program::{binary, components};
use crate::reload::guest;
use crate::workspace::{files, scratch};

/// All that the log can say, but for what the compiler of components says of its work.
const LEVEL: &str = "debug,tidegate=trace,librdkafka=trace,hyper=trace,hyper_util=trace,reqwest=trace,elasticsearch=trace,\
                     object_store=trace,cranelift_codegen=info,regalloc2=info";

/// A program's surroundings.
pub struct Hunt {
    /// What the program may write into.
    pub folder: PathBuf,
    /// What it is given: the pipeline file, components, files with secrets.
    pub given: PathBuf,
    pub environment: Vec<(String, String)>,
    secrets: BTreeMap<String, String>,
    /// So many pipeline files.
    written: AtomicUsize,
}

impl Hunt {
    /// With folders of its own.
    pub fn new(test: &str) -> Hunt {
        let (folder, given) = (scratch(&format!("secrets-{test}")), scratch(&format!("secrets-{test}-given")));
        let cache = folder.join("cache").display().to_string();
        let environment = vec![("TIDEGATE_LOG".to_owned(), LEVEL.to_owned()), ("TIDEGATE_CACHE".to_owned(), cache)];
        let mut hunt = Hunt { folder, given, environment, secrets: BTreeMap::new(), written: AtomicUsize::new(0) };
        fs::create_dir(hunt.given.join("plugins")).expect("the scratch folder is writable");
        for name in ["mark", "tally"] {
            fs::copy(guest(name), hunt.given.join(format!("plugins/{name}.wasm"))).expect("the guests are built");
        }
        fs::copy(components().join("redact.wasm"), hunt.given.join("plugins/redact.wasm")).expect("it is built");
        for name in [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "GOOGLE_SERVICE_ACCOUNT_KEY",
            "KAFKA_PASSWORD",
            "KAFKA_USER",
            "PLUGIN",
            "INDEX",
            "SECOND_INDEX",
            "ANY",
        ] {
            hunt.plant(name);
        }
        let azure = STANDARD.encode(hunt.secret("AZURE"));
        hunt.secrets.insert("AZURE_ENCODED".to_owned(), azure.clone());
        hunt.environment.push(("AZURE_STORAGE_ACCOUNT_KEY".to_owned(), azure));
        for name in ["index", "key-password", "ca.pem"] {
            let secret = hunt.secret(name);
            fs::write(hunt.given.join(name), format!("{secret}\n")).expect("the scratch folder is writable");
        }
        hunt
    }

    /// A secret of this name; the same each time.
    pub fn secret(&mut self, name: &str) -> String {
        let count = self.secrets.len();
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        self.secrets.entry(name.to_owned()).or_insert_with(|| format!("hunted{plain}{count:02}zQ9x7Kw3")).clone()
    }

    /// One that is a variable in the environment.
    fn plant(&mut self, name: &str) {
        let secret = self.secret(name);
        self.environment.push((name.to_owned(), secret));
    }

    /// A pipeline file of its own.
    pub fn write(&self, text: &str) -> PathBuf {
        let file = self.given.join(format!("pipeline-{}.toml", self.written.fetch_add(1, Ordering::Relaxed)));
        fs::write(&file, text).expect("the scratch folder is writable");
        file
    }

    /// Fails where a secret is shown.
    pub fn look(&self, place: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for (name, secret) in &self.secrets {
            for form in forms(secret) {
                if let Some(at) = text.find(&form) {
                    let (from, to) = (text.floor_char_boundary(at.saturating_sub(300)), at + form.len());
                    panic!("{place}: the secret {name} is shown: …{}", &text[from..to]);
                }
            }
        }
    }

    /// Runs a command to its end, and looks at what it says.
    pub fn command(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(binary());
        command.args(arguments).envs(self.environment.iter().cloned()).current_dir(&self.folder);
        let output = command.output().expect("it can be run");
        let said = [output.stdout, output.stderr].concat();
        self.look(&arguments.join(" "), &said);
        String::from_utf8_lossy(&said).into_owned()
    }

    /// The same; `FILE` stands for the pipeline file.
    pub fn command_on(&self, command: &str, file: &str) -> String {
        let arguments: Vec<&str> = command.split(' ').map(|word| if word == "FILE" { file } else { word }).collect();
        self.command(&arguments)
    }

    /// Looks at all files that the program wrote.
    pub fn look_at_files(&self) {
        let found = files(&self.folder, "");
        for file in &found {
            self.look(&file.display().to_string(), &fs::read(file).expect("it was found"));
        }
    }
}

/// How a secret may be written: as it is, and within base64, wherever it begins.
fn forms(secret: &str) -> Vec<String> {
    let shifted = |shift: usize| {
        let encoded = STANDARD.encode([&vec![0; shift][..], secret.as_bytes()].concat());
        // What is made of these bytes alone.
        let (from, to) = ((shift * 8).div_ceil(6), (shift + secret.len()) * 8 / 6);
        encoded[from..to].to_owned()
    };
    (0..3).map(shifted).chain([secret.to_owned()]).collect()
}

/// The answer of the console.
pub fn get(address: SocketAddr, request: &str) -> Vec<u8> {
    let mut answer = Vec::new();
    let mut stream = TcpStream::connect(address).expect("the console is there");
    let host = "Host: localhost\r\nConnection: close\r\nTidegate-Request: 1\r\nContent-Length: 0";
    write!(stream, "{request} HTTP/1.1\r\n{host}\r\n\r\n").expect("it is sent");
    stream.read_to_end(&mut answer).expect("it is answered");
    answer
}

/// A server that refuses everybody, and says what it was sent: some do.
pub fn refusing(status: &str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port is there");
    let address = listener.local_addr().expect("it listens");
    let status = status.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = vec![0; 64 << 10];
            let read = stream.read(&mut request).unwrap_or(0);
            let sent = String::from_utf8_lossy(&request[..read]).replace(['\r', '\n', '"', '\\'], " ");
            let body =
                format!(r#"{{"error":{{"type":"security_exception","reason":"not with {sent}"}},"status":401}}"#);
            let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close");
            let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    address
}

/// Where nobody listens.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port is there");
    listener.local_addr().expect("it listens")
}
