//! `tidegate status`, `reload` and `rollback`: what a running pipeline serves with, asked of it and told to it by its console.

use std::net::SocketAddr;

use anyhow::Context;
use clap::Args;
use reqwest::{Client, Method, Response, StatusCode, Url};
use thiserror::Error;

use super::columns::Columns;
use crate::console::REQUEST_HEADER;
use crate::pipeline::{Generation, ReloadStatus};
use crate::record::{ErrorKind, HasKind};

/// How to reach a pipeline that runs.
#[derive(Args)]
pub struct Console {
    /// Where the running pipeline has its console: what its --console says
    #[arg(long, env = "TIDEGATE_CONSOLE", value_name = "IP:PORT")]
    pub(super) console: SocketAddr,
}

/// Why a running pipeline does not say or do what it was asked.
#[derive(Debug, Error)]
pub enum AskError {
    #[error("no pipeline answers: console=`{console}`; run it with --console {console}")]
    NoAnswer { console: SocketAddr, source: reqwest::Error },
    #[error("the pipeline has ended: console=`{console}`")]
    Ended { console: SocketAddr },
    #[error(
        "the pipeline has not begun yet, so that its console does not say which one it is: console=`{console}`; ask again when it runs"
    )]
    NotBegun { console: SocketAddr },
    #[error(
        "the console is of another pipeline: console=`{console}`, its pipeline=`{there}`, the file's=`{here}`; give the console of {here}, or the \
         file of {there}"
    )]
    OtherPipeline { console: SocketAddr, there: String, here: String },
    /// In its words.
    #[error("{0}")]
    Refused(String),
    #[error("what answers is no console of a pipeline: console=`{console}`, status=`{status}`")]
    Foreign { console: SocketAddr, status: StatusCode },
}

impl HasKind for AskError {
    fn kind(&self) -> ErrorKind {
        match self {
            AskError::NoAnswer { .. } | AskError::Ended { .. } | AskError::NotBegun { .. } => ErrorKind::Unavailable,
            AskError::OtherPipeline { .. } | AskError::Refused(_) | AskError::Foreign { .. } => ErrorKind::Config,
        }
    }
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
    let text = args.console.ask(Method::GET, &["status"])?;
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
    super::print(&args.console.ask(Method::POST, &["reload"])?);
    Ok(())
}

pub fn rollback(args: &RollbackArgs) -> anyhow::Result<()> {
    super::print(&args.console.ask(Method::POST, &["rollback", &args.plugin])?);
    Ok(())
}

impl Console {
    /// `path` is below `/api`, name by name. An answer other than 200 is an error.
    pub(super) async fn send(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> anyhow::Result<Response> {
        let console = self.console;
        let mut url = Url::parse(&format!("http://{console}/api")).expect("an address makes a URL");
        url.path_segments_mut().expect("HTTP has a path").extend(path);
        let request = Client::new().request(method, url).query(query).header(REQUEST_HEADER, "cli");
        let answer = request.send().await.map_err(|source| AskError::NoAnswer { console, source })?;
        let status = answer.status();
        if status == StatusCode::OK {
            return Ok(answer);
        }
        let words = answer.text().await.unwrap_or_default();
        Err(match (status, words.trim_end()) {
            (StatusCode::CONFLICT, words) => AskError::Refused(words.to_owned()).into(),
            (status, _) => AskError::Foreign { console, status }.into(),
        })
    }

    pub(super) fn ask(&self, method: Method, path: &[&str]) -> anyhow::Result<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { Ok(self.send(method, path, &[]).await?.text().await?) })
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
    let is_empty = status.places.is_empty();
    let mut text = match is_empty {
        true => "no plugin serves: the pipeline has none, or has not started yet\n".to_owned(),
        false => columns.show(),
    };
    for place in &status.places {
        let why = place.candidate.as_ref().and_then(|candidate| candidate.why.as_ref());
        if let (Some(why), Some(candidate)) = (why, &place.candidate) {
            text += &format!("\n{}, generation {}: {}: {why}\n", place.name, candidate.number, candidate.stage.name());
        }
    }
    if let Some(why) = &status.file_refused {
        text += &format!("\nthe pipeline file is not what runs: {why}\n");
    }
    if !status.watching && !is_empty {
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
