"""A plugin in plain Python: records are dicts, and columns are made of them as the runtime makes them.

    from tidegate_sdk.test import Dropped, Passed, run

    assert run(has_user, {}, [{"user_id": "u1"}, {"user_id": None}]) == [Passed({"user_id": "u1"}), Dropped()]

A record's own fields are given under their names (`{"$offset": 7, "user_id": "u1"}`); without that they are `$topic` "test",
`$partition` 0, `$offset` the record's number, and for the times 2026-01-01T00:00:00Z. An exception of the plugin's comes
through as it is; in the runtime it costs the record that caused it.
"""

import json
from dataclasses import dataclass

from . import folded, records
from .folded import Folded
from .plugin import glue_of

__all__ = ["Dropped", "Folded", "Passed", "Rejected", "Split", "ports", "refusal", "run"]


@dataclass(frozen=True)
class Passed:
    """It goes on, with what the plugin wrote."""

    record: dict


@dataclass(frozen=True)
class Split:
    """It goes on as several."""

    records: list


@dataclass(frozen=True)
class Dropped:
    """It goes no further."""


@dataclass(frozen=True)
class Rejected:
    """It goes to the dead letters, with the plugin's reason, or with the runtime's where a field does not fit."""

    reason: str


def run(plugin, settings, given):
    """What becomes of these records, as one batch: a verdict for each; `Folded` for an aggregate.

    An aggregate folds the records into one group of one window, from 1970-01-01T00:00:00Z until 00:01:00Z, and is tried
    with every split of them as well: it must give the same documents. Settings that it refuses are a ValueError.
    """
    glue = glue_of(plugin)
    configured = glue.configure(json.dumps(settings))
    return _RUN[glue.kind](configured, list(given))


def refusal(plugin, settings):
    """What the plugin says to settings that it refuses."""
    try:
        glue_of(plugin).configure(json.dumps(settings))
    except ValueError as refused:
        return str(refused)
    raise AssertionError("the settings are taken")


def ports(plugin, settings):
    """What the plugin reads and writes with these settings."""
    return glue_of(plugin).configure(json.dumps(settings)).ports


def _readable(reads, given):
    """The numbers of the records that can be read, and the verdicts on the others by their number."""
    rows, rejected = records.readable(reads, given)
    return rows, {index: Rejected(reason) for index, reason in rejected.items()}


def _filter(configured, given):
    rows, verdicts = _readable(configured.ports.reads, given)
    keep, rejected = configured.filter(records.batch(configured.ports.reads, given, rows))
    for row, index in enumerate(rows):
        verdicts[index] = Passed(given[index]) if keep[row] else Dropped()
    for rejection in rejected:
        verdicts[rows[rejection.row]] = Rejected(rejection.reason)
    return [verdicts[index] for index in range(len(given))]


def _enrich(configured, given):
    rows, verdicts = _readable(configured.ports.reads, given)
    output = configured.enrich(records.batch(configured.ports.reads, given, rows))
    made = {index: [] for index in rows}
    for place, row in enumerate(range(len(rows)) if output.rows is None else output.rows):
        index = rows[row]
        try:
            made[index].append(records.written(given[index], configured.ports.writes, output.columns, place))
        except ValueError as error:
            verdicts[index] = Rejected(str(error))
    for rejection in output.rejected:
        verdicts[rows[rejection.row]] = Rejected(rejection.reason)
    for index, several in made.items():
        one = Passed(several[0]) if len(several) == 1 else Split(several)
        verdicts.setdefault(index, one if several else Dropped())
    return [verdicts[index] for index in range(len(given))]


_RUN = {"filter": _filter, "enrich": _enrich, "aggregate": folded.run}
