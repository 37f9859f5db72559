//! Every row of the outcome table, with the answers that real servers gave.

use super::*;

fn item(status: u16, kind: &str) -> Option<Verdict> {
    let error = (!kind.is_empty()).then_some(ErrorAnswer { kind, reason: "as observed" });
    judge_item(Operation::Index, &ItemAnswer { status, failure_store: None, error }, &[])
}

#[test]
fn items_are_judged_by_status_and_type() {
    let rows = [
        (200, "", Verdict::Settled),
        (201, "", Verdict::Settled),
        // An external version lower than or equal to the stored one.
        (409, "version_conflict_engine_exception", Verdict::Superseded),
        // Any other conflict is not ours.
        (409, "", Verdict::Retry),
        (409, "resource_already_exists_exception", Verdict::Retry),
        // Busy.
        (429, "es_rejected_execution_exception", Verdict::Retry),
        (429, "rejected_execution_exception", Verdict::Retry),
        (429, "circuit_breaking_exception", Verdict::Retry),
        (429, "", Verdict::Retry),
        (503, "circuit_breaking_exception", Verdict::Retry),
        (503, "unavailable_shards_exception", Verdict::Retry),
        (500, "some_exception", Verdict::Retry),
        (502, "", Verdict::Retry),
        (504, "timeout_exception", Verdict::Retry),
        // Flood stage since 7.7, before it, and read-only by hand.
        (429, "cluster_block_exception", Verdict::Stall),
        (403, "cluster_block_exception", Verdict::Stall),
        // No privilege for this one index.
        (403, "security_exception", Verdict::Stall),
        (403, "index_create_block_exception", Verdict::Stall),
        (401, "security_exception", Verdict::Stall),
        // The document's own fault, or its index's.
        (400, "document_parsing_exception", Verdict::Rejected),
        (400, "mapper_parsing_exception", Verdict::Rejected),
        (400, "strict_dynamic_mapping_exception", Verdict::Rejected),
        (400, "illegal_argument_exception", Verdict::Rejected),
        (400, "invalid_index_name_exception", Verdict::Rejected),
        (400, "index_closed_exception", Verdict::Rejected),
        (404, "index_not_found_exception", Verdict::Rejected),
        (404, "document_missing_exception", Verdict::Rejected),
        (413, "", Verdict::Rejected),
    ];
    for (status, kind, verdict) in rows {
        assert_eq!(item(status, kind), Some(verdict), "{status} {kind}");
    }
}

#[test]
fn an_item_in_the_failure_store_is_settled_and_told_apart() {
    let used = ItemAnswer { status: 201, failure_store: Some("used"), error: None };
    assert_eq!(judge_item(Operation::Index, &used, &[]), Some(Verdict::SettledInFailureStore));
    let not = ItemAnswer { status: 201, failure_store: Some("not_applicable_or_unknown"), error: None };
    assert_eq!(judge_item(Operation::Index, &not, &[]), Some(Verdict::Settled));
}

#[test]
fn deleting_what_is_not_there_is_done() {
    let missing = ItemAnswer { status: 404, ..ItemAnswer::default() };
    assert_eq!(judge_item(Operation::Delete, &missing, &[]), Some(Verdict::Settled));
    assert_eq!(judge_item(Operation::Index, &missing, &[]), Some(Verdict::Rejected));
    let no_index = ErrorAnswer { kind: "index_not_found_exception", reason: "" };
    let no_index = ItemAnswer { error: Some(no_index), ..missing };
    assert_eq!(judge_item(Operation::Delete, &no_index, &[]), Some(Verdict::Rejected));
}

#[test]
fn a_status_that_no_item_has_is_not_trusted() {
    for status in [0, 20, 100, 199, 302, 600, 2010] {
        assert_eq!(item(status, ""), None, "{status}");
    }
    assert_eq!(item(201, "some_exception"), None);
}

const BULK: Request = Request { items: 2, bytes: 4 * BIG_BODY_BYTES, busy_alone: 0, resets: 0 };
const ONE: Request = Request { items: 1, ..BULK };

fn status(status: u16, kind: &str, request: Request) -> RequestVerdict {
    let error = (!kind.is_empty()).then_some(ErrorAnswer { kind, reason: "as observed" });
    judge_request(Outcome::Status { status, error }, request, &[])
}

#[test]
fn requests_are_judged_by_status_and_size() {
    use RequestVerdict::*;
    let rows = [
        // An id over 512 bytes, an unknown parameter, a last newline missing.
        (400, "action_request_validation_exception", Isolate, Rejected),
        (400, "illegal_argument_exception", Isolate, Rejected),
        // Something in between, not the index.
        (400, "", Stall, Stall),
        // `http.max_content_length`: an empty body.
        (413, "", Halve, Rejected),
        // Queue or memory full.
        (429, "es_rejected_execution_exception", Retry, Retry),
        (429, "", Retry, Retry),
        (429, "cluster_block_exception", Stall, Stall),
        // `cluster.blocks.read_only_allow_delete`.
        (403, "cluster_block_exception", Stall, Stall),
        (401, "security_exception", Stall, Stall),
        (403, "", Stall, Stall),
        (404, "", Stall, Stall),
        // The wrong content type: `error` is a string.
        (406, "", Stall, Stall),
        (301, "", Stall, Stall),
        (408, "", Retry, Retry),
        (500, "", Retry, Retry),
        (502, "", Retry, Retry),
        (503, "", Retry, Retry),
        (504, "", Retry, Retry),
    ];
    for (code, kind, bulk, one) in rows {
        assert_eq!((status(code, kind, BULK), status(code, kind, ONE)), (bulk, one), "{code} {kind}");
    }
}

