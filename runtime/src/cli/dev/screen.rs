//! What `tidegate dev` shows: a page that is drawn anew on a terminal, and lines about what is new where there is none.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::builder::Word;
use crate::cli::columns::{Columns, dead_letters, grouped};
use crate::cli::terminal::plain;
use crate::pipeline::{Phase, PlaceStatus, Snapshot};

/// Every so many lines without a terminal one says how many records there were.
const LINES_APART: u32 = 25;

/// All that is known now.
#[derive(Default)]
pub(super) struct View {
    pub head: String,
    pub snapshot: Snapshot,
    /// The index and the JSON of the last documents, the newest at the end.
    pub documents: Vec<(String, Vec<u8>)>,
    pub dead_letters: Vec<String>,
    /// What became of the last build.
    pub build: Option<Word>,
    /// Why the pipeline does not run.
    pub ended: Option<String>,
}

/// The lines of a terminal's page, no wider than the terminal.
pub(super) fn page(view: &View, width: usize, height: usize) -> String {
    let mut text = format!("{}\n{}", view.head, plugins(&view.snapshot));
    let _ = write!(text, "\n{}\n", counts(&view.snapshot));
    // Above what flows, so that a low terminal shows it.
    if let Some(why) = &view.ended {
        let _ = writeln!(text, "\nthe pipeline does not run, it begins again when something changes: {why}");
    }
    if let Some(word) = &view.build {
        let _ = write!(text, "\n{}", told(word));
    }
    for (title, lines) in [("last documents", documents(view)), ("last dead letters", view.dead_letters.clone())] {
        if !lines.is_empty() {
            let _ = writeln!(text, "\n{title}");
            lines.iter().for_each(|line| text += &format!("  {line}\n"));
        }
    }
    text.lines().take(height.max(1)).map(|line| cut(line, width) + "\n").collect()
}

/// At most so many columns; colours take none, and end.
fn cut(line: &str, width: usize) -> String {
    let (mut out, mut shown, mut in_colour) = (String::new(), 0, false);
    for sign in line.chars() {
        let begins = sign == '\u{1b}';
        if !in_colour && !begins {
            shown += 1;
            if shown > width {
                return out + "\u{1b}[0m";
            }
        }
        in_colour = (in_colour || begins) && sign != 'm';
        out.push(sign);
    }
    out
}

fn plugins(snapshot: &Snapshot) -> String {
    let mut columns =
        Columns::new(["plugin", "generation", "version", "records", "ns a record", "dropped", "rejected", "candidate"]);
    for place in &snapshot.reload.places {
        let usage = &place.usage;
        let nanos = usage.nanos.checked_div(usage.rows).map_or("-".to_owned(), |nanos| nanos.to_string());
        columns.row(vec![
            place.name.clone(),
            place.serving.number.to_string(),
            place.serving.version.clone(),
            grouped(usage.rows),
            nanos,
            grouped(usage.dropped),
            grouped(usage.rejected + usage.broken),
            candidate(place),
        ]);
    }
    let mut text = columns.show();
    if let Some(why) = &snapshot.reload.file_refused {
        text += &format!("the pipeline file is not what runs: {why}\n");
    }
    text
}

/// The generation that does not serve: on its way, or why not.
fn candidate(place: &PlaceStatus) -> String {
    let Some(candidate) = &place.candidate else { return String::new() };
    let why = candidate.why.as_deref().map(|why| format!(": {}", why.replace('\n', " "))).unwrap_or_default();
    format!("generation {} {}{why}", candidate.number, candidate.stage.name())
}

fn counts(snapshot: &Snapshot) -> String {
    let tally = &snapshot.counts.tally;
    let mut text = format!(
        "records {}, dropped {}, documents {}, open windows {}, dead letters: {}",
        grouped(tally.records),
        grouped(tally.dropped),
        grouped(tally.documents),
        snapshot.open_windows(),
        dead_letters(snapshot)
    );
    for waiting in &snapshot.waiting {
        text += &format!("\nwaiting: {waiting}");
    }
    text
}

fn documents(view: &View) -> Vec<String> {
    view.documents.iter().rev().map(|(index, body)| format!("{index}  {}", plain(body))).collect()
}

