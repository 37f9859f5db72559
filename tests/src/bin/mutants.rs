//! Takes one rule out of the real code at a time, and shows within how many seeds the simulation finds it; `make mutants`
//! calls it, and an argument chooses those of whose names it is a part. Fails when a mutant survives, or no longer applies.
//! Works on a copy of the sources, and in a target directory of its own: cargo would take what was built of one copy for
//! what is built of another.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};
use tidegate_tests::workspace;

/// What of the simulation fails.
enum Failing {
    Seed(u64),
    /// One that is told by hand.
    History,
}

struct Mutant {
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
}

/// Ten times as many as `make test` runs.
const SEEDS: u64 = 20_000;

const MUTANTS: [Mutant; 42] = [
    Mutant {
        name: "latest part instead of greatest",
        file: "runtime/src/lane/parts/merging.rs",
        from: "if known.last >= part.last {",
        to: "if false {",
    },
    Mutant {
        name: "source watermarks committed as of the newest read",
        file: "runtime/src/lane/parts.rs",
        from: "self.sources.as_of().save(&mut metadata);",
        to: "self.sources.now.save(&mut metadata);",
    },
    Mutant {
        name: "no provisional parts at idleness",
        file: "runtime/src/lane/source/ending.rs",
        from: "messages.extend(self.parts_of(output, aggregate, &open));",
        to: "drop(open);",
    },
    Mutant {
        name: "marker before its parts are acknowledged",
        file: "runtime/src/lane/source/closing.rs",
        from: "take_while(|closing| closing.marked || closing.parts == 0).count();",
        to: "count();",
    },
    Mutant {
        name: "position released per window instead of per marker",
        file: "runtime/src/lane/source/closing.rs",
        from: "self.queue.iter().fold(None, |oldest, closing| Hold::older(oldest, closing.hold))",
        to: "self.queue.iter().filter(|one| one.parts > 0).fold(None, |oldest, one| Hold::older(oldest, one.hold))",
    },
    Mutant {
        name: "E forgotten",
        file: "runtime/src/lane/metadata.rs",
        from: "EventTime::from_micros(self.end_micros)",
        to: "EventTime::MIN",
    },
    Mutant {
        name: "W forgotten",
        file: "runtime/src/lane/source/position.rs",
        from: "let saved = metadata.as_ref().map_or(i64::MIN, |metadata| metadata.watermark_micros);",
        to: "let saved = i64::MIN;",
    },
    Mutant {
        name: "a source without a marker taken as idle",
        file: "runtime/src/lane/parts/sources.rs",
        from: "*partitions > 0 && self.states.range(key(0)..key(*partitions)).count() == *partitions as usize",
        to: "*partitions > 0 && self.states.range(key(0)..key(*partitions)).count() > 0",
    },
    Mutant {
        name: "count as version with a filter change",
        file: "runtime/src/lane/parts/taking.rs",
        from: "source: self.source(), last: Offset(part.last_offset), state",
        to: "source: self.source(), last: Offset(part.count as i64), state",
    },
    Mutant {
        name: "revision raised at restart",
        file: "runtime/src/lane/source/position.rs",
        from: "let revision = metadata.as_ref().map_or(Revision(plan.topology.revision), |metadata| metadata.revision);",
        to: "let revision = Revision(metadata.as_ref().map_or(0, |metadata| metadata.revision.0 + 1));",
    },
    Mutant {
        name: "a state that was converted taken as old",
        file: "runtime/src/window/states.rs",
        from: "group.turn = turn;",
        to: "let _ = turn;",
    },
    Mutant {
        name: "a state that a batch touches not converted",
        file: "runtime/src/window/keyed.rs",
        from: "slots.old.push(slot);",
        to: "",
    },
    Mutant {
        name: "parts merged as they are, whatever their schema",
        file: "runtime/src/lane/parts/emitting.rs",
        from: "merging.convert_groups(start, groups, |before, states| migrate(plan, before, states, aggregate))?;",
        to: "",
    },
    Mutant {
        name: "a record counted in its last window alone",
        file: "runtime/src/lane/source/folding/windows.rs",
        from: "(!rows.is_empty()).then_some(rows)",
        to: "None",
    },
    Mutant {
        name: "a record folded again into an overlapping window that was emitted",
        file: "runtime/src/lane/source/folding/windows.rs",
        from: ".max(self.emitted);\n            if window.end > table.event_time(row).max(over) {",
        to: ";\n            if window.end > table.event_time(row).max(over) {",
    },
    Mutant {
        name: "a part's last record taken from the last of overlapping windows",
        file: "runtime/src/window/keyed.rs",
        from: "group.last = newest.max(self.last);",
        to: "group.last = self.last;",
    },
    Mutant {
        name: "a window that ends at the watermark taken as open",
        file: "runtime/src/lane/source/folding/windows.rs",
        from: "let late = self.changes_until(plan, window.end) <= watermark;",
        to: "let late = window.end < watermark;",
    },
    Mutant {
        name: "a window that late records changed not written again",
        file: "runtime/src/lane/source/folding/windows.rs",
        from: "self.updated.entry(*start).or_default().insert(*group);",
        to: "let _ = group;",
    },
    Mutant {
        name: "E of a window that may still change",
        file: "runtime/src/lane/source/folding/windows.rs",
        from: "self.emitted.max(plan.windows.last_ended(plan.finished_by(watermark)))",
        to: "self.emitted.max(plan.windows.last_ended(watermark))",
    },
    Mutant {
        name: "the position released when a window leaves instead of when its last update is safe",
        file: "runtime/src/lane/source/folding/windows.rs",
        from: "let hold = gone.iter().fold(None, |oldest, window| Hold::older(oldest, window.hold()));",
        to: "let hold = None;",
    },
    Mutant {
        name: "a parts lane that lets go of windows that may still change",
        file: "runtime/src/lane/parts.rs",
        from: "holding.release(plan.finished_by(finished));",
        to: "holding.release(finished);",
    },
    Mutant {
        name: "an update taken for a replay",
        file: "runtime/src/lane/parts/taking.rs",
        from: "if emitted && window.end <= aggregate.finished_by(sources.watermark(self.source())) {",
        to: "if emitted && window.end <= sources.watermark(self.source()) {",
    },
    Mutant {
        name: "early results of a lane that is quiet left out",
        file: "runtime/src/lane/source/ending.rs",
        from: "if aggregate.emit.when_quiet && !aggregate.merged {",
        to: "if false {",
    },
    Mutant {
        name: "sessions that are a gap apart taken as one",
        file: "runtime/src/window/session_windows.rs",
        from: "left.start < right.end && right.start < left.end && self.cell",
        to: "left.start <= right.end && right.start <= left.end && self.cell",
    },
    Mutant {
        name: "a session that was emitted emitted again after a restart, without its first records",
        file: "runtime/src/lane/source/folding/sessions.rs",
        from: "ended.retain(|session| session.window.end > self.emitted);",
        to: "",
    },
    Mutant {
        name: "sessions that it was not looked at taken as emitted",
        file: "runtime/src/lane/source/folding/sessions.rs",
        from: "self.emitted.max(watermark.min(self.closed))",
        to: "self.emitted.max(watermark)",
    },
    Mutant {
        name: "what was written before a rewind counted with what is written after it",
        file: "runtime/src/lane/parts/taking.rs",
        from: "if part.revision != self.sources.now.revision() {",
        to: "if false {",
    },
    Mutant {
        name: "how far sources were before a rewind taken for how far they are",
        file: "runtime/src/lane/parts/sources.rs",
        from: "if word.revision != self.revision {",
        to: "if false {",
    },
    Mutant {
        name: "sessions that are open not told of to other lanes",
        file: "runtime/src/lane/source/folding/sessions.rs",
        from: "true => self.windows.announce(watermark, &mut migrate)?,",
        to: "true => {\n                let mut told = self.windows.announce(watermark, &mut migrate)?;\n                \
             told.clear();\n                told\n            }",
    },
    Mutant {
        name: "a marker after a restart that vouches for sessions of which nobody was told",
        file: "runtime/src/lane/source/position.rs",
        from: "let vouched = told.fold(watermark.current(), EventTime::min);",
        to: "let vouched = told.fold(watermark.current(), |watermark, _| watermark);",
    },
    Mutant {
        name: "an older part of a session in place of newer ones",
        file: "runtime/src/lane/parts/sessions.rs",
        from: "if replaced.any(|held| held.last >= part.last) {",
        to: "if replaced.any(|_| false) {",
    },
    Mutant {
        name: "parts of a session that was read before taken for those of one that is gone",
        file: "runtime/src/lane/parts/taking.rs",
        from: "if !self.seen && sessions.may_be_gone(part.group, self.source(), window) {",
        to: "if sessions.may_be_gone(part.group, self.source(), window) {",
    },
    Mutant {
        name: "a session of a checkpoint let go as soon as its end was emitted",
        file: "runtime/src/lane/source/folding.rs",
        from: "(Folding::Sessions(one), Item::Session(session)) => one.windows.put_back(&session),",
        to: "(Folding::Sessions(one), Item::Session(session)) => if session.window.end > one.emitted() { \
             one.windows.put_back(&session) },",
    },
    Mutant {
        name: "a checkpoint of one who was no owner any more restored",
        file: "runtime/src/checkpoint/store/restore.rs",
        from: "if wanted.position.is_some() && !is_committed && !header.imported {",
        to: "if false {",
    },
    Mutant {
        name: "a checkpoint kept before what came before it is settled",
        file: "runtime/src/lane/source/freezing.rs",
        from: "if pending.is_in_flight || unsettled || !self.closings.has_released(pending.closing) {",
        to: "if pending.is_in_flight {",
    },
    Mutant {
        name: "the position at a checkpoint that is not kept yet",
        file: "runtime/src/lane/source/freezing.rs",
        from: "if let (Some(pending), Some(id)) = (self.freezing.pending.take(), kept) {",
        to: "let slot = crate::checkpoint::SlotId { epoch: crate::checkpoint::Epoch(1), sequence: \
             crate::checkpoint::Sequence(1) };\n        let id = kept.unwrap_or(CheckpointId { store: \
             crate::checkpoint::StoreId(7), slot });\n        if let Some(pending) = self.freezing.pending.take() {",
    },
    Mutant {
        name: "what a window of a checkpoint holds the position for forgotten",
        file: "runtime/src/window/keyed.rs",
        from: "window.hold = hold;",
        to: "let _ = hold;",
    },
    Mutant {
        name: "the watermark of a checkpoint forgotten",
        file: "runtime/src/lane/source/freezing.rs",
        from: "metadata: self.metadata(watermark, self.next, None, emitted).encode(),",
        to: "metadata: self.metadata(crate::record::EventTime::MIN, self.next, None, emitted).encode(),",
    },
    Mutant {
        name: "how many records are in a group of a checkpoint forgotten",
        file: "runtime/src/window/keyed.rs",
        from: "(of_group.count, of_group.first, of_group.last) = (group.count, group.first, group.last);",
        to: "",
    },
    Mutant {
        name: "a slot of a checkpoint used for two attempts",
        file: "runtime/src/checkpoint/store.rs",
        from: "self.next = Sequence(self.next.0.saturating_add(1));",
        to: "",
    },
    Mutant {
        name: "a checkpoint made without a claim",
        file: "runtime/src/checkpoint/store.rs",
        from: "Put::Done => return Ok(Owner { place, epoch: next, next: Sequence(1) }),",
        to: "Put::Done => return Ok(Owner { place, epoch: Epoch(next.0.min(1)), next: Sequence(token.0 as u32) }),",
    },
    Mutant {
        name: "the checkpoint of the position deleted when it is old",
        file: "runtime/src/checkpoint/retention.rs",
        from: "newest_first.iter().filter(|(slot, _)| *slot <= committed)",
        to: "newest_first.iter().filter(|_| committed.epoch.0 > 0)",
    },
];

