//! Dead letters: what is refused now must have one, and what has one may not be refused any more.

use std::ops::ControlFlow;

use hashbrown::HashSet;

use super::account::OutputAccount;
use super::differences::{Difference, Differences, Why};
use super::scope::Scope;
use crate::pipeline::{DeadLetterTopic, LetterFilter, PipelineError};
use crate::record::{Offset, ReasonKind};
use crate::sink::{Letter, Subject};

/// What there is to say of the dead-letter topic.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct LetterCounts {
    /// Of records that were read, and that nothing refuses now: other components or settings served then.
    pub not_refused_now: u64,
    /// Messages that are no dead letters of this pipeline.
    pub foreign: u64,
    /// The topic has lost its oldest messages: a letter that is missing may have been one of them.
    pub is_cut: bool,
}

/// The dead letters that there should be.
#[derive(Default)]
pub(super) struct Refused {
    /// Hashes of their identities.
    pub identities: HashSet<u128>,
    /// Of the last that lacks one: one record may lack several.
    last: Option<(usize, Offset, Option<usize>)>,
    /// Whether what was refused before the outputs part is told of by others.
    pub shared_elsewhere: bool,
}

impl Refused {
    /// Looks for the letter of a record, whose partition is at this place.
    pub fn check(
        &mut self,
        letter: &Letter,
        place: usize,
        topic: &DeadLetterTopic,
        accounts: &mut [OutputAccount],
        differences: &mut Differences,
    ) {
        let Subject::Record { origin, output, .. } = letter.subject() else { return };
        self.identities.insert(DeadLetterTopic::hash(letter.identity()));
        if topic.reason_of(letter.identity()).is_some() {
            return;
        }
        let number = output.and_then(|output| accounts.iter().position(|account| *account.name == *output));
        if self.last.replace((place, origin.offset, number)) == self.last {
            return;
        }
        let name = number.map(|number| accounts[number].name.clone());
        let is_of = |known: usize| number.is_none_or(|number| number == known);
        let of_it = accounts.iter_mut().enumerate().filter(|(known, _)| is_of(*known));
        of_it.for_each(|(_, account)| account.lacks_letter(place, letter.reason()));
        if name.is_some() || !self.shared_elsewhere {
            let why = Why::NoDeadLetter { reason: letter.reason().to_owned() };
            differences.add(Difference::of_record(name, origin.partition, origin.offset, why));
        }
    }
}

/// Looks through the topic.
pub(super) fn count(
    topic: &DeadLetterTopic,
    scope: &Scope,
    accounts: &[OutputAccount],
    refused: &HashSet<u128>,
) -> Result<LetterCounts, PipelineError> {
    let mut counts = LetterCounts { foreign: topic.foreign(), is_cut: topic.is_cut(), ..LetterCounts::default() };
    topic.each(&LetterFilter::default(), |found| {
        let letter = &found.letter;
        if let Subject::Record { origin, output, .. } = letter.subject()
            && letter.reason() != ReasonKind::Sink.name()
            && output.is_none_or(|output| accounts.iter().any(|account| *account.name == *output))
            && let Some(place) = scope.place(&origin.partition)
        {
            let (start, end) = scope.partitions[place].range;
            let was_read = (start..end).contains(&origin.offset);
            let is_refused = refused.contains(&DeadLetterTopic::hash(letter.identity()));
            counts.not_refused_now += u64::from(was_read && !is_refused);
        }
        ControlFlow::Continue(())
    })?;
    Ok(counts)
}
