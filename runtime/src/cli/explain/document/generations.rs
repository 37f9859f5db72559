//! The generations that made a document, as lines.

use crate::cli::columns::Columns;
use crate::pipeline::{GenerationReport, MadeByReport};

/// The generations that a record was given to.
pub(super) fn made_record(made_by: &MadeByReport) -> String {
    told("it was given to", std::slice::from_ref(made_by))
}

/// The generations that a window's records were given to, and those that merged it.
pub(super) fn made_window(made_by: &[MadeByReport], merged_by: Option<&MadeByReport>) -> String {
    let merged_by = merged_by.map_or(&[][..], std::slice::from_ref);
    told("its records were given to", made_by) + &told("it was merged by", merged_by)
}

fn told(what: &str, made_by: &[MadeByReport]) -> String {
    if made_by.is_empty() {
        return String::new();
    }
    let doubt = match (made_by.iter().all(|it| it.is_complete), made_by.iter().all(|it| it.is_sure)) {
        (false, _) => UNKNOWN,
        (true, false) => DOUBT,
        (true, true) => "",
    };
    format!("{what}:\n{}{doubt}", generations(made_by))
}

const UNKNOWN: &str = "What served before these is not known.\n";

const DOUBT: &str = "A process ended, and another one read on from before this: what both have read is of the one that wrote it first; where the \
                     output updates documents, of the last one.\n";

/// A line for each generation, whatever partitions it served.
fn generations(made_by: &[MadeByReport]) -> String {
    let mut lines: Vec<(&GenerationReport, String, usize)> = Vec::new();
    for (partition, one) in made_by.iter().flat_map(|it| it.generations.iter().map(move |one| (&it.partition, one))) {
        let is_same =
            |known: &GenerationReport| GenerationReport { from_offset: one.from_offset, ..known.clone() } == *one;
        match lines.iter_mut().find(|(known, _, _)| is_same(known)) {
            Some((_, _, more)) => *more += 1,
            None => lines.push((one, format!("{partition}-{}", one.from_offset), 0)),
        }
    }
    let mut columns = Columns::new(["plugin", "version", "digest", "generation", "from", "now it is"]);
    for (GenerationReport { plugin, version, digest, generation, now, .. }, from, more) in lines {
        let from = if more == 0 { from } else { format!("{from} and {more} more") };
        columns.row(vec![plugin.clone(), version.clone(), digest.clone(), generation.to_string(), from, now.clone()]);
    }
    if columns.is_empty() { "no plugins\n".to_owned() } else { columns.show() }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn made_by(partition: &str, generations: &[(u64, i64)], is_sure: bool) -> MadeByReport {
        let generation = |(generation, from_offset): &(u64, i64)| GenerationReport {
            plugin: "mark".to_owned(),
            version: "0.1.0".to_owned(),
            digest: format!("c0ffee{generation}"),
            generation: *generation,
            from_offset: *from_offset,
            now: "another component".to_owned(),
        };
        let generations = generations.iter().map(generation).collect();
        MadeByReport { partition: partition.to_owned(), generations, is_complete: true, is_sure }
    }

    #[test]
    fn generations_are_told_with_the_records_that_they_began_with() {
        let one = made_by("events-1", &[(2, 40)], true);
        expect![[r#"
            it was given to:
            PLUGIN  VERSION  DIGEST   GENERATION  FROM         NOW IT IS
            mark    0.1.0    c0ffee2  2           events-1-40  another component
        "#]]
        .assert_eq(&made_record(&one));
        let two = made_by("events-1", &[(2, 40), (1, 0)], false);
        expect![[r#"
            it was given to:
            PLUGIN  VERSION  DIGEST   GENERATION  FROM         NOW IT IS
            mark    0.1.0    c0ffee2  2           events-1-40  another component
            mark    0.1.0    c0ffee1  1           events-1-0   another component
            A process ended, and another one read on from before this: what both have read is of the one that wrote it first; where the output updates documents, of the last one.
        "#]]
        .assert_eq(&made_record(&two));
        assert!(made_record(&MadeByReport { is_complete: false, ..two }).ends_with(UNKNOWN));
        let windows = [made_by("events-0", &[(1, 0)], true), made_by("events-1", &[(1, 3), (2, 40)], false)];
        expect![[r#"
            its records were given to:
            PLUGIN  VERSION  DIGEST   GENERATION  FROM                   NOW IT IS
            mark    0.1.0    c0ffee1  1           events-0-0 and 1 more  another component
            mark    0.1.0    c0ffee2  2           events-1-40            another component
            A process ended, and another one read on from before this: what both have read is of the one that wrote it first; where the output updates documents, of the last one.
            it was merged by:
            PLUGIN  VERSION  DIGEST   GENERATION  FROM              NOW IT IS
            mark    0.1.0    c0ffee1  1           clicks.parts-0-7  another component
        "#]]
        .assert_eq(&made_window(&windows, Some(&made_by("clicks.parts-0", &[(1, 7)], true))));
    }
}
