//! Inputs that are as they should be, or nearly: damage leads from there to all that is not.

use tidegate::plugin::encode;
use tidegate::record::{Accumulated, Column, Kind, Output, Reason, ReasonKind, Rejection, Slices, Values, Verdicts};

use crate::puppet::{Deed, Image, Puppet, Script, field};
use crate::reload::guest;

/// Puppets as core modules and as components, with what they say of themselves; and a component of the SDK.
pub fn inspect_seeds() -> Vec<Vec<u8>> {
    let ports = Script::answers(|image| image.ports(&[field("a.b", Kind::Text)], &[field("c", Kind::Json)]));
    let refuses = Script::answers(|image| image.words_of("no"));
    let described = Script::answers(|image| image.identity("name", "1.0", "{\"type\": \"object\"}"));
    let state =
        Script::answers(|image| image.state_description("state", 1, &[field("$window_start", Kind::Timestamp)]));
    let puppets = [
        Puppet::filter(),
        Puppet::filter().configuring(&refuses),
        Puppet::filter().describing(&Script::does(Deed::Shout)),
        Puppet::enrich().configuring(&ports).describing(&described),
        Puppet::aggregate().describing_state(&state),
    ];
    let mut seeds: Vec<Vec<u8>> = puppets.iter().map(Puppet::build).collect();
    let encoded = seeds.iter().filter_map(|module| encode(module).expect("it has a type"));
    let encoded: Vec<Vec<u8>> = encoded.collect();
    seeds.extend(encoded);
    seeds.push(std::fs::read(guest("firsts")).expect("it is built"));
    seeds
}

/// Answers of each function, for one row and for three.
pub fn returned_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for rows in [1, 3] {
        let rejected = vec![Rejection { row: 0, reason: Reason::new(ReasonKind::Plugin, "no") }];
        let verdicts = [Vec::new(), rejected.clone()].map(|rejected| Verdicts { keep: vec![1; rows], rejected });
        seeds.extend(verdicts.map(|verdicts| input(0, rows, |image| image.verdicts(&verdicts))));
        let columns = all_columns(rows);
        let whole = Output { rows: None, columns: columns.clone(), rejected: Vec::new() };
        let split = Output { rows: Some(vec![0; rows]), columns: columns.clone(), rejected: Vec::new() };
        let some = Output { rows: None, columns, rejected: rejected.clone() };
        seeds.extend([whole, split, some].map(|output| input(1, rows, |image| image.output(&output))));
        let states: Slices = vec!["a state"; rows].iter().collect();
        let accumulated = Accumulated { states: ["a state"; 2].iter().collect(), rejected };
        seeds.push(input(2, rows, |image| image.accumulated(&accumulated)));
        seeds.push(input(3, rows, |image| image.states(&states)));
        let counts = Column { values: Values::Integers(vec![7; rows]), present: vec![1; rows] };
        let emitted = Output { rows: None, columns: vec![counts], rejected: Vec::new() };
        seeds.push(input(4, rows, |image| image.output(&emitted)));
        seeds.push(input(5, rows, |image| image.migrated(&states)));
        seeds.push(input(5, rows, |image| image.words_of("too old")));
    }
    seeds
}

fn all_columns(rows: usize) -> Vec<Column> {
    let texts = |text: &str| Values::Slices(vec![text; rows].iter().collect());
    let values = [
        Values::Booleans(vec![1; rows]),
        Values::Integers(vec![7; rows]),
        Values::Floats(vec![1.5; rows]),
        texts("ä"),
        Values::Integers(vec![0; rows]),
        texts("{}"),
        texts("b"),
    ];
    values.into_iter().map(|values| Column { values, present: Vec::new() }).collect()
}

fn input(function: u8, rows: usize, put: impl FnOnce(&mut Image) -> u32) -> Vec<u8> {
    let script = Script::answers(put);
    let (words, image) = script.answered();
    let head = [function, u8::try_from(rows - 1).expect("few"), u8::try_from(words / 4).expect("a small answer")];
    [&head, image].concat()
}
