//! The account of a lane: what became of its rows, by count. Whatever is read is in it once for each output, so that it adds up.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::record::ReasonKind;

/// What became of a row. A record is one, and those that it is split into.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RowFate {
    /// It came, as a record.
    Read,
    /// It came, as one more of those that this transform split a record into.
    Split(Arc<str>),
    /// This transform dropped it, or, by its own name, the output, since it was late.
    Dropped(Arc<str>),
    /// It is a dead letter.
    Refused(ReasonKind),
    /// It has no value, and the output does nothing about that.
    Tombstone,
    /// An earlier owner of the partition had settled it.
    Before,
    /// It counts in windows.
    Window,
    /// It is a document, or deletes one.
    Document,
    /// Of the documents: the index has it, in this version or a newer one.
    Indexed,
    /// Of the documents: the index refused it, and it is a dead letter.
    RefusedDocument,
    /// Of the documents: the index refused it, and a rule of the policy drops it.
    DroppedDocument,
}

impl RowFate {
    pub fn name(&self) -> &'static str {
        match self {
            RowFate::Read => "read",
            RowFate::Split(_) => "split",
            RowFate::Dropped(_) => "dropped",
            RowFate::Refused(_) => "dead_letter",
            RowFate::Tombstone => "tombstone",
            RowFate::Before => "settled_before",
            RowFate::Window => "window",
            RowFate::Document => "document",
            RowFate::Indexed => "document_indexed",
            RowFate::RefusedDocument => "document_dead_letter",
            RowFate::DroppedDocument => "document_dropped",
        }
    }

    /// Whose doing it is: a transform, or the reason of dead letters.
    pub fn by(&self) -> &str {
        match self {
            RowFate::Split(by) | RowFate::Dropped(by) => by,
            RowFate::Refused(reason) => reason.name(),
            RowFate::Read | RowFate::Tombstone | RowFate::Before | RowFate::Window => "",
            RowFate::Document | RowFate::Indexed | RowFate::RefusedDocument | RowFate::DroppedDocument => "",
        }
    }

    /// What it counts for, of one output: rows that came, and rows that are gone. Each document is one, whatever becomes of it.
    fn counts(&self, count: u64) -> (u64, u64) {
        match self {
            RowFate::Read | RowFate::Split(_) => (count, 0),
            RowFate::Dropped(_) | RowFate::Refused(_) | RowFate::Tombstone => (0, count),
            RowFate::Before | RowFate::Window | RowFate::Document => (0, count),
            RowFate::Indexed | RowFate::RefusedDocument | RowFate::DroppedDocument => (0, 0),
        }
    }
}

/// Rows by what became of them, for each output, and for none where it was before the outputs part.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Account(Vec<(Option<Arc<str>>, RowFate, u64)>);

impl Account {
    pub(crate) fn add(&mut self, output: Option<&Arc<str>>, fate: RowFate, count: u64) {
        if count == 0 {
            return;
        }
        let same = |entry: &&mut (Option<Arc<str>>, RowFate, u64)| entry.0.as_ref() == output && entry.1 == fate;
        match self.0.iter_mut().find(same) {
            Some((_, _, sum)) => *sum += count,
            None => self.0.push((output.cloned(), fate, count)),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn merge(&mut self, more: &Account) {
        more.0.iter().for_each(|(output, fate, count)| self.add(output.as_ref(), fate.clone(), *count));
    }

    /// Outputs of which something is known.
    pub fn outputs(&self) -> BTreeSet<&str> {
        self.iter().filter_map(|(output, ..)| output).collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = (Option<&str>, &RowFate, u64)> {
        self.0.iter().map(|(output, fate, count)| (output.as_deref(), fate, *count))
    }

    fn sum(&self, output: &str, fate: &RowFate) -> u64 {
        self.iter().filter(|(of, it, _)| *of == Some(output) && *it == fate).map(|(.., count)| count).sum()
    }

    /// Rows that came for an output, and those that are gone: as many, or something is lost.
    pub fn balance(&self, output: &str) -> (u64, u64) {
        let mine = self.iter().filter(|(of, ..)| of.is_none_or(|of| of == output));
        mine.map(|(_, fate, count)| fate.counts(count)).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Documents of an output that the index has not answered for.
    pub fn unanswered(&self, output: &str) -> i64 {
        let answers = [RowFate::Indexed, RowFate::RefusedDocument, RowFate::DroppedDocument];
        let answered: u64 = answers.iter().map(|fate| self.sum(output, fate)).sum();
        self.sum(output, &RowFate::Document).cast_signed() - answered.cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_adds_up_for_each_output() {
        let (all, sales): (Arc<str>, Arc<str>) = ("all".into(), "sales".into());
        let mut account = Account::default();
        for (output, fate, count) in [
            (None, RowFate::Read, 10),
            (None, RowFate::Split("split".into()), 4),
            (None, RowFate::Dropped("has-user".into()), 3),
            (None, RowFate::Refused(ReasonKind::Json), 0),
            (Some(&all), RowFate::Document, 6),
            (Some(&all), RowFate::Document, 5),
            (Some(&all), RowFate::Indexed, 8),
            (Some(&all), RowFate::RefusedDocument, 1),
            (Some(&sales), RowFate::Window, 9),
            (Some(&sales), RowFate::Dropped(sales.clone()), 2),
        ] {
            account.add(output, fate, count);
        }
        assert_eq!((account.balance("all"), account.balance("sales")), ((14, 14), (14, 14)));
        assert_eq!((account.unanswered("all"), account.unanswered("sales")), (2, 0));
        assert_eq!(account.iter().count(), 8);
        let mut twice = account.clone();
        twice.merge(&account);
        assert_eq!(twice.balance("all"), (28, 28));
    }
}
