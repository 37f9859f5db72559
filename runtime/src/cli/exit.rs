//! Exit codes: what a script may rely on; `docs/exit-codes.md` says more.

use std::error::Error;
use std::process::ExitCode;

use super::build::BuildError;
use super::check::Problems;
use super::checkpoint::CheckpointCommandError;
use super::dead_letters::{DeadLetterCommandError, LettersLeft};
use super::deployed::AskError;
use super::input::InputError;
use super::new::NewError;
use super::reconcile::DoesNotAddUp;
use super::test::{Failed, TestError};
use crate::checkpoint::CheckpointError;
use crate::config::ConfigErrors;
use crate::console::ConsoleError;
use crate::decode::DecodeError;
use crate::lane::LaneError;
use crate::pipeline::PipelineError;
use crate::plugin::PluginError;
use crate::record::{ErrorKind, HasKind};
use crate::sink::SinkError;
use crate::source::{SourceError, WriteError};

/// How the program ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Done, or drained after SIGTERM.
    Done = 0,
    /// A bug of ours, or an operating system that refuses something.
    Internal = 1,
    /// The command line, the pipeline file, a setting, or a topic that is not there.
    Config = 2,
    /// A component.
    Plugin = 3,
    /// A server that does not answer, refuses us or lacks a topic when the pipeline starts; or that keeps a drain from its
    /// end.
    Unavailable = 4,
    /// Going on could lose or repeat something: a choice is needed.
    Choice = 5,
    /// A scenario did not come out as it should.
    Scenario = 6,
    /// The breaker: a component broke on most records.
    Breaker = 7,
    /// Dead letters that were chosen stay dead letters.
    Letters = 8,
    /// What was read does not add up to what is in the index and among the dead letters.
    Differences = 9,
}

/// What `--help` says about it.
pub const HELP: &str = "\
Exit codes:
  0  done, or drained after SIGTERM
  1  internal error
  2  wrong command line, pipeline file or setting; a running pipeline refuses
     what it is asked for
  3  a component does not load, refuses its settings, or broke its contract
  4  a server or topic is not there, or refuses us, at the start; no pipeline
     answers at the console; or what was in flight could not be brought home before the deadline of a drain, and is read again
  5  going on could lose or repeat something: a choice is needed
  6  a scenario of `tidegate test` failed
  7  a component broke on more than half of its records; they are read again
  8  of the dead letters that were to be replayed, some are left
  9  `tidegate reconcile` has found differences, or was stopped before the end
  130, 143  a second SIGINT or SIGTERM during a drain; what was in flight is read again";

impl Exit {
    /// The first error of the chain that knows its kind decides.
    pub fn of(error: &anyhow::Error) -> Exit {
        if error.is::<Failed>() {
            return Exit::Scenario;
        }
        if error.is::<LettersLeft>() {
            return Exit::Letters;
        }
        if error.is::<DoesNotAddUp>() {
            return Exit::Differences;
        }
        match error.chain().find_map(kind) {
            Some(ErrorKind::Config) => Exit::Config,
            Some(ErrorKind::Plugin) => Exit::Plugin,
            Some(ErrorKind::Failing) => Exit::Breaker,
            Some(ErrorKind::Unavailable) => Exit::Unavailable,
            Some(ErrorKind::Data | ErrorKind::Corrupt) => Exit::Choice,
            Some(ErrorKind::Internal) | None => Exit::Internal,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Asks the error of each room.
fn kind(error: &(dyn Error + 'static)) -> Option<ErrorKind> {
    let rooms = [
        ask::<ConfigErrors>,
        ask::<SourceError>,
        ask::<WriteError>,
        ask::<DecodeError>,
        ask::<PluginError>,
        ask::<SinkError>,
        ask::<CheckpointError>,
        ask::<LaneError>,
        ask::<PipelineError>,
        ask::<ConsoleError>,
        ask::<Problems>,
        ask::<AskError>,
        ask::<CheckpointCommandError>,
        ask::<DeadLetterCommandError>,
        ask::<BuildError>,
        ask::<InputError>,
        ask::<NewError>,
        ask::<TestError>,
    ];
    rooms.iter().find_map(|room| room(error))
}

fn ask<E: Error + HasKind + 'static>(error: &(dyn Error + 'static)) -> Option<ErrorKind> {
    error.downcast_ref::<E>().map(HasKind::kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_wrong_file_ends_with_2_whatever_is_said_around_it() {
        let error = Err::<(), _>(ConfigErrors(Vec::new())).context("while starting").unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Config);
    }

    #[test]
    fn an_error_that_no_room_knows_is_internal() {
        assert_eq!(Exit::of(&anyhow::anyhow!("out of luck")), Exit::Internal);
    }
}
