//! `[sink.elasticsearch]`: what is wrong with it.

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