fn main() -> anyhow::Result<ExitCode> {
    let root = workspace::root();
    let target = workspace::target().join("mutants");
    let copy = target.join("sources");
    let mut survivors = 0;
    let named = std::env::args().nth(1).unwrap_or_default();
    for mutant in MUTANTS.iter().filter(|mutant| mutant.name.contains(&named)) {
        copy_sources(&root, &copy)?;
        let file = copy.join(mutant.file);
        let text = fs::read_to_string(&file).with_context(|| format!("no file {}", mutant.file))?;
        let places = text.matches(mutant.from).count();
        ensure!(places == 1, "mutant `{}`: its text is in {} {places} times, not once", mutant.name, mutant.file);
        fs::write(&file, text.replace(mutant.from, mutant.to))?;
        match first_failing(&copy, &target)? {
            Some(Failing::Seed(seed)) => println!("found within {:4} seeds: {}", seed + 1, mutant.name),
            Some(Failing::History) => println!("found by a history   : {}", mutant.name),
            None => {
                println!("NOT FOUND: {}", mutant.name);
                survivors += 1;
            }
        }
    }
    println!("mutants not found: {survivors}");
    Ok(ExitCode::from(u8::from(survivors > 0)))
}

fn copy_sources(root: &Path, copy: &Path) -> anyhow::Result<()> {
    if copy.exists() {
        fs::remove_dir_all(copy)?;
    }
    for part in ["Cargo.toml", "Cargo.lock", "runtime", "sdk", "tests", "wit"] {
        copy_tree(&root.join(part), &copy.join(part))?;
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> anyhow::Result<()> {
    if from.is_file() {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(from, to)?;
        return Ok(());
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_name() != "target" {
            copy_tree(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// None where all pass.
fn first_failing(copy: &Path, target: &Path) -> anyhow::Result<Option<Failing>> {
    let built = Command::new("cargo")
        .args(["build", "--quiet", "--workspace", "--bin", "tidegate-sim"])
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", target)
        .output()?;
    ensure!(built.status.success(), "it is not built:\n{}", String::from_utf8_lossy(&built.stderr));
    let output = Command::new(target.join("debug/tidegate-sim"))
        .args(["--seeds", &SEEDS.to_string()])
        .env("RUST_BACKTRACE", "0")
        .output()?;
    if output.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    if text.starts_with("history: ") {
        return Ok(Some(Failing::History));
    }
    let seed = text.lines().find_map(|line| line.strip_prefix("seed ")?.split(':').next()?.parse().ok());
    let seed = seed.map(Failing::Seed);
    seed.map(Some).with_context(|| format!("the simulation did not run:\n{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_has_its_place() {
        for mutant in &MUTANTS {
            let text = fs::read_to_string(workspace::root().join(mutant.file)).expect(mutant.file);
            assert_eq!(text.matches(mutant.from).count(), 1, "`{}` in {}", mutant.name, mutant.file);
        }
    }
}
