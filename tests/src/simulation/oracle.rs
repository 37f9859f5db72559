//! What should be in the index and among the dead letters: a plain fold of the input.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tidegate::lane::id::{self, Revision};
use tidegate::record::{EventTime, Offset};

use super::Difference;
use super::input::{Input, OUT_OF_ORDER, OWN, Record, TOPIC};
use super::native::{PLAIN, WINDOWED, Windowed, square};
use super::world::World;

/// A window document's place: output, window start, group, and the partition where windows are not merged.
type Place = (usize, i64, u64, Option<usize>);

/// Event times and ids.
type Events = Vec<(i64, u64)>;

/// A record as an output sees it.
#[derive(Clone, Copy)]
struct Seen {
    keep: u8,
    id: u64,
}

/// Compares what the world holds with the fold.
pub fn compare(world: &World) -> Result<(), Difference> {
    let mut windows: BTreeMap<Place, BTreeMap<usize, Vec<Seen>>> = BTreeMap::new();
    // Whether it must be there, or may be.
    let mut letters: BTreeMap<String, (bool, &str)> = BTreeMap::new();
    let mut plain: BTreeMap<String, bool> = BTreeMap::new();
    for (partition, records) in world.input.partitions.iter().enumerate() {
        let mut watermark = i64::MIN;
        for (offset, record) in records.iter().enumerate() {
            let origin = format!("{TOPIC}-{partition}-{offset}");
            match *record {
                Record::Poison => drop(letters.insert(format!("{origin}//0"), (true, "json"))),
                Record::Future { .. } => drop(letters.insert(format!("{origin}//0"), (true, "future"))),
                Record::Event { time, group, keep, id } => {
                    let passes = |version: u8| keep & (1 << version) != 0;
                    let (all, any) = ((0..=world.last_version).all(passes), (0..=world.last_version).any(passes));
                    if any {
                        plain.insert(format!("{PLAIN}:{origin}"), all);
                    }
                    for (place, output) in WINDOWED.iter().enumerate() {
                        let is_kept = any && (!output.filtered || keep & (1 << OWN) != 0);
                        if !is_kept || !world.outputs.has(place) {
                            continue;
                        }
                        if output.session.is_some() {
                            if time < watermark {
                                letters.insert(format!("{origin}/{}/0", output.name), (all, "late"));
                            }
                            continue;
                        }
                        let finished = watermark.saturating_sub(output.update_within);
                        let last = time - time.rem_euclid(output.every);
                        if last + output.length <= finished {
                            // Nothing of what was read before an output was there is judged for it.
                            let all = all && !world.outputs.changes(place);
                            letters.insert(format!("{origin}/{}/0", output.name), (all, "late"));
                        }
                        let starts = (0..).map(|windows| last - windows * output.every);
                        for start in starts.take_while(|start| start + output.length > time.max(finished)) {
                            let own = output.partitioned.then_some(partition);
                            let window = windows.entry((place, start, group, own)).or_default();
                            window.entry(partition).or_default().push(Seen { keep, id });
                        }
                    }
                    watermark = watermark.max(time - OUT_OF_ORDER);
                }
            }
        }
    }
    compare_windows(world, &windows)?;
    for (place, output) in WINDOWED.iter().enumerate() {
        if let Some((gap, max)) = output.session.filter(|_| world.outputs.has(place)) {
            compare_sessions(world, place, gap, max)?;
        }
    }
    compare_sets("plain document", &plain, &plain_ids(world))?;
    let must: BTreeMap<String, bool> = letters.iter().map(|(identity, (must, _))| (identity.clone(), *must)).collect();
    let merged = |one: &&Windowed| one.session.is_some() && !one.partitioned;
    // What came from a partition after all others had been passed, or makes another session of one that is there.
    let late_part = |(identity, reason): &(&String, &String)| {
        world.added.is_some_and(|(number, _)| is_late_part(identity, reason, &format!("{TOPIC}-{number}")))
            || WINDOWED.iter().filter(merged).any(|output| is_late_part(identity, reason, output.name))
    };
    let found = || world.dead_letters.iter().filter(|letter| !late_part(letter));
    compare_sets("dead letter", &must, &found().map(|(identity, _)| identity.clone()).collect())?;
    for (identity, reason) in found() {
        let expected = letters[identity].1;
        if reason != expected {
            return Err(format!("the dead letter {identity} has reason {reason}, not {expected}"));
        }
    }
    Ok(())
}

