//! 100,000 documents against a server that never stops to misbehave: each fault alone, then all of them. All documents are taken in the end, in
//! their newest version; memory is bounded, and the server is asked no more often than it takes.

use super::*;

/// Ids, and versions of each.
const IDS: usize = 10_000;
const VERSIONS: u64 = 10;
const BATCH: usize = 500;
const BULK_BYTES: usize = 64 << 10;
/// What the pipeline lets be in flight.
const IN_FLIGHT_BYTES: usize = 1 << 20;
/// A document of `lane` with its action line is about as large.
const DOCUMENT_BYTES: usize = 220;

/// So many requests take all documents where nothing fails.
const REQUESTS: usize = (IDS * VERSIONS as usize * DOCUMENT_BYTES).div_ceil(BULK_BYTES);
/// So many more may be sent: what fails is sent again, what is refused of a request comes in one of its own, and smaller bulks are more.
const TIMES_MAX: usize = 12;

async fn carries(what: &str, script: impl FnMut(&Asked) -> Reaction + Send + 'static) {
    let server = Faulty::start(script).await;
    let mut settings = settings(&server.url);
    settings.bulk_bytes_max = BULK_BYTES;
    settings.in_flight_max = 8;
    settings.timeout = Duration::from_millis(300);
    let sink = start(&settings);
    let mut told = Vec::new();
    let mut most = 0;
    for version in 1..=VERSIONS {
        for first in (0..IDS).step_by(BATCH) {
            while sink.in_flight_bytes() > IN_FLIGHT_BYTES {
                tokio::task::yield_now().await;
            }
            let documents = (first..first + BATCH).map(|n| (format!("id-{n}"), version, n % 160));
            told.push(submit(&sink, batch(documents)));
            most = most.max(sink.in_flight_bytes());
        }
    }
    assert_eq!(judged(told).await, [], "{what}");
    let (seen, counters) = (server.seen.lock().unwrap(), sink.counters());
    assert_eq!(seen.stored.len(), IDS, "{what}");
    assert!(seen.stored.values().all(|version| *version == VERSIONS), "{what}");
    assert_eq!((&seen.twice, &seen.back), (&None, &None), "{what}");
    assert_eq!((counters.settled + counters.superseded, counters.rejected), (IDS as u64 * VERSIONS, 0), "{what}");
    assert_eq!((sink.in_flight_bytes(), counters.unavailable), (0, None), "{what}");
    assert!(most < IN_FLIGHT_BYTES + 2 * BATCH * DOCUMENT_BYTES, "{what}: {most}");
    assert!(seen.requests < REQUESTS * TIMES_MAX, "{what}: {} requests in place of {REQUESTS}", seen.requests);
}

/// One request in so many, by chance.
fn one_in(many: u32, reaction: impl Fn(&Asked) -> Reaction + Send) -> impl FnMut(&Asked) -> Reaction + Send {
    let mut dice = fastrand::Rng::with_seed(u64::from(many));
    move |asked| if dice.u32(..many) == 0 { reaction(asked) } else { Reaction::Well }
}

/// A tenth of them, another one each time.
fn items_refused(status: u16, kind: &'static str) -> impl Fn(&Asked) -> Reaction + Send {
    move |asked| {
        let tenth = (asked.number % 10).to_string();
        Reaction::Items(Box::new(move |id| id.ends_with(&tenth).then_some((status, kind))))
    }
}

#[tokio::test]
async fn each_fault_alone() {
    carries("well", |_| Reaction::Well).await;
    carries("cut short", one_in(4, |_| Reaction::Cut)).await;
    carries("an item too few", one_in(4, |_| Reaction::Miscount)).await;
    carries("reset", one_in(4, |_| Reaction::Reset)).await;
    carries("no answer", one_in(50, |_| Reaction::Silence)).await;
    carries("busy", one_in(4, |_| Reaction::Refuse(429, "es_rejected_execution_exception"))).await;
    carries("unavailable", one_in(4, |_| Reaction::Refuse(503, ""))).await;
    carries("not let in", one_in(10, |_| Reaction::Refuse(401, "security_exception"))).await;
    carries("busy items", one_in(2, items_refused(429, "es_rejected_execution_exception"))).await;
    carries("flood stage", one_in(4, items_refused(429, "cluster_block_exception"))).await;
    carries("too large", |asked| match asked.bytes > BULK_BYTES / 3 {
        true => Reaction::Refuse(413, ""),
        false => Reaction::Well,
    })
    .await;
}

fn all_faults(seed: u64) -> impl FnMut(&Asked) -> Reaction + Send {
    let mut dice = fastrand::Rng::with_seed(seed);
    move |asked: &Asked| match dice.u32(..200) {
        0..10 => Reaction::Cut,
        10..20 => Reaction::Miscount,
        20..30 => Reaction::Reset,
        30..40 => Reaction::Refuse(429, "es_rejected_execution_exception"),
        40..50 => Reaction::Refuse(503, ""),
        50..60 => Reaction::Refuse(403, "cluster_block_exception"),
        60..63 if asked.items.len() > 1 => Reaction::Refuse(413, ""),
        63..66 if asked.items.len() > 1 => Reaction::Refuse(400, "illegal_argument_exception"),
        66..68 => Reaction::Silence,
        70..90 => items_refused(429, "es_rejected_execution_exception")(asked),
        90..100 => items_refused(429, "cluster_block_exception")(asked),
        _ => Reaction::Well,
    }
}

