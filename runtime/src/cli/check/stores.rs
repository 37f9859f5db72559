//! Whether the stores of checkpoints and of the archive do what is asked of them: an object is put there for a moment.

use super::Problem;
use super::online::Online;
use crate::checkpoint::{ClaimToken, Store};
use crate::cli::columns::Columns;
use crate::config::{PipelineSettings, Places};
use crate::record::ErrorKind;

pub(super) fn look(settings: &PipelineSettings, places: &Places, online: &mut Online) {
    let checkpoints = settings.checkpoint.iter().flat_map(|checkpoint| checkpoint.locations.iter().enumerate());
    let checkpoints =
        checkpoints.map(|(number, location)| (format!("checkpoint.locations[{number}]"), "checkpoints", location));
    let archive = settings.dead_letters.archive.iter();
    let archive = archive.map(|location| ("dead_letters.archive".to_owned(), "archive of dead letters", location));
    let stores: Vec<_> = checkpoints.chain(archive).collect();
    if stores.is_empty() {
        return;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = places.error(&stores[0].0, format!("cannot start a runtime: {error}"), None);
            return online.problems.push(Problem { error, kind: ErrorKind::Internal });
        }
    };
    let mut columns = Columns::new(["location", "for", "state"]);
    for (path, what, location) in stores {
        let tried = Store::at(location).and_then(|store| runtime.block_on(store.self_test(ClaimToken::random())));
        match tried {
            Ok(()) => columns.row(vec![location.clone(), what.into(), "takes objects, and gives them back".into()]),
            Err(error) => online.problem(places, &path, &error),
        }
    }
    if !columns.is_empty() {
        online.shown.push(columns.show());
    }
}
