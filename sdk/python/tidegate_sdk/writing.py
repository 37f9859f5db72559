"""Rows to columns: what a plugin's function gives back."""

from array import array
from datetime import datetime
from itertools import accumulate
from operator import attrgetter

from .border import Column, Slices, Values_Booleans, Values_Floats, Values_Integers, Values_Slices
from .types import Json, Timestamp


class Misfit(Exception):
    """A value that its field cannot hold."""


class Writer:
    """Makes columns of rows: of objects of a typed class, or of `Values`."""

    def __init__(self, fields, names=None):
        """`names`: for each field what it is called in the typed class; None: rows are tuples, in the fields' order."""
        self.fields = fields
        self._getters = None if names is None else [attrgetter(name) for name in names]

    def columns(self, rows):
        """A column for each field; raises `Misfit` where a value does not fit, without saying which row it is of."""
        if self._getters is None:
            columns = list(zip(*map(self._padded, rows))) or [()] * len(self.fields)
        else:
            columns = [list(map(getter, rows)) for getter in self._getters]
        return list(map(_column, self.fields, columns))

    def problem(self, row):
        """Why this row cannot be written; None if it can."""
        try:
            self.columns([row])
        except Misfit as misfit:
            return str(misfit)
        return None

    def _padded(self, row):
        given, asked = len(row), len(self.fields)
        if given > asked:
            raise Misfit(f"the plugin gave {given} values for the {asked} fields that it writes")
        return row if given == asked else (*row, *[None] * (asked - given))


def _column(field, values):
    """Types are judged once for the column: as a rule there is one."""
    types = set(map(type, values))
    present = b""
    if type(None) in types:
        if field.required:
            raise Misfit(f"field=`{field.path}`: it is None, but not `… | None`")
        types.discard(type(None))
        present = bytes([value is not None for value in values])
        absent = _ABSENT[field.kind]
        values = [absent if value is None else value for value in values]
    try:
        return Column(_WRITE[field.kind](values, types), present)
    except (Misfit, TypeError, ValueError, OverflowError) as error:
        raise Misfit(f"field=`{field.path}`: {error}") from None


def _only(types, *allowed):
    for other in types.difference(allowed):
        if not any(issubclass(other, one) and one is not int for one in allowed):
            raise Misfit(f"is written as {allowed[0].__name__}, but the plugin gave {other.__name__}")


def _booleans(values, types):
    _only(types, bool)
    return Values_Booleans(bytes(values))


def _integers(values, types):
    _only(types, int)
    return Values_Integers(_fitting(values))


def _fitting(values):
    try:
        array("q", values)
    except OverflowError:
        raise Misfit("an integer does not fit 64 bits with a sign") from None
    return list(values)


def _floats(values, types):
    _only(types, float, int)
    return Values_Floats(list(values) if types <= {float} else list(map(float, values)))


def _timestamps(values, types):
    _only(types, Timestamp, datetime, int)
    if not types <= {Timestamp, int}:
        values = [Timestamp.of(value) if isinstance(value, datetime) else value for value in values]
    return Values_Integers(_fitting(values))


def _texts(values, types):
    _only(types, str)
    return _slices([value.encode() for value in values])


def _json(values, types):
    """A `Json` is taken as it is, all else is written as JSON."""
    if not types <= {Json}:
        values = [value if isinstance(value, Json) else Json.of(value) for value in values]
    return _texts(values, {str})


def _bytes(values, types):
    _only(types, bytes)
    return _slices(values)


def _slices(pieces):
    return Values_Slices(Slices([0, *accumulate(map(len, pieces))], b"".join(pieces)))


_WRITE = {
    "boolean": _booleans,
    "integer": _integers,
    "float": _floats,
    "text": _texts,
    "timestamp": _timestamps,
    "json": _json,
    "bytes": _bytes,
}

# What stands where there is no value.
_ABSENT = {
    "boolean": False,
    "integer": 0,
    "float": 0.0,
    "text": "",
    "timestamp": 0,
    "json": Json("null"),
    "bytes": b"",
}
