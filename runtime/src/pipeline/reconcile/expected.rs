//! Whether what is in the index is what a record gives.

use super::differences::Why;
use crate::lane::id::revision_and_offset;
use crate::record::Operation;
use crate::sink::Looked;

/// What is said of a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Judgement {
    Settled,
    /// A newer version is there.
    Superseded,
    /// It is there, in a version of before a rewind.
    Earlier,
    Different(Why),
}

/// What should be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub operation: Operation,
    /// None where the operation has none.
    pub version: Option<u64>,
    /// Whether it is made of revision and offset, and not of a field.
    pub by_offset: bool,
}

pub(super) fn judge(expected: Expected, looked: &Looked) -> Judgement {
    match looked {
        Looked::There(present) => judge_version(expected, Some(present.version)),
        Looked::NotThere => judge_version(expected, None),
        Looked::Unknown(why) => Judgement::Different(Why::NotLookedUp { kind: why.kind.clone() }),
    }
}

/// `there` is the version in the index; none where there is no document.
fn judge_version(expected: Expected, there: Option<u64>) -> Judgement {
    let Expected { operation, version, by_offset } = expected;
    let is_earlier = |there: u64, version: u64| {
        let ((its_revision, its_offset), (revision, offset)) =
            (revision_and_offset(there), revision_and_offset(version));
        by_offset && its_revision < revision && its_offset >= offset
    };
    match (operation, there, version) {
        (Operation::Delete, None, _) => Judgement::Settled,
        (Operation::Delete, Some(there), Some(version)) if there > version => Judgement::Superseded,
        (Operation::Delete, Some(there), _) => Judgement::Different(Why::NotDeleted { version: there }),
        (_, None, _) => Judgement::Different(Why::Missing),
        (Operation::Index, Some(there), Some(version)) if there > version => Judgement::Superseded,
        (Operation::Index, Some(there), Some(version)) if is_earlier(there, version) => Judgement::Earlier,
        (Operation::Index, Some(there), Some(version)) if there < version => {
            Judgement::Different(Why::Older { version: there })
        }
        // What was created, updated or gone through a script has no version to compare: it is there.
        (Operation::Index | Operation::Create | Operation::Update, Some(_), _) => Judgement::Settled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REVISION: u64 = 1 << 52;

    fn judged(operation: Operation, version: Option<u64>, there: Option<u64>) -> Judgement {
        judge_version(Expected { operation, version, by_offset: true }, there)
    }

    #[test]
    fn the_same_version_or_a_newer_one_adds_up() {
        let index = |there| judged(Operation::Index, Some(7), there);
        assert_eq!(index(Some(7)), Judgement::Settled);
        assert_eq!(index(Some(8)), Judgement::Superseded);
        assert_eq!(index(Some(REVISION)), Judgement::Superseded);
        assert_eq!(index(Some(6)), Judgement::Different(Why::Older { version: 6 }));
        assert_eq!(index(None), Judgement::Different(Why::Missing));
    }

    #[test]
    fn what_a_rewind_has_not_read_again_is_of_an_earlier_revision() {
        let expected = Expected { operation: Operation::Index, version: Some(REVISION + 7), by_offset: true };
        assert_eq!(judge_version(expected, Some(7)), Judgement::Earlier);
        assert_eq!(judge_version(expected, Some(9)), Judgement::Earlier);
        assert_eq!(judge_version(expected, Some(6)), Judgement::Different(Why::Older { version: 6 }));
        let by_field = Expected { by_offset: false, ..expected };
        assert_eq!(judge_version(by_field, Some(7)), Judgement::Different(Why::Older { version: 7 }));
    }

    #[test]
    fn a_deletion_adds_up_where_nothing_older_is_left() {
        let delete = |there| judged(Operation::Delete, Some(7), there);
        assert_eq!(delete(None), Judgement::Settled);
        assert_eq!(delete(Some(8)), Judgement::Superseded);
        assert_eq!(delete(Some(6)), Judgement::Different(Why::NotDeleted { version: 6 }));
        assert_eq!(judged(Operation::Delete, None, Some(1)), Judgement::Different(Why::NotDeleted { version: 1 }));
    }

    #[test]
    fn without_versions_a_document_is_there_or_not() {
        for operation in [Operation::Create, Operation::Update] {
            assert_eq!(judged(operation, None, Some(1)), Judgement::Settled);
            assert_eq!(judged(operation, None, None), Judgement::Different(Why::Missing));
        }
    }
}
