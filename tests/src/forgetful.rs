//! A stand-in for an S3-compatible store that ignores conditions: it puts an object where there is one, and says that all is well.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;

use axum::Router;
use axum::body::Bytes;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

type Objects = Arc<Mutex<BTreeMap<String, Bytes>>>;

/// Listens until the process ends.
pub struct Forgetful {
    address: SocketAddr,
}

impl Forgetful {
    pub fn start() -> Forgetful {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.set_nonblocking(true).expect("it can be");
        let address = listener.local_addr().expect("it is bound");
        let objects = Objects::default();
        let router = Router::new().fallback(async move |method, uri, body| answer(&objects, &method, &uri, body));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it starts");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("it listens");
                axum::serve(listener, router).await.expect("it serves");
            });
        });
        Forgetful { address }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn answer(objects: &Objects, method: &Method, uri: &Uri, body: Bytes) -> Response {
    const DATES: [(header::HeaderName, &str); 2] =
        [(header::ETAG, "\"1\""), (header::LAST_MODIFIED, "Sat, 01 Jan 2000 00:00:00 GMT")];
    let mut objects = objects.lock().expect("nobody panics with it");
    match *method {
        Method::PUT => {
            objects.insert(uri.path().to_owned(), body);
            (DATES, ()).into_response()
        }
        Method::GET => match objects.get(uri.path()) {
            Some(object) => (DATES, object.clone()).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}
