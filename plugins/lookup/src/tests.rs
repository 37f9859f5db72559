//! What becomes of records, by table and settings.

use tidegate_sdk::test::{Value, Verdict, json, ports, refusal, run};

use super::plugin;

const COUNTRIES: &str = "code,name,inhabitants,area,zip,member\nNO,Norway,5550000,385207.5,0001,false\n\"DE\",\"Germany, Federal Republic\",83500000,357596,10115,true\nXK,,,,,\n";

#[test]
fn a_record_gets_the_fields_of_its_row() {
    let settings = json!({
        "table": COUNTRIES,
        "key": {"geo.country": "code"},
        "fields": {"geo.name": "name", "people": "inhabitants"},
    });
    let record = json!({"geo": {"country": "DE"}, "id": 1});
    let expected =
        json!({"geo": {"country": "DE", "name": "Germany, Federal Republic"}, "people": 83_500_000, "id": 1});
    assert_eq!(run(plugin, settings, [record]), [Verdict::Passed(expected)]);
}

#[test]
fn without_fields_all_columns_but_the_key_are_taken_in_the_kind_of_their_values() {
    let settings = json!({"table": COUNTRIES, "key": "code"});
    let records = [json!({"code": "NO"}), json!({"code": "XK", "name": "an older one"})];
    let norway = json!({
        "code": "NO", "name": "Norway", "inhabitants": 5_550_000, "area": 385_207.5, "zip": "0001", "member": false,
    });
    let expected = [norway, json!({"code": "XK"})];
    assert_eq!(run(plugin, settings.clone(), records), expected.map(Verdict::Passed));
    let kinds: Vec<_> = ports(plugin, settings).writes.into_iter().map(|field| field.kind.name()).collect();
    assert_eq!(kinds, ["text", "integer", "float", "text", "boolean"]);
}

#[test]
fn a_json_object_a_line_is_a_table_too() {
    let table = "{\"sku\": 7, \"tags\": [\"a\"], \"price\": 1}\n\n{\"sku\": \"x\", \"price\": 2.5}\n";
    let records = [json!({"sku": 7}), json!({"sku": "x"}), json!({"sku": "7"})];
    let expected = [
        json!({"sku": 7, "tags": ["a"], "price": 1.0}),
        json!({"sku": "x", "price": 2.5}),
        json!({"sku": "7", "tags": ["a"], "price": 1.0}),
    ];
    assert_eq!(run(plugin, json!({"table": table, "key": "sku"}), records), expected.map(Verdict::Passed));
}

#[test]
fn a_key_of_several_fields() {
    let table = "shop;item;price\na;bc;1\nab;c;2\n";
    let settings = json!({"table": table, "key": ["shop", "item"], "separator": ";"});
    let records = [json!({"shop": "ab", "item": "c"}), json!({"shop": "ab"})];
    let expected = [json!({"shop": "ab", "item": "c", "price": 2}), json!({"shop": "ab"})];
    assert_eq!(run(plugin, settings, records), expected.map(Verdict::Passed));
}

#[test]
fn records_without_a_row_are_kept_dropped_or_rejected() {
    let verdicts = |on_missing: &str| {
        let settings = json!({"table": COUNTRIES, "key": "code", "fields": "name", "on_missing": on_missing});
        run(plugin, settings, [json!({"code": "??"}), json!({})])
    };
    assert_eq!(verdicts("keep"), [Verdict::Passed(json!({"code": "??"})), Verdict::Passed(json!({}))]);
    assert_eq!(verdicts("drop"), [Verdict::Dropped, Verdict::Dropped]);
    assert_eq!(
        verdicts("reject"),
        [
            Verdict::Rejected("the table has no row for this record: code=`??`".into()),
            Verdict::Rejected("the table has no row for this record: code is absent".into()),
        ]
    );
}

#[test]
fn settings_and_tables_are_checked() {
    let refused = |table: &str, key: Value| refusal(plugin, json!({"table": table, "key": key}));
    assert_eq!(refused("a,b\n1,2", json!("c")), "table: there is no column `c`; it has a, b");
    assert_eq!(refused("a,b\n1", json!("a")), "table: line 2 has 1 values for 2 columns");
    assert_eq!(refused("a,b\n1,2\n3,4\n1,5", json!("a")), "table: lines 2 and 4 have the same key: 1");
    assert_eq!(refused("a,b\n,2", json!("a")), "table: line 2 has no value for the key");
    assert_eq!(refused("a,b\n", json!("a")), "table: there is no row in it");
    assert_eq!(refused("", json!("a")), "table: it is empty; the first line has the columns' names");
    assert_eq!(refused("a\n1", json!("a")), "key and fields name one column each, at least");
    assert_eq!(refused("a,b\n1,2", json!(3)), "a name, a list of names, or a table of field = \"column\" is wanted");
    assert!(refused("{\"a\":}", json!("a")).starts_with("table: line 1: expected value"));
}
