//! A door before a server: who has the secret is let through to it, others get a 401. It looks at the first request of each connection, and
//! cuts all connections when the secret changes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

const REFUSAL: &str = r#"{"error":{"type":"security_exception","reason":"unable to authenticate"},"status":401}"#;

#[derive(Clone)]
pub struct Door {
    url: String,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    /// What the header `authorization` must say.
    authorization: String,
    open: Vec<TcpStream>,
}

impl Door {
    /// Before a server at a URL without a path.
    pub fn before(server: &str, authorization: &str) -> Door {
        let server = server.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it has an address"));
        let shared = Shared { authorization: authorization.to_owned(), open: Vec::new() };
        let door = Door { url, shared: Arc::new(Mutex::new(shared)) };
        let its = door.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (door, server) = (its.clone(), server.clone());
                // A connection that breaks is the client's to notice.
                thread::spawn(move || drop(door.pass(stream, &server)));
            }
        });
        door
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn change(&self, authorization: &str) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        authorization.clone_into(&mut shared.authorization);
        for stream in shared.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn pass(&self, mut client: TcpStream, server: &str) -> io::Result<()> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            client.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let said = text.lines().filter_map(|line| line.split_once(": "));
        let mut said = said.filter(|(name, _)| name.eq_ignore_ascii_case("authorization")).map(|(_, value)| value);
        let mut upstream = {
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            if said.next() != Some(&shared.authorization) {
                drop(shared);
                return refuse(client);
            }
            shared.open.push(client.try_clone()?);
            TcpStream::connect(server)?
        };
        upstream.write_all(&head)?;
        let (mut answers, mut back) = (upstream.try_clone()?, client.try_clone()?);
        thread::spawn(move || {
            let _ = io::copy(&mut answers, &mut back);
            let _ = back.shutdown(Shutdown::Both);
        });
        let _ = io::copy(&mut client, &mut upstream);
        upstream.shutdown(Shutdown::Both)
    }
}

fn refuse(mut client: TcpStream) -> io::Result<()> {
    let length = REFUSAL.len();
    write!(
        client,
        "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{REFUSAL}"
    )?;
    client.flush()?;
    // The rest of the request is taken, or the answer would be lost with the connection.
    client.shutdown(Shutdown::Write)?;
    io::copy(&mut client, &mut io::sink()).map(drop)
}
