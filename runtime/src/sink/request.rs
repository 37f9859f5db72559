//! One bulk request: sent, and its answer read, beside the others.

use std::time::{Duration, Instant};

use super::answer::{self, Fault, Sent, Untrusted, said};
use super::client::{BrokenKind, Client};
use super::concurrency::Load;
use super::verdict::{ErrorAnswer, Outcome, Verdict};
use super::ways_in::WaysIn;

/// How a request came out, with the words for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Landing {
    /// An answer that names every item: the faults among them.
    Items(Vec<Fault>),
    Status {
        status: u16,
        error: Option<(String, String)>,
    },
    Broken {
        kind: BrokenKind,
        message: String,
    },
    Untrusted(String),
}

pub(crate) async fn send(client: Client, sent: Sent) -> (Landing, Duration) {
    let started = Instant::now();
    let landing = match client.bulk(sent.body.clone()).await {
        Err(broken) => Landing::Broken { kind: broken.kind, message: broken.message },
        Ok(reply) if (200..300).contains(&reply.status) => match answer::read(&reply.body, &sent) {
            Ok(faults) => Landing::Items(without(&reply.ways_in, faults)),
            Err(Untrusted(why)) => Landing::Untrusted(reply.ways_in.hide(why)),
        },
        Ok(reply) => Landing::Status { status: reply.status, error: reply.error() },
    };
    (landing, started.elapsed())
}

/// Of a document that the index has already, nobody is told what it said.
fn without(ways_in: &WaysIn, mut faults: Vec<Fault>) -> Vec<Fault> {
    for fault in faults.iter_mut().filter(|fault| fault.verdict != Verdict::Superseded) {
        fault.error_type = ways_in.hide(std::mem::take(&mut fault.error_type));
        fault.reason = ways_in.hide(std::mem::take(&mut fault.reason));
    }
    faults
}

impl Landing {
    /// The status of an answer to all of a request, and the index's word for the error.
    pub fn said(&self) -> (u16, &str) {
        match self {
            Landing::Status { status, error } => (*status, error.as_ref().map_or("", |(kind, _)| kind)),
            Landing::Items(_) | Landing::Broken { .. } | Landing::Untrusted(_) => (0, ""),
        }
    }

    pub fn outcome(&self) -> Outcome<'_> {
        match self {
            Landing::Items(_) => Outcome::Items,
            Landing::Status { status, error } => Outcome::Status {
                status: *status,
                error: error.as_ref().map(|(kind, reason)| ErrorAnswer { kind, reason }),
            },
            Landing::Broken { kind: BrokenKind::NoConnection, .. } => Outcome::NoConnection,
            Landing::Broken { kind: BrokenKind::Reset, .. } => Outcome::Reset,
            Landing::Broken { kind: BrokenKind::TimeOut | BrokenKind::Other, .. } => Outcome::Unknown,
            Landing::Untrusted(_) => Outcome::Unknown,
        }
    }

    /// What it says about how much the index bears.
    pub fn load(&self) -> Load {
        match self {
            Landing::Items(faults) => {
                let is_busy = |fault: &Fault| fault.status == 429 && fault.verdict == Verdict::Retry;
                let is_refused = |fault: &Fault| match fault.verdict {
                    Verdict::Stall => true,
                    Verdict::Retry => fault.status >= 500,
                    _ => false,
                };
                match faults.iter().any(is_busy) {
                    true => Load::Busy,
                    // To refuse takes no time.
                    false if faults.iter().any(is_refused) => Load::Unknown,
                    false => Load::Answered,
                }
            }
            Landing::Status { status: 408 | 429 | 500..=599, .. } => Load::Busy,
            Landing::Broken { kind: BrokenKind::TimeOut, .. } => Load::Busy,
            Landing::Status { .. } | Landing::Broken { .. } | Landing::Untrusted(_) => Load::Unknown,
        }
    }

    /// For people.
    pub fn message(&self) -> String {
        match self {
            Landing::Items(_) => String::new(),
            Landing::Status { status, error } => match error {
                Some((kind, reason)) => said(*status, kind, reason),
                None => said(*status, "", ""),
            },
            Landing::Broken { kind: BrokenKind::TimeOut, message } => format!("no answer in time: {message}"),
            Landing::Broken { message, .. } => message.clone(),
            Landing::Untrusted(why) => format!("the answer cannot be trusted: {why}"),
        }
    }
}
