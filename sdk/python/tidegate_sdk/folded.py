"""Aggregates under test: folded at once, and in every split, which must come to the same."""

import math
from dataclasses import dataclass

from . import records
from .aggregates import EMIT_READS
from .border import Slices

_WINDOW = {"$window_start": "1970-01-01T00:00:00Z", "$window_end": "1970-01-01T00:01:00Z"}
_NEW_GROUP = Slices([0, 0], b"")


@dataclass(frozen=True)
class Folded:
    """What an aggregate made of the records: the fields of the documents; the number of each rejected record, and why."""

    documents: list
    rejected: list


def run(configured, given):
    """Folds the records into one group of one window."""
    rows, rejected = records.readable(configured.ports.reads, given)
    state, refused = _add(configured, _NEW_GROUP, given, rows)
    documents = _emit(configured, state)
    _try_one_by_one(configured, given, rows, documents)
    for place in range(1, len(rows)):
        earlier, _ = _add(configured, _NEW_GROUP, given, rows[:place])
        later, _ = _add(configured, _NEW_GROUP, given, rows[place:])
        merged = configured.merge(earlier, later)
        _check(configured, merged, documents, f"are split before record {rows[place]}, and merged")
    return Folded(documents, sorted([*rejected.items(), *refused]))


def _add(configured, state, given, rows):
    batch = records.batch(configured.ports.reads, given, rows)
    state, rejected = configured.accumulate(state, [0] * len(rows), batch)
    return state, [(rows[rejection.row], rejection.reason) for rejection in rejected]


def _emit(configured, state):
    output = configured.emit(state, records.batch(EMIT_READS, [_WINDOW], [0]))
    if output.rejected:
        raise AssertionError(f"`emit` rejected the state: {output.rejected[0].reason}")
    count = 1 if output.rows is None else len(output.rows)
    return [records.written({}, configured.ports.writes, output.columns, place) for place in range(count)]


def _try_one_by_one(configured, given, rows, documents):
    """Batches of one record, the state kept as bytes in between."""
    state, _ = _add(configured, _NEW_GROUP, given, [])
    for row in rows:
        after, rejected = _add(configured, state, given, [row])
        if rejected and after != state:
            raise AssertionError(f"record {row} was rejected, but it changed the state: raise Reject before `self` is changed")
        state = after
    _check(configured, state, documents, "are added one by one")


def _check(configured, state, documents, how):
    got = _emit(configured, state)
    if not _alike(got, documents):
        raise AssertionError(f"other documents come out when the records {how}:\n  at once: {documents}\n  so:      {got}")


def _alike(left, right):
    """Equal, up to the rounding of floats."""
    if type(left) is float or type(right) is float:
        return type(left) in (int, float) and type(right) in (int, float) and math.isclose(left, right)
    if type(left) is list and type(right) is list:
        return len(left) == len(right) and all(map(_alike, left, right))
    if type(left) is dict and type(right) is dict:
        return left.keys() == right.keys() and all(_alike(left[name], right[name]) for name in left)
    return left == right