fn told(word: &Word) -> String {
    let after = |said: &str| if said.is_empty() { String::new() } else { format!("{said}\n") };
    match word {
        Word::Building { names } => format!("building {names}\n"),
        Word::Built { names, took, said } => format!("built {names} in {}\n{}", seconds(*took), after(said)),
        Word::Failed { names, said } => format!("cannot build {names}, what serves goes on:\n{}", after(said)),
        Word::Ready => String::new(),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// What was printed, so that only news is.
#[derive(Default)]
pub(super) struct Lines {
    /// The generation that serves, and the candidate, by place.
    places: BTreeMap<String, (u64, String)>,
    document: Option<(String, Vec<u8>)>,
    dead_letters: Vec<String>,
    file_refused: Option<String>,
    looks: u32,
}

impl Lines {
    /// What there is to say about a build.
    pub fn build(word: &Word) -> String {
        told(word)
    }

    /// What is new since the last look, about once a second.
    pub fn news(&mut self, view: &View) -> String {
        let mut text = String::new();
        let reload = &view.snapshot.reload;
        let mut deployed = false;
        for place in &reload.places {
            let is = (place.serving.number, candidate(place));
            let before = self.places.insert(place.name.clone(), is.clone());
            if before.as_ref().map(|(number, _)| *number) != Some(is.0) {
                deployed = true;
                let _ =
                    writeln!(text, "{} serves as generation {}, version {}", place.name, is.0, place.serving.version);
            }
            let refused = place.candidate.as_ref().is_some_and(|candidate| candidate.why.is_some());
            if refused && before.is_none_or(|(_, candidate)| candidate != is.1) {
                let _ = writeln!(text, "{}: {}", place.name, is.1);
            }
        }
        if self.file_refused != reload.file_refused {
            self.file_refused.clone_from(&reload.file_refused);
            if let Some(why) = &reload.file_refused {
                let _ = writeln!(text, "the pipeline file is not what runs: {why}");
            }
        }
        if self.dead_letters != view.dead_letters {
            self.dead_letters.clone_from(&view.dead_letters);
            view.dead_letters.iter().take(1).for_each(|letter| text += &format!("dead letter: {letter}\n"));
        }
        if let Some((index, body)) = view.documents.last()
            && self.document.as_ref() != view.documents.last()
        {
            self.document = view.documents.last().cloned();
            let _ = writeln!(text, "document in {index}: {}", plain(body));
        }
        self.looks += 1;
        if view.snapshot.phase == Phase::Running && (deployed || self.looks.is_multiple_of(LINES_APART)) {
            text += &format!("{}\n", counts(&view.snapshot));
            text += &plugins(&view.snapshot);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_to_the_terminal_and_colours_end() {
        assert_eq!(cut("größer", 10), "größer");
        assert_eq!(cut("größer", 3), "grö\u{1b}[0m");
        assert_eq!(cut("\u{1b}[31mred\u{1b}[0m", 3), "\u{1b}[31mred\u{1b}[0m");
        assert_eq!(cut("\u{1b}[31mred", 2), "\u{1b}[31mre\u{1b}[0m");
    }

    #[test]
    fn a_page_shows_what_the_compiler_says_and_fits() {
        let build = Word::Failed { names: "first".into(), said: "error: expected one of\n --> src/lib.rs:3".into() };
        let view = View {
            head: "pipeline first".into(),
            documents: vec![("orders".into(), b"{}".to_vec())],
            dead_letters: vec!["field: no (orders-0-1)".into()],
            build: Some(build),
            ..View::default()
        };
        let all = page(&view, 80, 40);
        let (words, error) = ("cannot build first, what serves goes on:\nerror: expected one of\n", "  orders  {}\n");
        assert!(all.contains(words) && all.contains(error) && all.contains("last dead letters\n  field: no"), "{all}");
        assert!(all.find("error: expected") < all.find("last documents"), "a low terminal shows it: {all}");
        assert_eq!(page(&view, 4, 3).lines().count(), 3);
    }

    #[test]
    fn the_same_news_is_told_once() {
        let mut lines = Lines::default();
        let mut view = View { documents: vec![("orders".into(), b"{}".to_vec())], ..View::default() };
        assert_eq!(lines.news(&view), "document in orders: {}\n");
        assert_eq!(lines.news(&view), "");
        view.dead_letters.push("json: no".into());
        assert_eq!(lines.news(&view), "dead letter: json: no\n");
    }
}
