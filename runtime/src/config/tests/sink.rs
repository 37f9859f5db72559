//! `[sink.elasticsearch]` and other clusters: what is wrong with them.

use expect_test::expect;

use super::*;

#[test]
fn ways_in() {
    let auth = |elasticsearch| With { elasticsearch, ..With::default() };
    auth("auth = {}").wrong(expect![[r#"
        p.toml:13:8: `auth` is empty
            { user, password }, { api_key } or { bearer }; leave it out for none"#]]);
    auth("auth = { user = \"u\" }").wrong(expect![[r#"
        p.toml:13:8: `auth` has a user without a password, or the reverse
            { user, password }, { api_key } or { bearer }"#]]);
    auth("auth = { api_key = \"k\", bearer = \"t\" }").wrong(expect![[r#"
        p.toml:13:8: `auth` has more than one way in
            { user, password }, { api_key } or { bearer }"#]]);
}

#[test]
fn rules_of_the_policy() {
    let elasticsearch = "[[sink.elasticsearch.policy]]\nthen = \"drop\"\n[[sink.elasticsearch.policy]]\nstatus = 409\nthen = \"retry\"\n\
                         [[sink.elasticsearch.policy]]\nstatus = 200\ntype = \"\"\nthen = \"dead_letter\"\n\
                         [[sink.elasticsearch.policy]]\ntype = \"a\"\nkind = \"b\"\n\
                         [[sink.elasticsearch.policy]]\nstatus = 1\nthen = \"drop\"\nwhen = 1";
    With { elasticsearch, ..With::default() }.wrong(expect![[r#"
        p.toml:13:1: a rule that fits everything
            give it the `status` or the `type` of what it is for, such as `type = "document_parsing_exception"`
        p.toml:15:1: a version conflict never passes
            the index has that version or a newer one already: leave it as it is, or take `dead-letter` or `drop`
        p.toml:19:10: out of bounds: status=`200`
            from 400 to 599
        p.toml:20:8: an empty string: type=``
        p.toml:21:8: no such choice: then=`dead_letter`
            did you mean `dead-letter`?
        p.toml:22:1: `then` is missing in [[sink.elasticsearch.policy]]
        p.toml:24:1: unknown key `kind` in [[sink.elasticsearch.policy]]
            known here: status, type, then
        p.toml:26:10: out of bounds: status=`1`
            from 400 to 599
        p.toml:28:1: unknown key `when` in [[sink.elasticsearch.policy]]
            did you mean `then`?"#]]);
}

const HEAD: &str =
    "name = \"p\"\n[source.kafka]\nbrokers = \"b:9092\"\ntopics = [\"t\"]\n[sink.a]\nurls = [\"http://a:9200\"]\n";

#[test]
fn one_sink_is_that_of_all_outputs_whatever_its_name() {
    let settings = parse(&format!("{HEAD}[[output]]\nname = \"o\"\nindex = \"i\"")).unwrap();
    let output = &settings.outputs[0];
    assert_eq!((output.sink.as_str(), settings.sink_of(output), settings.sinks.len()), ("a", 0, 1));
}

#[test]
fn each_output_goes_to_the_sink_that_it_names() {
    let settings = parse(&format!(
        "{HEAD}[sink.b]\nurls = [\"http://b:9200\"]\nbulk_age_max = \"10ms\"\n\
         [[output]]\nname = \"o\"\nindex = \"i\"\nsink = \"b\"\n[[output]]\nname = \"n\"\nindex = \"i\"\nsink = \"a\""
    ));
    let settings = settings.unwrap();
    let of_sinks: Vec<_> = settings
        .outputs_of_sinks()
        .map(|(sink, outputs)| (sink.name.as_str(), outputs.iter().map(|output| output.name.as_str()).collect()))
        .collect();
    assert_eq!(of_sinks, [("a", vec!["n"]), ("b", vec!["o"])]);
    assert_eq!(settings.index_urls(), "http://a:9200, http://b:9200");
}

#[test]
fn an_output_without_a_sink_among_several() {
    check_wrong(
        &format!(
            "{HEAD}[sink.b]\nurls = []\n[sink.\"c d\"]\nurls = [\"http://c:9200\"]\n[sink]\ne = 1\n\
             [[output]]\nname = \"o\"\nindex = \"i\"\n[[output]]\nname = \"n\"\nindex = \"i\"\nsink = \"d\""
        ),
        expect![[r#"
            p.toml:8:8: `urls` is empty
                at least one node's address
            p.toml:9:1: not a name: `c d`
                letters, digits, `.`, `_`, `-`; 1 to 200 characters
            p.toml:12:5: `e` must be a table, not an integer
            p.toml:13:1: `sink` is missing: there are several clusters
                there is `a`, `b`, `c d`, `e`
            p.toml:19:8: no table under `sink` has this name: sink=`d`
                there is `a`, `b`, `c d`, `e`"#]],
    );
}

#[test]
fn a_client_certificate_has_a_file() {
    With { elasticsearch: "client_certificate = { password = \"x\" }", ..With::default() }
        .wrong(expect!["p.toml:13:22: `file` is missing in [sink.elasticsearch.client_certificate]"]);
}
