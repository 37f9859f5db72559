//! What a pipeline that runs has counted itself, which has to add up too.

use std::net::SocketAddr;

use anyhow::Context;
use reqwest::Method;

use crate::cli::columns::{Columns, grouped};
use crate::cli::deployed::{AskError, Console};
use crate::pipeline::{Balance, CountedReport};

/// An error where the console is not this pipeline's.
pub(super) fn ask(console: SocketAddr, pipeline: &str) -> anyhow::Result<Vec<Balance>> {
    let text = Console { console }.ask(Method::GET, &["account"])?;
    let report = serde_json::from_str(&text).context("the console answers something else than an account")?;
    Ok(of_pipeline(report, console, pipeline)?)
}

fn of_pipeline(report: CountedReport, console: SocketAddr, pipeline: &str) -> Result<Vec<Balance>, AskError> {
    match report.pipeline {
        Some(there) if there == pipeline => Ok(report.balances),
        Some(there) => Err(AskError::OtherPipeline { console, there, here: pipeline.to_owned() }),
        None => Err(AskError::NotBegun { console }),
    }
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
    use crate::record::{ErrorKind, HasKind};

    #[test]
    fn another_pipelines_account_is_refused() {
        let console = SocketAddr::from(([127, 0, 0, 1], 9600));
        let of = |pipeline: Option<&str>| {
            let report = CountedReport { pipeline: pipeline.map(str::to_owned), balances: Vec::new() };
            of_pipeline(report, console, "clicks").map_err(|error| (error.kind(), error.to_string()))
        };
        assert_eq!(of(Some("clicks")), Ok(Vec::new()));
        let (kind, words) = of(Some("shop")).expect_err("it is another one");
        assert_eq!(kind, ErrorKind::Config);
        expect!["the console is of another pipeline: console=`127.0.0.1:9600`, its pipeline=`shop`, the file's=`clicks`; give the console of clicks, or the file of shop"].assert_eq(&words);
        let (kind, words) = of(None).expect_err("it does not say");
        assert_eq!(kind, ErrorKind::Unavailable);
        expect!["the pipeline has not begun yet, so that its console does not say which one it is: console=`127.0.0.1:9600`; ask again when it runs"].assert_eq(&words);
    }

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