#[tokio::test]
async fn all_faults_together() {
    for seed in 0..2 {
        carries(&format!("seed {seed}"), all_faults(seed)).await;
    }
}

/// Nothing but their order says which is the first and which the newest. Each id comes again in nearly every request.
#[tokio::test]
async fn writes_of_one_document_stay_in_their_order() {
    for operation in [Operation::Update, Operation::Create] {
        keeps_order(operation, "busy items", one_in(2, items_refused(429, "es_rejected_execution_exception"))).await;
        keeps_order(operation, "items for long", one_in(2, items_refused(503, "unavailable_shards_exception"))).await;
        keeps_order(operation, "flood stage", one_in(2, items_refused(429, "cluster_block_exception"))).await;
        for seed in 2..4 {
            keeps_order(operation, &format!("seed {seed}"), all_faults(seed)).await;
        }
    }
}

async fn keeps_order(operation: Operation, what: &str, script: impl FnMut(&Asked) -> Reaction + Send + 'static) {
    const DOCUMENTS: usize = 10_000;
    const FEW_IDS: usize = 500;
    let server = Faulty::start(script).await;
    let mut settings = settings(&server.url);
    settings.bulk_bytes_max = BULK_BYTES;
    settings.timeout = Duration::from_millis(300);
    let sink = start(&settings);
    let mut told = Vec::new();
    for first in (0..DOCUMENTS).step_by(BATCH / 5) {
        while sink.in_flight_bytes() > IN_FLIGHT_BYTES {
            tokio::task::yield_now().await;
        }
        let documents = (first..first + BATCH / 5).map(|n| (format!("id-{}", n % FEW_IDS), n / FEW_IDS));
        told.push(submit(&sink, ordered(operation, documents)));
    }
    assert_eq!(judged(told).await, [], "{what}");
    let (seen, counters) = (server.seen.lock().unwrap(), sink.counters());
    let kept = if operation == Operation::Create { 0 } else { (DOCUMENTS / FEW_IDS - 1) as u64 };
    assert_eq!(seen.stored.len(), FEW_IDS, "{what}");
    assert!(seen.stored.values().all(|n| *n == kept), "{operation:?}, {what}: {:?}", seen.stored);
    assert_eq!((&seen.twice, &seen.back), (&None, &None), "{what}");
    assert_eq!(counters.settled + counters.superseded, DOCUMENTS as u64, "{what}");
    assert_eq!((sink.in_flight_bytes(), counters.unavailable), (0, None), "{what}");
}

fn ordered(operation: Operation, documents: impl IntoIterator<Item = (String, usize)>) -> DocumentBatch {
    let index: Arc<str> = "i".into();
    let mut batch = DocumentBatch::default();
    for (id, n) in documents {
        batch.push_as(operation, &index, &id, None, |body| {
            body.extend_from_slice(format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(n)).as_bytes())
        });
    }
    batch
}

/// An index whose disk is full refuses each document by itself, and is not asked for all of them again and again.
#[tokio::test]
async fn an_index_that_stalls_is_asked_with_one_document_of_each_slot() {
    let (full, sent) = (Arc::new(Mutex::new(true)), Arc::new(Mutex::new(Vec::new())));
    let (is_full, sizes) = (full.clone(), sent.clone());
    let server = Faulty::start(move |asked| {
        sizes.lock().unwrap().push(asked.items.len());
        match *is_full.lock().unwrap() {
            true => Reaction::Items(Box::new(|_| Some((429, "cluster_block_exception")))),
            false => Reaction::Well,
        }
    })
    .await;
    let sink = start(&settings(&server.url));
    let mut told = Vec::new();
    for n in 0..20 {
        told.push(submit(&sink, lane(&format!("lane{n}"), 500)));
        let enough = 20 * (n + 1);
        while sent.lock().unwrap().len() < enough {
            tokio::task::yield_now().await;
        }
    }
    let sizes: Vec<usize> = sent.lock().unwrap().clone();
    let large = sizes.iter().filter(|items| **items > 1).count();
    assert!(large <= 4, "each slot asks once with all it has, and then with one: {sizes:?}");
    let counters = sink.counters();
    assert!(counters.unavailable.is_some() && counters.requests_limit == 1, "{counters:?}");
    *full.lock().unwrap() = false;
    assert_eq!(judged(told).await, []);
    assert_eq!(server.seen.lock().unwrap().stored.len(), 10_000);
    assert_eq!((sink.in_flight_bytes(), sink.counters().unavailable), (0, None));
    let after = sent.lock().unwrap().len() - sizes.len();
    assert!(after < 60, "what waited goes together: {after} requests");
}

/// A server that bears two requests at once is not asked for more again and again.
#[tokio::test]
async fn an_index_that_bears_little_is_asked_for_little() {
    let refused = Arc::new(Mutex::new((0, 0)));
    let counts = refused.clone();
    carries("two at once", move |asked| {
        let mut counts = counts.lock().unwrap();
        counts.1 += 1;
        match asked.at_once > 2 {
            true => {
                counts.0 += 1;
                Reaction::Refuse(429, "es_rejected_execution_exception")
            }
            false => Reaction::Well,
        }
    })
    .await;
    let (refused, all) = *refused.lock().unwrap();
    assert!(refused > 0 && refused * 5 < all, "{refused} of {all} requests were refused");
}