fn compare_windows(world: &World, windows: &BTreeMap<Place, BTreeMap<usize, Vec<Seen>>>) -> Result<(), Difference> {
    let mut found: BTreeMap<Place, (u64, u64)> = BTreeMap::new();
    for ((index, id), (_, body)) in world.index.iter().filter(|((index, _), _)| index != PLAIN) {
        let output = WINDOWED.iter().position(|one| one.name == index).ok_or_else(|| format!("an index {index}"))?;
        if WINDOWED[output].session.is_some() {
            continue;
        }
        let read = read(output, id, body);
        let (place, value) = read.ok_or_else(|| format!("a document {id} without its fields: {body}"))?;
        if found.insert(place, value).is_some() {
            return Err(format!("two documents of {place:?}"));
        }
    }
    for (place, sources) in windows {
        let mut sums = BTreeSet::from([(0, 0)]);
        for (source, records) in sources {
            let refused = is_refused(world, place, *source);
            // A zombie may say that a window has ended of which its own filter lets nothing more through: then what the owner had told
            // of it before is all.
            let is_all = |many: &usize| refused || are_rejected(&records[*many..], world.last_version);
            let one = (0..=records.len()).filter(is_all);
            let one = one.flat_map(|many| contributions(&records[..many], world.last_version));
            let one: BTreeSet<(u64, u64)> = one.collect();
            sums = sums.iter().flat_map(|sum| one.iter().map(move |one| (sum.0 + one.0, sum.1 + one.1))).collect();
        }
        let is = found.remove(place).unwrap_or((0, 0));
        if !sums.contains(&is) && !is_rewound(world, place) && !world.is_partial(place.0, place.1) {
            return Err(format!("the document of {place:?} is {is:?}, expected {sums:?}"));
        }
    }
    match found.first_key_value() {
        Some((place, value)) => Err(format!("a document that should not be: {place:?} {value:?}")),
        None => Ok(()),
    }
}

/// Whether versions of the filter may have let none of these through.
fn are_rejected(records: &[Seen], last_version: u8) -> bool {
    let mut version = 0;
    records.iter().all(|seen| {
        let rejects = |version: &u8| seen.keep & (1 << version) == 0;
        let next = (version..=last_version).find(rejects);
        version = next.unwrap_or(version);
        next.is_some()
    })
}

/// Whether a part that a partition had for a window, which had been added to the topic, is a dead letter.
fn is_refused(world: &World, (output, start, group, _): &Place, source: usize) -> bool {
    if world.added != Some((source, true)) {
        return false;
    }
    let Windowed { name, length, .. } = WINDOWED[*output];
    let (from, to) = (start * 1_000_000, (start + length) * 1_000_000);
    let window = format!("part/{TOPIC}-{source}/{name}/{from}/{to}/");
    let key = [&[6, 0, 0, 0, 2, b'g'][..], group.to_string().as_bytes()].concat();
    let key = URL_SAFE_NO_PAD.encode(key);
    world.dead_letters.keys().any(|identity| identity.starts_with(&window) && identity.ends_with(&key))
}

/// Whether a window is not emitted again since the last rewind, because some of what is in it was not read again.
fn is_rewound(world: &World, (output, start, _, own): &Place) -> bool {
    let bound = match own {
        Some(partition) => world.rewound[*partition],
        None => world.rewound.iter().copied().max().unwrap_or(EventTime::MIN),
    };
    let bound = bound.micros().div_euclid(1_000_000);
    match WINDOWED[*output].session {
        Some((_, max)) => start.div_euclid(max) <= bound.div_euclid(max),
        None => *start <= bound,
    }
}

/// What one source may give to a window: each record is judged by some version of the filter, and never by an older one than
/// the record before it.
fn contributions(records: &[Seen], last_version: u8) -> BTreeSet<(u64, u64)> {
    // For each version, what the records so far may have given when the last of them was judged by it.
    let mut sums = vec![BTreeSet::from([(0, 0)]); usize::from(last_version) + 1];
    for seen in records {
        let mut before = BTreeSet::new();
        for (version, sums) in sums.iter_mut().enumerate() {
            before.append(sums);
            *sums = match seen.keep & (1 << version) {
                0 => before.clone(),
                _ => before.iter().map(|(count, sum): &(u64, u64)| (count + 1, sum + square(seen.id))).collect(),
            };
        }
    }
    sums.into_iter().flatten().collect()
}

