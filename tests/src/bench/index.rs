//! An index that acknowledges everything and keeps nothing, in a process of its own, so that its cost is nobody else's.

use tidegate::sink::stand_in::StandInIndex;

use super::process::Server;
use crate::block_on;

/// The role of the process.
pub const ROLE: &str = "accept-only-index";

/// The body of the process: says its URL, then for each line that comes in how many documents it has acknowledged.
pub fn serve() -> anyhow::Result<()> {
    let index = block_on(StandInIndex::accept_only(([127, 0, 0, 1], 0).into()))?;
    println!("{}", index.url());
    for line in std::io::stdin().lines() {
        line?;
        println!("{}", index.accepted());
    }
    Ok(())
}

/// The process as the one that measures knows it.
pub struct AcceptOnlyIndex(Server);

impl AcceptOnlyIndex {
    pub fn start() -> anyhow::Result<Self> {
        Server::start(ROLE).map(AcceptOnlyIndex)
    }

    pub fn url(&self) -> &str {
        self.0.url()
    }

    /// How many documents it has acknowledged.
    pub fn accepted(&mut self) -> anyhow::Result<u64> {
        Ok(self.0.ask()?.parse()?)
    }
}
