"""Columns to rows: what a plugin's function is called with.

There is one call a batch for each column. What there is for each record was chosen by measurement in a component: objects with
slots, made in the loop that calls the plugin, cost half of what tuples with names do.
"""

from itertools import pairwise, repeat

from .types import EPOCH, Json, Row, Timestamp, timedelta


class Reader:
    """Makes rows of a plugin's batches: objects of the typed class `cls`, or a `Row`."""

    def __init__(self, cls, columns):
        """`columns`: for each value of a row the number of its column, its `Field` and its type, or None: switched off."""
        self._columns = columns
        #: Makes a row of its values.
        self.make = Row.of if cls is Row else cls

    def values(self, batch):
        """The values of each row, in order; and why some rows cannot be read, by their number."""
        misfits = {}
        if not self._columns:
            return repeat((), batch.rows), misfits
        columns = [
            repeat(None, batch.rows) if column is None else _values(*column, batch.columns[column[0]], batch.rows, misfits)
            for column in self._columns
        ]
        return zip(*columns), misfits


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


def _texts(slices, *_):
    whole = slices.bytes
    return [whole[start:end].decode() for start, end in pairwise(slices.offsets)]


def _json(slices, field, kind_of, *_):
    texts = _texts(slices)
    return map(Json, texts) if kind_of is Json else texts


def _bytes(slices, *_):
    whole = slices.bytes
    return [whole[start:end] for start, end in pairwise(slices.offsets)]


_READ = {
    "boolean": _booleans,
    "integer": _as_they_are,
    "float": _as_they_are,
    "text": _texts,
    "timestamp": _timestamps,
    "json": _json,
    "bytes": _bytes,
}
