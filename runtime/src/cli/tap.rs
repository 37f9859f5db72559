//! `tidegate tap`: what passes a place of a running pipeline, and what becomes of it there, as lines of JSON.

use std::io::Write;

use clap::Args;
use reqwest::Method;

use super::deployed::{AskError, Console};

#[derive(Args)]
pub struct TapArgs {
    #[command(flatten)]
    console: Console,
    /// Where: `decode`, the name of a transform, `window`, an output's name and `.aggregate`, or `sink`
    #[arg(long, value_name = "PLACE", default_value = "decode")]
    at: String,
    /// Only records, or documents, that have this value in this field; a dot goes into an object
    #[arg(long = "where", value_name = "FIELD=VALUE")]
    condition: Option<String>,
    /// Ends after so many lines
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

pub fn run(args: &TapArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut query = vec![("at", args.at.as_str())];
        query.extend(args.condition.as_deref().map(|condition| ("where", condition)));
        let mut answer = args.console.send(Method::GET, &["tap"], &query).await?;
        let (mut rest, mut left) = (Vec::new(), args.limit.unwrap_or(u64::MAX));
        while left > 0 {
            // A console that ends does not say farewell.
            let ended = || AskError::Ended { console: args.console.console };
            let chunk = answer.chunk().await.ok().flatten().ok_or_else(ended)?;
            rest.extend_from_slice(&chunk);
            while left > 0
                && let Some(end) = memchr::memchr(b'\n', &rest)
            {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let mut out = std::io::stdout().lock();
                if out.write_all(&line).and_then(|()| out.flush()).is_err() {
                    return Ok(()); // Nobody reads it any more.
                }
                left -= 1;
            }
        }
        Ok(())
    })
}
