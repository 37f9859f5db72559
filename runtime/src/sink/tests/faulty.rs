//! A server that speaks bulk requests and misbehaves as told, down to the bytes on the connection.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What arrives in one request: ids with versions, in order.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub items: Vec<(String, u64)>,
    pub bytes: usize,
    /// Counts from 0.
    pub number: usize,
    /// So many requests are there at once, with this one.
    pub at_once: usize,
    /// The header; empty where there is none.
    pub authorization: String,
    pub is_gzip: bool,
}

/// Status and error type of an item, by its id; none: it is taken.
pub(super) type Fault = Box<dyn Fn(&str) -> Option<(u16, &'static str)> + Send>;

/// How the server reacts to a request.
pub(super) enum Reaction {
    Well,
    /// Items that get this status and error type; the others are taken.
    Items(Fault),
    /// All items get this status, and a reason that repeats what let us in.
    Telling(u16),
    /// Nothing is taken.
    Refuse(u16, &'static str),
    /// Nothing is taken: the request is to go there.
    Redirect(String),
    /// Taken; the answer is to have so many bytes, of which none comes.
    Announce(usize),
    /// Taken; half of the answer is sent.
    Cut,
    /// Taken; the answer has an item too few.
    Miscount,
    /// Taken; no answer.
    Silence,
    /// Nothing is taken, the connection breaks.
    Reset,
}

/// So many turns of others a request takes.
const OVERLAP: usize = 20;

type Script = Box<dyn FnMut(&Asked) -> Reaction + Send>;

/// What the server holds and has seen.
#[derive(Default)]
pub(super) struct Seen {
    /// The greatest version of each id.
    pub stored: BTreeMap<String, u64>,
    pub requests: usize,
    pub largest_taken: usize,
    in_flight: HashSet<String>,
    at_once: usize,
    /// An id that was in two requests at once.
    pub twice: Option<String>,
    /// An id of which an older update came after a newer one.
    pub back: Option<String>,
}

pub(super) struct Faulty {
    pub url: String,
    pub seen: Arc<Mutex<Seen>>,
    server: tokio::task::JoinHandle<()>,
}

impl Faulty {
    pub async fn start(script: impl FnMut(&Asked) -> Reaction + Send + 'static) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.expect("a free port"), script)
    }

    pub fn start_on(listener: TcpListener, script: impl FnMut(&Asked) -> Reaction + Send + 'static) -> Self {
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(script)));
        let shared = seen.clone();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(stream, script.clone(), shared.clone()));
            }
        });
        Faulty { url, seen, server }
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn connection(mut stream: TcpStream, script: Arc<Mutex<Script>>, seen: Arc<Mutex<Seen>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    loop {
        let Some((head, body)) = request(&mut stream, &mut buffer).await? else { return Ok(()) };
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        let is_gzip = header("content-encoding: ") == "gzip";
        let body = if is_gzip { inflated(&body) } else { body };
        let (action, items) = items(&body);
        let reaction = {
            let mut seen = seen.lock().unwrap();
            let number = seen.requests;
            seen.requests += 1;
            seen.at_once += 1;
            for id in items.iter().map(|(id, _)| id).collect::<HashSet<_>>() {
                if !seen.in_flight.insert(id.clone()) {
                    seen.twice = Some(id.clone());
                }
            }
            let asked = Asked {
                items: items.clone(),
                bytes: body.len(),
                number,
                at_once: seen.at_once,
                authorization: header("authorization: "),
                is_gzip,
            };
            script.lock().unwrap()(&asked)
        };
        // Others get a chance to overlap with this one.
        for _ in 0..OVERLAP {
            tokio::task::yield_now().await;
        }
        let (status, answer) = {
            let mut seen = seen.lock().unwrap();
            seen.at_once -= 1;
            for (id, _) in &items {
                seen.in_flight.remove(id);
            }
            match reaction {
                Reaction::Telling(status) => {
                    let way_in = header("authorization: ");
                    let (_, token) = way_in.split_once(' ').expect("a scheme and a token");
                    let error = json!({ "type": token, "reason": format!("no {token} here, {way_in}") });
                    let told = json!({ &action: { "status": status, "error": error } });
                    (200, json!({ "errors": true, "took": 1, "items": vec![told; items.len()] }))
                }
                _ => answer(&mut seen, (&action, &items), body.len(), &reaction),
            }
        };
        let answer = answer.to_string();
        let (length, location) = match &reaction {
            Reaction::Announce(bytes) => (*bytes, String::new()),
            Reaction::Redirect(url) => (answer.len(), format!("location: {url}\r\n")),
            _ => (answer.len(), String::new()),
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{location}content-length: {length}\r\n\r\n"
        );
        match reaction {
            Reaction::Announce(_) => {
                stream.write_all(head.as_bytes()).await?;
                std::future::pending().await
            }
            Reaction::Silence => std::future::pending().await,
            Reaction::Reset => {
                stream.set_zero_linger()?;
                return Ok(());
            }
            Reaction::Cut => {
                stream.write_all(head.as_bytes()).await?;
                return stream.write_all(&answer.as_bytes()[..answer.len() / 2]).await;
            }
            Reaction::Well
            | Reaction::Items(_)
            | Reaction::Telling(_)
            | Reaction::Redirect(_)
            | Reaction::Refuse(..)
            | Reaction::Miscount => {
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(answer.as_bytes()).await?;
            }
        }
    }
}

