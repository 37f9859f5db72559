"""Aggregates: rows are added to states, states are merged, and emitted when their window closes.

States live with the host, as bytes, between two calls: a JSON object of the dataclass's fields, in UTF-8; no bytes are a new
group.
"""

import dataclasses
import inspect
import json
from itertools import accumulate

from .border import Rejection, Slices
from .plugin import Glue, output, written_type
from .types import Field, Reject, Timestamp

# The context that every aggregate asks for.
EMIT_READS = [Field("$window_start", "timestamp", True), Field("$window_end", "timestamp", True)]


@dataclasses.dataclass(frozen=True)
class Window:
    """The window that is emitted: from `start` until just before `end`."""

    start: Timestamp
    end: Timestamp


def aggregate(*, state, schema=None):
    """A dataclass that is the state of one group in one window; `state` is the version of its layout, `schema` the name of it where
    the class's own may change.

    Each of its fields has a default and holds what JSON can: numbers, texts, booleans, None, lists, dicts. Its methods are
    `add(self, row)`, which raises `Reject` before it changes anything; `merge(self, later)`; and `emit(self, window)`, which gives
    back an object to write, None, or a list. `migrate(cls, version, old)`, a class method, makes a state of the dict that an
    older version wrote; ValueError refuses the new version.
    """

    def decorate(cls):
        if not dataclasses.is_dataclass(cls):
            raise TypeError(f"{cls.__name__}: write @dataclass between @aggregate(state={state}) and the class")
        cls.__tidegate__ = AggregateGlue(cls, schema or cls.__name__, state)
        return cls

    return decorate


class AggregateGlue(Glue):
    kind = "aggregate"

    def __init__(self, cls, name, version):
        for method in ("add", "merge", "emit"):
            if not inspect.isfunction(getattr(cls, method, None)):
                raise TypeError(f"{cls.__name__}: an aggregate has a method `{method}`")
        try:
            cls()
        except TypeError as error:
            raise TypeError(f"{cls.__name__}: each field of a state has a default: {error}") from None
        super().__init__(cls, cls.add, None)
        self.name, self.version = name, version
        self.writes = written_type(cls.emit)

    def bind(self, _):
        return self.plugin

    def configured(self, cls, reader, writer, ports):
        return Aggregate(cls, self.name, self.version, reader, writer, self.writes, ports)


class Aggregate:
    """An aggregate with its settings."""

    def __init__(self, cls, name, version, reader, writer, written, ports):
        self._cls, self._reader, self._writer, self._written = cls, reader, writer, written
        self.name, self.version, self.ports = name, version, ports
        self._names = [field.name for field in dataclasses.fields(cls)]

    def accumulate(self, states, groups, batch):
        """The states with the rows in them, and the rejections."""
        states, rejected = self._decoded(states), []
        rows, misfits = self._reader.values(batch)
        make = self._reader.make
        for number, (group, values) in enumerate(zip(groups, rows)):
            try:
                if misfits and number in misfits:
                    raise Reject(misfits[number])
                states[group].add(make(*values))
            except Reject as reject:
                rejected.append(Rejection(number, str(reject)))
        return self._encoded(states), rejected

    def merge(self, left, right):
        states = self._decoded(left)
        for state, later in zip(states, self._decoded(right)):
            state.merge(later)
        return self._encoded(states)

    def emit(self, states, context):
        starts, ends = (map(Timestamp, column.values.value) for column in context.columns)
        answers, rejected = [], []
        for row, (state, start, end) in enumerate(zip(self._decoded(states), starts, ends)):
            try:
                answers.append(state.emit(Window(start, end)))
            except Reject as reject:
                rejected.append(Rejection(row, str(reject)))
                answers.append(None)
        return output(answers, rejected, self._written, self._writer)

    def migrate(self, name, version, states):
        """The states in this version's layout; ValueError where they cannot be."""
        if name != self.name:
            raise ValueError(f"states of `{name}` cannot be read by `{self.name}`")
        if version == self.version:
            return states
        if not hasattr(self._cls, "migrate"):
            raise ValueError(f"states of version {version} cannot be read by this version")
        migrated = [self._cls.migrate(version, json.loads(old)) if old else self._cls() for old in _pieces(states)]
        return self._encoded(migrated)

    def _decoded(self, states):
        return [self._cls(**json.loads(state)) if state else self._cls() for state in _pieces(states)]

    def _encoded(self, states):
        pieces = [
            json.dumps({name: getattr(state, name) for name in self._names}, ensure_ascii=False, separators=(",", ":")).encode()
            for state in states
        ]
        return Slices([0, *accumulate(map(len, pieces))], b"".join(pieces))


def _pieces(states):
    return [states.bytes[start:end] for start, end in zip(states.offsets, states.offsets[1:])]