#[test]
fn a_bulk_that_is_refused_alone_again_and_again_is_halved() {
    let kind = "es_rejected_execution_exception";
    let alone = |busy_alone, request| status(429, kind, Request { busy_alone, ..request });
    assert_eq!(alone(BUSY_ALONE_MAX - 1, BULK), RequestVerdict::Retry);
    assert_eq!(alone(BUSY_ALONE_MAX, BULK), RequestVerdict::Halve);
    assert_eq!(alone(BUSY_ALONE_MAX, ONE), RequestVerdict::Retry);
}

#[test]
fn a_big_body_whose_connection_breaks_again_is_halved() {
    let reset = |resets, request| judge_request(Outcome::Reset, Request { resets, ..request }, &[]);
    assert_eq!(reset(0, BULK), RequestVerdict::Retry);
    assert_eq!(reset(1, BULK), RequestVerdict::Halve);
    assert_eq!(reset(1, ONE), RequestVerdict::Retry);
    assert_eq!(reset(1, Request { bytes: BIG_BODY_BYTES - 1, ..BULK }), RequestVerdict::Retry);
}

#[test]
fn what_is_not_known_is_sent_again() {
    assert_eq!(judge_request(Outcome::Unknown, BULK, &[]), RequestVerdict::Retry);
    assert_eq!(judge_request(Outcome::NoConnection, BULK, &[]), RequestVerdict::Stall);
    assert_eq!(judge_request(Outcome::Items, BULK, &[]), RequestVerdict::Items);
}

fn rule(status: Option<u16>, error_type: Option<&str>, then: Refusal) -> PolicyRule {
    PolicyRule { status, error_type: error_type.map(Into::into), then }
}

#[test]
fn the_first_rule_that_fits_counts() {
    let policy = [
        rule(Some(400), Some("strict_dynamic_mapping_exception"), Refusal::Stall),
        rule(None, Some("document_parsing_exception"), Refusal::Drop),
        rule(Some(400), None, Refusal::Retry),
        rule(Some(503), None, Refusal::DeadLetter),
        rule(Some(409), None, Refusal::DeadLetter),
    ];
    let item = |status, kind, operation| {
        let error = Some(ErrorAnswer { kind, reason: "" });
        judge_item(operation, &ItemAnswer { status, failure_store: None, error }, &policy)
    };
    let rows = [
        (400, "strict_dynamic_mapping_exception", Verdict::Stall),
        (400, "document_parsing_exception", Verdict::Dropped),
        (400, "index_closed_exception", Verdict::Retry),
        (503, "unavailable_shards_exception", Verdict::Rejected),
        (409, "version_conflict_engine_exception", Verdict::Rejected),
        (404, "index_not_found_exception", Verdict::Rejected),
        (429, "es_rejected_execution_exception", Verdict::Retry),
    ];
    for (status, kind, verdict) in rows {
        assert_eq!(item(status, kind, Operation::Index), Some(verdict), "{status} {kind}");
    }
}

#[test]
fn no_rule_makes_a_success_a_failure() {
    let policy: Vec<PolicyRule> = [200, 201, 404].map(|status| rule(Some(status), None, Refusal::Drop)).into();
    let judged = |operation, status| judge_item(operation, &ItemAnswer { status, ..ItemAnswer::default() }, &policy);
    assert_eq!(judged(Operation::Index, 201), Some(Verdict::Settled));
    assert_eq!(judged(Operation::Delete, 404), Some(Verdict::Settled), "nothing to delete");
    assert_eq!(judged(Operation::Index, 404), Some(Verdict::Dropped));
}

#[test]
fn what_conflicts_is_there_already_or_is_changed_again() {
    let error = Some(ErrorAnswer { kind: "version_conflict_engine_exception", reason: "" });
    let judged = |operation| judge_item(operation, &ItemAnswer { status: 409, failure_store: None, error }, &[]);
    assert_eq!(judged(Operation::Index), Some(Verdict::Superseded));
    assert_eq!(judged(Operation::Create), Some(Verdict::Superseded));
    assert_eq!(judged(Operation::Update), Some(Verdict::Retry));
}

#[test]
fn rules_hold_for_a_document_that_spoils_its_request() {
    let (kind, too_big) = ("action_request_validation_exception", rule(Some(413), None, Refusal::Drop));
    let policy = [rule(None, Some(kind), Refusal::Stall), too_big];
    let judged = |status, error, request| judge_request(Outcome::Status { status, error }, request, &policy);
    let error = Some(ErrorAnswer { kind, reason: "" });
    assert_eq!(judged(400, error, BULK), RequestVerdict::Isolate);
    assert_eq!(judged(400, error, ONE), RequestVerdict::Stall);
    assert_eq!(judged(413, None, BULK), RequestVerdict::Halve);
    assert_eq!(judged(413, None, ONE), RequestVerdict::Dropped);
}