/// Sessions: sorted, cut where two event times are a gap apart, and where another cell begins. Where the filters do not think alike,
/// nothing is said: which records are in tells where a session begins. Nor where a source that had been passed over came back with what would
/// have changed where a session begins, which is a dead letter.
fn compare_sessions(world: &World, output: usize, gap: i64, max: i64) -> Result<(), Difference> {
    let Windowed { name, partitioned, .. } = &WINDOWED[output];
    if !world.input.is_of_one_mind
        || world.dead_letters.iter().any(|(identity, reason)| is_late_part(identity, reason, name))
    {
        return Ok(());
    }
    let mut found: BTreeMap<Place, (u64, u64)> = BTreeMap::new();
    // A session that began later before a rewind, when less was known of it, has another id.
    let mut former: BTreeSet<Place> = BTreeSet::new();
    for ((_, id), (version, body)) in world.index.iter().filter(|((index, _), _)| index == name) {
        let (place, value) = read(output, id, body).ok_or_else(|| format!("a document {id} without its fields"))?;
        found.insert(place, value);
        if *version < id::version(Revision(world.revision), Offset(0)) {
            former.insert(place);
        }
    }
    // Those of a group, each by its time; and by which time all has ended.
    let mut groups: BTreeMap<(u64, Option<usize>), Events> = BTreeMap::new();
    let mut ended = vec![i64::MIN; world.input.partitions.len()];
    for (partition, records) in world.input.partitions.iter().enumerate() {
        let watermark = &mut ended[partition];
        for record in records {
            let Record::Event { time, group, keep, id } = *record else { continue };
            if keep != 0 && time >= *watermark {
                groups.entry((group, partitioned.then_some(partition))).or_default().push((time, id));
            }
            *watermark = (*watermark).max(time - OUT_OF_ORDER);
        }
    }
    for ((group, partition), mut events) in groups {
        let watermark = partition.map_or(ended.iter().copied().max().unwrap_or(i64::MIN), |partition| ended[partition]);
        events.sort_unstable();
        let are_one = |one: &(i64, u64), next: &(i64, u64)| {
            next.0 - one.0 < gap && one.0.div_euclid(max) == next.0.div_euclid(max)
        };
        for session in events.chunk_by(are_one) {
            let (start, end) = (session[0].0, session[session.len() - 1].0 + gap);
            let expected = session.iter().fold((0, 0), |sum, (_, id)| (sum.0 + 1, sum.1 + square(*id)));
            let is = found.remove(&(output, start, group, partition));
            // One that has hardly ended is not looked at yet.
            let must = end + gap <= watermark;
            if is_rewound(world, &(output, start, group, partition)) {
                continue;
            }
            if is.is_some_and(|is| is != expected) || is.is_none() && must || is.is_some() && end > watermark {
                return Err(format!(
                    "the {name} of {group} in {partition:?} at {start} is {is:?}, expected {expected:?}"
                ));
            }
        }
    }
    found.retain(|place, _| !is_rewound(world, place) && !former.contains(place));
    match found.first_key_value() {
        Some((place, value)) => Err(format!("a session that should not be: {place:?} {value:?}")),
        None => Ok(()),
    }
}

/// Whether a dead letter is of a part of this output that came too late.
fn is_late_part(identity: &str, reason: &str, output: &str) -> bool {
    reason == "late-part" && identity.contains(output)
}

fn read(output: usize, id: &str, body: &str) -> Option<(Place, (u64, u64))> {
    let document: Value = serde_json::from_str(body).ok()?;
    let origin = format!("@{TOPIC}-");
    let own = id.split_once(&origin).and_then(|(_, rest)| rest.split(':').next()?.parse().ok());
    let start: jiff::Timestamp = document["window_start"].as_str()?.parse().ok()?;
    let group = document["group"].as_str()?.strip_prefix('g')?.parse().ok()?;
    Some(((output, start.as_second(), group, own), (document["count"].as_u64()?, document["sum"].as_u64()?)))
}

fn plain_ids(world: &World) -> BTreeSet<String> {
    world.index.keys().filter(|(index, _)| index == PLAIN).map(|(_, id)| id.clone()).collect()
}

/// `expected`: what may be there, and whether it must.
fn compare_sets(what: &str, expected: &BTreeMap<String, bool>, found: &BTreeSet<String>) -> Result<(), Difference> {
    if let Some(missing) = expected.iter().find(|(one, must)| **must && !found.contains(*one)) {
        return Err(format!("the {what} {} is missing", missing.0));
    }
    match found.iter().find(|one| !expected.contains_key(*one)) {
        Some(extra) => Err(format!("a {what} that should not be: {extra}")),
        None => Ok(()),
    }
}

/// For the trace: the input, a line each.
pub fn describe(input: &Input) -> String {
    let mut text = String::new();
    for (partition, records) in input.partitions.iter().enumerate() {
        for (offset, record) in records.iter().enumerate() {
            text.push_str(&format!("{partition}-{offset}: {record:?}\n"));
        }
    }
    text
}
