//! Which node a request goes to: by turns, past those that are away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use elasticsearch::http::Url;
use elasticsearch::http::transport::{Connection, ConnectionPool};

/// A node that could not be reached, or did not answer in time, is asked again after this long, or when no other one is there.
const AWAY: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub(crate) struct Nodes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    nodes: Vec<Node>,
    turn: AtomicUsize,
    begun: Instant,
}

#[derive(Debug)]
struct Node {
    connection: Connection,
    /// In milliseconds since `begun`; 0 while it is there.
    away_until: AtomicU64,
}

impl Nodes {
    pub fn new(urls: Vec<Url>) -> Self {
        let node = |url| Node { connection: Connection::new(url), away_until: AtomicU64::new(0) };
        let nodes = urls.into_iter().map(node).collect();
        Nodes(Arc::new(Inner { nodes, turn: AtomicUsize::new(0), begun: Instant::now() }))
    }

    pub fn urls(&self) -> impl Iterator<Item = Arc<Url>> + '_ {
        self.0.nodes.iter().map(|node| node.connection.url())
    }

    pub fn len(&self) -> usize {
        self.0.nodes.len()
    }

    /// The node of this request is away.
    pub fn mark_away(&self, url: &Url, now: Instant) {
        let until = self.millis(now) + AWAY.as_millis() as u64;
        self.of(url).for_each(|node| node.away_until.store(until, Relaxed));
    }

    /// It has answered.
    pub fn mark_there(&self, url: &Url) {
        self.of(url).for_each(|node| node.away_until.store(0, Relaxed));
    }

    fn of<'a>(&'a self, url: &'a Url) -> impl Iterator<Item = &'a Node> {
        self.0.nodes.iter().filter(|node| {
            let own = node.connection.url();
            own.origin() == url.origin() && url.path().starts_with(own.path())
        })
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.0.begun).as_millis()).unwrap_or(u64::MAX)
    }

    fn at(&self, now: Instant) -> Connection {
        let Inner { nodes, turn, .. } = &*self.0;
        let (turn, now) = (turn.fetch_add(1, Relaxed), self.millis(now));
        let mut by_turns = (0..nodes.len()).map(|step| &nodes[turn.wrapping_add(step) % nodes.len()]);
        let there = by_turns.find(|node| node.away_until.load(Relaxed) <= now);
        there.unwrap_or(&nodes[turn % nodes.len()]).connection.clone()
    }
}

impl ConnectionPool for Nodes {
    fn next(&self) -> Connection {
        self.at(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_away_is_passed_over_until_its_time_or_until_nobody_else_is_there() {
        let urls = ["http://a:9200", "http://b:9200/path/", "http://c:9200"].map(|url| Url::parse(url).unwrap());
        let nodes = Nodes::new(urls.to_vec());
        let begun = nodes.0.begun;
        let at = |seconds: u64| {
            let host =
                |_| nodes.at(begun + Duration::from_secs(seconds)).url().host_str().unwrap_or_default().to_owned();
            (0..3).map(host).collect::<String>()
        };
        assert_eq!(at(0), "abc");
        nodes.mark_away(&Url::parse("http://b:9200/path/_bulk?x").unwrap(), begun);
        assert_eq!(at(1), "acc");
        assert_eq!(at(30), "abc");
        nodes.mark_away(&Url::parse("http://b:9200/path/_bulk?x").unwrap(), begun);
        nodes.mark_there(&urls[1]);
        assert_eq!(at(1), "abc");
        urls.iter().for_each(|url| nodes.mark_away(url, begun));
        nodes.mark_away(&urls[1], begun);
        assert_eq!(at(1), "abc");
    }
}
