"""Columns to rows: what a plugin's function is called with.

Per batch there is one call for each column; per record as little as possible, and that in loops of C (`map`, `zip`).
"""

from functools import partial
from itertools import islice, repeat

from .types import EPOCH, Json, Timestamp, timedelta


class Reader:
    """Makes rows of a plugin's batches: objects of the typed class `cls`, or a `Row`."""

    def __init__(self, cls, columns):
        """`columns`: for each value of a row the number of its column, its `Field` and its type, or None: switched off."""
        self._columns = columns
        self._make = partial(tuple.__new__, cls)
        self._empty = cls

    def rows(self, batch):
        """The rows in order, and why some cannot be read, by their number; those are not to be used."""
        misfits = {}
        if not self._columns:
            return repeat(self._make(()), batch.rows), misfits
        values = [
            repeat(None, batch.rows) if column is None else _values(*column, batch.columns[column[0]], batch.rows, misfits)
            for column in self._columns
        ]
        return map(self._make, zip(*values)), misfits


def _values(_, field, kind_of, column, rows, misfits):
    present = column.present
    if field.kind == "presence":
        return map(bool, present) if present else repeat(True, rows)
    values = _READ[field.kind](column.values.value, field, kind_of, misfits, present)
    # The value of an absent one is anything; what reads as `… | None` shall see None.
    return [value if here else None for value, here in zip(values, present)] if present else values


def _booleans(values, *_):
    return map(bool, values)


def _as_they_are(values, *_):
    return values


def _timestamps(values, field, kind_of, misfits, present):
    if kind_of is int:
        return values
    if kind_of is Timestamp:
        return map(Timestamp, values)
    try:
        return [EPOCH + timedelta(0, 0, value) for value in values]
    except OverflowError:
        return _datetimes(values, field, misfits, present)


def _datetimes(values, field, misfits, present):
    """Some are beyond the years 1 to 9999."""
    times = []
    for row, value in enumerate(values):
        try:
            times.append(EPOCH + timedelta(0, 0, value))
        except OverflowError:
            times.append(None)
            if not present or present[row]:
                misfits[row] = f"field=`{field.path}`: a datetime cannot hold {int(value)} µs since 1970"
    return times


def _pieces(whole, offsets):
    return map(whole.__getitem__, map(slice, offsets, islice(offsets, 1, None)))


def _texts(slices, *_):
    """Where all is ASCII, one text is made for the column, and cut."""
    if slices.bytes.isascii():
        return _pieces(slices.bytes.decode("ascii"), slices.offsets)
    return map(bytes.decode, _pieces(slices.bytes, slices.offsets))


def _json(slices, field, kind_of, *_):
    texts = _texts(slices)
    return map(Json, texts) if kind_of is Json else texts


def _bytes(slices, *_):
    return _pieces(slices.bytes, slices.offsets)


_READ = {
    "boolean": _booleans,
    "integer": _as_they_are,
    "float": _as_they_are,
    "text": _texts,
    "timestamp": _timestamps,
    "json": _json,
    "bytes": _bytes,
}
