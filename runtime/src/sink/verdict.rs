//! What an answer of the index means: the outcome table as pure functions, from a request's outcome and an item to a
//! verdict. Nothing is sent, counted or waited for here. `docs/delivery.md` has the table for users.

use crate::config::{PolicyRule, Refusal};
use crate::record::Operation;

/// One item of a bulk answer.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct ItemAnswer<'a> {
    pub status: u16,
    pub failure_store: Option<&'a str>,
    pub error: Option<ErrorAnswer<'a>>,
}

#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct ErrorAnswer<'a> {
    /// The index's word for the error; empty where it gave none.
    pub kind: &'a str,
    pub reason: &'a str,
}

/// What becomes of one document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Settled,
    /// Taken, but into the failure store of its data stream.
    SettledInFailureStore,
    /// The index has this version or a newer one.
    Superseded,
    /// Send it again.
    Retry,
    /// The index takes nothing until somebody has done something: send it again, slowly.
    Stall,
    /// Never: a dead letter.
    Rejected,
    /// Never, and the policy wants no dead letter of it.
    Dropped,
}

impl From<Refusal> for Verdict {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::DeadLetter => Verdict::Rejected,
            Refusal::Drop => Verdict::Dropped,
            Refusal::Retry => Verdict::Retry,
            Refusal::Stall => Verdict::Stall,
        }
    }
}

/// What the policy says of an error, by the first rule that fits.
fn ruled(policy: &[PolicyRule], status: u16, error_type: &str) -> Option<Refusal> {
    let fits = |rule: &&PolicyRule| {
        rule.status.is_none_or(|it| it == status) && rule.error_type.as_ref().is_none_or(|it| it == error_type)
    };
    policy.iter().find(fits).map(|rule| rule.then)
}

/// `None` for a status that no server gives to an item: the answer cannot be trusted.
pub(crate) fn judge_item(operation: Operation, item: &ItemAnswer<'_>, policy: &[PolicyRule]) -> Option<Verdict> {
    let kind = item.error.map_or("", |error| error.kind);
    let verdict = match item.status {
        200..=299 if item.error.is_some() => return None,
        200..=299 if item.failure_store == Some("used") => Verdict::SettledInFailureStore,
        200..=299 => Verdict::Settled,
        404 if operation == Operation::Delete && item.error.is_none() => Verdict::Settled,
        // Another one has changed it at the same time.
        409 if operation == Operation::Update => Verdict::Retry,
        409 if kind == "version_conflict_engine_exception" => Verdict::Superseded,
        // Whatever else conflicts passes, and must not be taken for "already there".
        409 => Verdict::Retry,
        // Whatever the word: no index may be made, where the disk is full, or we may not write.
        401 | 403 => Verdict::Stall,
        429 if kind == "cluster_block_exception" => Verdict::Stall,
        408 | 429 => Verdict::Retry,
        500..=599 => Verdict::Retry,
        400..=499 => Verdict::Rejected,
        _ => return None,
    };
    Some(match verdict {
        Verdict::Settled | Verdict::SettledInFailureStore => verdict,
        Verdict::Superseded | Verdict::Retry | Verdict::Stall | Verdict::Rejected | Verdict::Dropped => {
            ruled(policy, item.status, kind).map_or(verdict, Verdict::from)
        }
    })
}

/// How a whole request came out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome<'a> {
    /// 2xx with an answer for each item, in order.
    Items,
    /// Any other status. `error`: none where the body is not the index's own JSON.
    Status { status: u16, error: Option<ErrorAnswer<'a>> },
    /// The connection was refused, or no connection came about.
    NoConnection,
    /// It broke while the request was under way.
    Reset,
    /// Time-out, an answer cut short, one that cannot be trusted: it may have been done.
    Unknown,
}

/// What a request was, as far as its verdict depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub items: usize,
    pub bytes: usize,
    /// How often this very body was answered 429 as a whole while nothing else was in flight.
    pub busy_alone: u16,
    /// How often its connection broke before.
    pub resets: u16,
}

/// A body of this size or more is suspected when its connection breaks twice: a server may cut off what is too long.
pub(crate) const BIG_BODY_BYTES: usize = 1024 * 1024;
/// A bulk above the server's indexing pressure limit is refused for ever, even when nothing else is going on. Once may
/// be chance.
pub(crate) const BUSY_ALONE_MAX: u16 = 2;

/// What becomes of a whole request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RequestVerdict {
    /// Judge each item.
    Items,
    /// Too much at once: send halves, and remember the size.
    Halve,
    /// One item spoils all: send halves until it is alone.
    Isolate,
    /// Its only item is refused.
    Rejected,
    /// Its only item is refused, and the policy wants no dead letter of it.
    Dropped,
    /// Nothing is known about any item: send it again.
    Retry,
    /// Send it again, slowly; somebody has to do something.
    Stall,
}

pub(crate) fn judge_request(outcome: Outcome<'_>, request: Request, policy: &[PolicyRule]) -> RequestVerdict {
    let several = request.items > 1;
    let refused =
        |status, error: Option<ErrorAnswer<'_>>| match ruled(policy, status, error.map_or("", |error| error.kind)) {
            None | Some(Refusal::DeadLetter) => RequestVerdict::Rejected,
            Some(Refusal::Drop) => RequestVerdict::Dropped,
            Some(Refusal::Retry) => RequestVerdict::Retry,
            Some(Refusal::Stall) => RequestVerdict::Stall,
        };
    match outcome {
        Outcome::Items => RequestVerdict::Items,
        Outcome::NoConnection => RequestVerdict::Stall,
        Outcome::Reset if several && request.bytes >= BIG_BODY_BYTES && request.resets > 0 => RequestVerdict::Halve,
        Outcome::Reset | Outcome::Unknown => RequestVerdict::Retry,
        Outcome::Status { status, error } => match status {
            413 if several => RequestVerdict::Halve,
            413 => refused(status, error),
            // A 400 in another form than the index's own comes from something in between, which knows no items.
            400 => match error {
                Some(_) if several => RequestVerdict::Isolate,
                Some(_) => refused(status, error),
                None => RequestVerdict::Stall,
            },
            429 if error.is_some_and(|error| error.kind == "cluster_block_exception") => RequestVerdict::Stall,
            429 if several && request.busy_alone >= BUSY_ALONE_MAX => RequestVerdict::Halve,
            408 | 429 | 500..=599 => RequestVerdict::Retry,
            // 401, 403, 404, 406 and whatever a proxy thinks of.
            _ => RequestVerdict::Stall,
        },
    }
}

#[cfg(test)]
mod tests;
