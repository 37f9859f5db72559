//! A stand-in for an S3-compatible store that ignores conditions: it puts an object where there is one, and says that all is well.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Listens until the process ends.
pub struct Forgetful {
    address: SocketAddr,
}

impl Forgetful {
    pub fn start() -> Forgetful {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let objects = Objects::default();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let objects = objects.clone();
                thread::spawn(move || answer(&stream, &objects));
            }
        });
        Forgetful { address }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// One request a connection.
fn answer(mut stream: &TcpStream, objects: &Objects) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
        head.push(line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = head.first().map(String::as_str).unwrap_or_default().split_whitespace();
    let (method, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().to_owned());
    let mut objects = objects.lock().expect("nobody panics with it");
    let (status, body) = match method {
        "PUT" => {
            objects.insert(name, body);
            ("200 OK", Vec::new())
        }
        "GET" => objects.get(&name).map_or(("404 Not Found", Vec::new()), |object| ("200 OK", object.clone())),
        "DELETE" | "POST" => ("204 No Content", Vec::new()),
        _ => ("400 Bad Request", Vec::new()),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nETag: \"1\"\r\nConnection: close\r\n\
                    Last-Modified: Sat, 01 Jan 2000 00:00:00 GMT\r\n\r\n"
    )?;
    stream.write_all(&body)
}
