//! Answers as servers write them, and as they arrive when something went wrong.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn indexed(items: usize) -> Sent {
    Sent { items, operations: Operations::All(Operation::Index), policy: Arc::new([]), body: Bytes::new() }
}

fn check(body: &str, sent: usize, expected: Expect) {
    let shown = match read(body.as_bytes(), &indexed(sent)) {
        Ok(faults) => faults
            .iter()
            .map(|fault| {
                format!("{}: {:?} {} {} {}\n", fault.item, fault.verdict, fault.status, fault.error_type, fault.reason)
            })
            .collect(),
        Err(Untrusted(why)) => format!("untrusted: {why}\n"),
    };
    expected.assert_eq(&shown);
}

#[test]
fn an_answer_without_errors_settles_all() {
    check(r#"{"errors":false,"took":3,"items":[{"index":{"status":201}},{"index":{"status":200}}]}"#, 2, expect![""]);
    check(r#"{"took":3,"errors":false,"items":[{"index":{"status":201}}]}"#, 1, expect![""]);
    check(r#"{"items":[{"index":{"status":201}}],"errors":false}"#, 1, expect![""]);
    let plain = br#"{"errors":false,"took":3,"items":[{"index":{"status":201}}]}"#;
    assert_eq!(plainly_settled(plain, "index"), Some(1));
    assert_eq!(plainly_settled(plain, "create"), None);
}

#[test]
fn faults_are_named_by_place_with_the_words_of_the_index() {
    check(
        r#"{"errors":true,"took":3,"items":[
            {"index":{"status":201}},
            {"index":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"[a]: version conflict"}}},
            {"index":{"status":429,"error":{"type":"cluster_block_exception","reason":"index [ev-1] blocked by: [\"TOO_MANY\"]"}}},
            {"index":{"status":201,"failure_store":"used"}},
            {"index":{"status":503}},
            {"index":{"status":400,"error":{"type":"document_parsing_exception","reason":"[1:6] failed to parse"}}}]}"#,
        6,
        expect![[r#"
            1: Superseded 409 version_conflict_engine_exception [a]: version conflict
            2: Stall 429 cluster_block_exception index [ev-1] blocked by: ["TOO_MANY"]
            3: SettledInFailureStore 201  
            4: Retry 503  
            5: Rejected 400 document_parsing_exception [1:6] failed to parse
        "#]],
    );
}

#[test]
fn an_answer_that_does_not_name_every_item_is_not_trusted() {
    let two = r#"{"errors":false,"took":3,"items":[{"index":{"status":201}},{"index":{"status":201}}]}"#;
    check(two, 1, expect!["untrusted: the answer has 2 items, 1 were sent\n"]);
    check(two, 3, expect!["untrusted: the answer has 2 items, 3 were sent\n"]);
    check("", 1, expect!["untrusted: EOF while parsing a value at line 1 column 0\n"]);
    check(&two[..60], 2, expect!["untrusted: EOF while parsing an object at line 1 column 60\n"]);
    check(r#"{"took":3}"#, 0, expect!["untrusted: missing field `errors` at line 1 column 10\n"]);
    check(
        r#"{"errors":false,"items":[{"create":{"status":201}}]}"#,
        1,
        expect!["untrusted: an item of another action than was sent at line 1 column 34\n"],
    );
    check(r#"{"errors":false,"items":[{}]}"#, 1, expect!["untrusted: an item without an action at line 1 column 27\n"]);
    check(
        r#"{"errors":false,"items":[{"index":{}}]}"#,
        1,
        expect!["untrusted: missing field `status` at line 1 column 36\n"],
    );
    check(
        r#"{"errors":false,"items":[{"index":{"status":20}}]}"#,
        1,
        expect!["untrusted: an item with status 20 at line 1 column 48\n"],
    );
}

#[test]
fn each_item_is_of_the_operation_that_was_asked_for() {
    let operations = Operations::Each(vec![Operation::Index, Operation::Delete, Operation::Delete]);
    let sent = Sent { operations, ..indexed(3) };
    let answer = |second: &str| {
        let items = format!(r#"{{"index":{{"status":201}}}},{second},{{"delete":{{"status":404}}}}"#);
        read(format!(r#"{{"errors":false,"items":[{items}]}}"#).as_bytes(), &sent)
    };
    assert_eq!(answer(r#"{"delete":{"status":200}}"#), Ok(Vec::new()));
    assert!(matches!(answer(r#"{"index":{"status":201}}"#), Err(Untrusted(why)) if why.contains("another action")));
}

#[test]
fn items_of_one_operation_are_read_as_such() {
    for (operation, name) in [(Operation::Create, "create"), (Operation::Update, "update")] {
        let sent = Sent { operations: Operations::All(operation), ..indexed(2) };
        let answer = |action: &str| {
            let items = format!(r#"{{"{action}":{{"status":201}}}},{{"{action}":{{"status":200}}}}"#);
            read(format!(r#"{{"errors":false,"items":[{items}]}}"#).as_bytes(), &sent)
        };
        assert_eq!(answer(name), Ok(Vec::new()));
        assert!(matches!(answer("index"), Err(Untrusted(why)) if why.contains("another action")));
    }
}

#[test]
fn an_error_of_a_whole_request_is_an_object_or_a_string() {
    assert_eq!(
        read_error(br#"{"error":{"root_cause":[],"type":"a","reason":"b"},"status":400}"#),
        Some(("a".into(), "b".into()))
    );
    assert_eq!(
        read_error(br#"{"error":"Content-Type header [x] is not supported","status":406}"#),
        Some((String::new(), "Content-Type header [x] is not supported".into()))
    );
    assert_eq!(read_error(b"<html>"), None);
    assert_eq!(read_error(b""), None);
}

/// What a server says of an item, as JSON, and whether it says that it is done with it.
fn said() -> impl Strategy<Value = (String, bool)> {
    prop_oneof![
        4 => Just((r#"{"index":{"status":201}}"#.into(), true)),
        1 => Just((
            r#"{"index":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"r"}}}"#.into(),
            true
        )),
        1 => Just((
            r#"{"index":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"r"}}}"#.into(),
            false
        )),
        1 => Just((
            r#"{"index":{"status":400,"error":{"type":"document_parsing_exception","reason":"201"}}}"#.into(),
            false
        )),
    ]
}

#[derive(Clone, Debug)]
enum Mutilation {
    Cut(prop::sample::Index),
    /// Bytes taken out.
    Hole(prop::sample::Index, usize),
    /// A byte replaced.
    Flip(prop::sample::Index, u8),
    DropItem(prop::sample::Index),
    RepeatItem(prop::sample::Index),
}

fn mutilation() -> impl Strategy<Value = Mutilation> {
    use prop::sample::Index;
    prop_oneof![
        any::<Index>().prop_map(Mutilation::Cut),
        (any::<Index>(), 1usize..200).prop_map(|(at, len)| Mutilation::Hole(at, len)),
        (any::<Index>(), prop::sample::select(&b"{}[]\",: x"[..])).prop_map(|(at, byte)| Mutilation::Flip(at, byte)),
        any::<Index>().prop_map(Mutilation::DropItem),
        any::<Index>().prop_map(Mutilation::RepeatItem),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn a_mutilated_answer_settles_nothing_that_the_server_did_not_name(
        said in prop::collection::vec(said(), 1..12),
        mutilation in mutilation(),
    ) {
        let done: Vec<bool> = said.iter().map(|(_, done)| *done).collect();
        let mut items: Vec<String> = said.iter().map(|(text, _)| text.clone()).collect();
        match &mutilation {
            Mutilation::DropItem(at) => drop(items.remove(at.index(items.len()))),
            Mutilation::RepeatItem(at) => {
                let at = at.index(items.len());
                items.insert(at, items[at].clone());
            }
            Mutilation::Cut(_) | Mutilation::Hole(..) | Mutilation::Flip(..) => {}
        }
        let errors = done.contains(&false);
        let mut body = format!(r#"{{"errors":{errors},"took":7,"items":[{}]}}"#, items.join(",")).into_bytes();
        match mutilation {
            Mutilation::Cut(at) => body.truncate(at.index(body.len())),
            Mutilation::Hole(at, len) => {
                let at = at.index(body.len());
                body.drain(at..(at + len).min(body.len()));
            }
            Mutilation::Flip(at, byte) => {
                let at = at.index(body.len());
                body[at] = byte;
            }
            Mutilation::DropItem(_) | Mutilation::RepeatItem(_) => {}
        }
        if let Ok(faults) = read(&body, &indexed(done.len())) {
            for (item, done) in done.iter().enumerate() {
                let verdict = faults.iter().find(|fault| fault.item as usize == item).map(|fault| fault.verdict);
                let settled = matches!(verdict, None | Some(Verdict::Settled | Verdict::Superseded));
                prop_assert!(!settled || *done, "item {item} in {}", String::from_utf8_lossy(&body));
            }
        }
    }
}

#[test]
fn an_item_that_names_another_document_makes_the_answer_untrusted() {
    let lines = [r#"{"index":{"_index":"i","_id":"a"}}"#, "{}", r#"{"index":{"_index":"i","_id":"b"}}"#, "{}", ""];
    let sent = Sent { body: lines.join("\n").into(), ..indexed(2) };
    let answer = |first: &str, second: &str| {
        let item = |id: &str, status: u16| format!(r#"{{"index":{{"_index":"i","_id":"{id}","status":{status}}}}}"#);
        let body = format!(r#"{{"errors":true,"items":[{},{}]}}"#, item(first, 201), item(second, 400));
        read(body.as_bytes(), &sent).map(|faults| faults.len())
    };
    assert_eq!(answer("a", "b").unwrap(), 1);
    assert!(answer("b", "a").is_err());
}
