//! What a pipeline that runs has counted itself, which has to add up too.

use std::net::SocketAddr;

use anyhow::Context;
use reqwest::Method;

use crate::cli::columns::{Columns, grouped};
use crate::cli::deployed::Console;
use crate::pipeline::Balance;

pub(super) fn ask(console: SocketAddr) -> anyhow::Result<Vec<Balance>> {
    let text = Console { console }.ask(Method::GET, &["account"])?;
    serde_json::from_str(&text).context("the console answers something else than an account")
}

pub(super) fn different(balances: &[Balance]) -> u64 {
    balances.iter().filter(|it| !it.adds_up()).count() as u64
}

pub(super) fn shown(balances: &[Balance]) -> String {
    if balances.is_empty() {
        return "\nThe pipeline has read nothing since it began.\n".to_owned();
    }
    let mut columns = Columns::new([
        "counted since it began",
        "output",
        "rows that came",
        "rows that are gone",
        "documents under way",
    ]);
    for Balance { partition, output, came, gone, unanswered } in balances {
        let unanswered = unanswered.to_string();
        columns.row(vec![partition.clone(), output.clone(), grouped(*came), grouped(*gone), unanswered]);
    }
    format!("\n{}", columns.show())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn what_does_not_add_up_is_counted() {
        let of = |came, gone, unanswered| Balance {
            partition: "events-0".to_owned(),
            output: "all".to_owned(),
            came,
            gone,
            unanswered,
        };
        let balances = [of(12_000, 12_000, 7), of(12, 11, 0), of(12, 12, -1)];
        assert_eq!((different(&balances), different(&balances[..1])), (2, 0));
        expect![[r#"

            COUNTED SINCE IT BEGAN  OUTPUT  ROWS THAT CAME  ROWS THAT ARE GONE  DOCUMENTS UNDER WAY
            events-0                all     12,000          12,000              7
        "#]]
        .assert_eq(&shown(&balances[..1]));
        assert!(shown(&[]).contains("nothing"));
    }
}
