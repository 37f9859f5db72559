//! `tidegate status`, `reload` and `rollback`: what a running pipeline serves with, asked of it and told to it by its console.

use std::net::SocketAddr;

use anyhow::{Context, anyhow};
use clap::Args;
use reqwest::{Client, Method, Response, StatusCode};

use super::columns::Columns;
use crate::console::REQUEST_HEADER;
use crate::pipeline::{Generation, ReloadStatus};

/// How to reach a pipeline that runs.
#[derive(Args)]
pub struct Console {
    /// Where the running pipeline has its console: what its --console says
    #[arg(long, env = "TIDEGATE_CONSOLE", value_name = "IP:PORT")]
    console: SocketAddr,
}

#[derive(Args)]
pub struct StatusArgs {
    #[command(flatten)]
    console: Console,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct ReloadArgs {
    #[command(flatten)]
    console: Console,
}

#[derive(Args)]
pub struct RollbackArgs {
    #[command(flatten)]
    console: Console,
    /// A transform's name, or an output's name and `.aggregate`
    plugin: String,
}

pub fn status(args: &StatusArgs) -> anyhow::Result<()> {
    let text = args.console.ask(Method::GET, "/api/status")?;
    if args.json {
        super::print(&format!("{text}\n"));
        return Ok(());
    }
    let status: ReloadStatus =
        serde_json::from_str(&text).context("the console answers something else than a status")?;
    super::print(&show(&status));
    Ok(())
}

pub fn reload(args: &ReloadArgs) -> anyhow::Result<()> {
    super::print(&args.console.ask(Method::POST, "/api/reload")?);
    Ok(())
}

pub fn rollback(args: &RollbackArgs) -> anyhow::Result<()> {
    super::print(&args.console.ask(Method::POST, &format!("/api/rollback/{}", args.plugin))?);
    Ok(())
}

impl Console {
    pub(super) async fn send(&self, method: Method, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Response> {
        let url = format!("http://{}{path}", self.console);
        let answer = Client::new().request(method, url).query(query).header(REQUEST_HEADER, "cli").send().await;
        answer.with_context(|| {
            format!("no pipeline answers: console=`{}`; run it with --console {}", self.console, self.console)
        })
    }

    fn ask(&self, method: Method, path: &str) -> anyhow::Result<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (status, text) = runtime.block_on(async {
            let answer = self.send(method, path, &[]).await?;
            anyhow::Ok((answer.status(), answer.text().await?))
        })?;
        match status {
            StatusCode::OK => Ok(text),
            _ => Err(anyhow!("{}", text.trim_end())),
        }
    }
}

fn show(status: &ReloadStatus) -> String {
    let mut columns = Columns::new(["plugin", "generation", "version", "digest", "state", "since", "file"]);
    for place in &status.places {
        columns.row(row(&place.name, &place.serving, &place.file));
        if let Some(candidate) = &place.candidate {
            columns.row(row("", candidate, ""));
        }
    }
    let mut text = columns.show();
    for place in &status.places {
        let why = place.candidate.as_ref().and_then(|candidate| candidate.why.as_ref());
        if let (Some(why), Some(candidate)) = (why, &place.candidate) {
            text += &format!("\n{}, generation {}: {}: {why}\n", place.name, candidate.number, candidate.stage.name());
        }
    }
    if let Some(why) = &status.file_refused {
        text += &format!("\nthe pipeline file is not what runs: {why}\n");
    }
    if !status.watching {
        text += "\nfiles are not watched: `tidegate reload` deploys\n";
    }
    text
}

fn row(name: &str, generation: &Generation, file: &str) -> Vec<String> {
    let Generation { number, digest, version, stage, at, .. } = generation;
    let digest = digest.get(..12).unwrap_or(digest).to_owned();
    vec![
        name.to_owned(),
        number.to_string(),
        version.clone(),
        digest,
        stage.name().to_owned(),
        at.clone(),
        file.to_owned(),
    ]
}