fn inflated(body: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut text).expect("it is gzip");
    text
}

/// Head and body of the next request; none when the client has gone. The names of headers are in lower case.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<(String, Vec<u8>)>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            assert!(head.starts_with("POST /_bulk?filter_path="), "{head}");
            assert!(head.contains("content-type: application/x-ndjson\r\n"), "{head}");
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
            let total = end + 4 + length.trim().parse::<usize>().expect("a number");
            while buffer.len() < total {
                if stream.read_buf(buffer).await? == 0 {
                    return Ok(None);
                }
            }
            let rest = buffer.split_off(total);
            let body = std::mem::replace(buffer, rest).split_off(end + 4);
            return Ok(Some((head, body)));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// What is asked for, `index`, `create` or `update`, the same of all; the latter say in their field `n` which one they are.
fn items(body: &[u8]) -> (String, Vec<(String, u64)>) {
    assert_eq!(body.last(), Some(&b'\n'));
    let lines: Vec<&[u8]> = body[..body.len() - 1].split(|byte| *byte == b'\n').collect();
    let mut name = String::new();
    let items = lines.chunks(2).map(|pair| {
        let action: BTreeMap<String, Value> = serde_json::from_slice(pair[0]).expect("an action line");
        let (asked, target) = action.into_iter().next().expect("an action");
        let document: Value = serde_json::from_slice(pair[1]).expect("a document follows");
        let version = match asked.as_str() {
            "update" => &document["doc"]["n"],
            "create" => &document["n"],
            _ => &target["version"],
        };
        assert!(asked != "index" || target["version_type"] == "external");
        name = asked;
        (target["_id"].as_str().expect("an id").into(), version.as_u64().expect("a version"))
    });
    let items = items.collect();
    (name, items)
}

fn answer(
    seen: &mut Seen,
    (action, items): (&str, &[(String, u64)]),
    bytes: usize,
    reaction: &Reaction,
) -> (u16, Value) {
    match reaction {
        Reaction::Refuse(status, "") => return (*status, Value::Null),
        Reaction::Refuse(status, kind) => {
            return (*status, json!({ "error": { "type": kind, "reason": "as told" }, "status": status }));
        }
        Reaction::Reset => return (500, Value::Null),
        Reaction::Redirect(_) => return (307, Value::Null),
        Reaction::Well
        | Reaction::Items(_)
        | Reaction::Telling(_)
        | Reaction::Announce(_)
        | Reaction::Cut
        | Reaction::Miscount
        | Reaction::Silence => {}
    }
    seen.largest_taken = seen.largest_taken.max(bytes);
    let mut answers: Vec<Value> = items
        .iter()
        .map(|(id, version)| {
            let fault = if let Reaction::Items(fault) = reaction { fault(id) } else { None };
            let fault = fault.or_else(|| match seen.stored.get(id) {
                Some(stored) if action == "create" || (action == "index" && stored >= version) => {
                    Some((409, "version_conflict_engine_exception"))
                }
                _ => None,
            });
            match fault {
                Some((status, kind)) => {
                    json!({ action: { "status": status, "error": { "type": kind, "reason": "as told" } } })
                }
                None => {
                    if seen.stored.insert(id.clone(), *version).is_some_and(|before| before > *version) {
                        seen.back = Some(id.clone());
                    }
                    json!({ action: { "status": 201 } })
                }
            }
        })
        .collect();
    if matches!(reaction, Reaction::Miscount) {
        answers.pop();
    }
    let errors = answers.iter().any(|item| item[action].get("error").is_some());
    (200, json!({ "errors": errors, "took": 1, "items": answers }))
}
