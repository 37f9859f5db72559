"""Records as dicts, for tests: fields found by path, made into columns by the runtime's rules of kinds, and written."""

import base64
import binascii
import copy
import json
import math

from .border import Batch, Column, Values_Presence
from .types import Field, Json, Timestamp
from .writing import Writer

_DEFAULT_TIME = "2026-01-01T00:00:00Z"


def segments(path):
    """`a.b\\.c` is `a`, then `b.c`. A path that begins with `$` is one name, of the record's own."""
    if path.startswith("$"):
        return [path]
    found, characters = [""], iter(path)
    for character in characters:
        if character == ".":
            found.append("")
        else:
            found[-1] += next(characters, "") if character == "\\" else character
    return found


def find(record, path, index):
    """The value of a field, null being absent; `index` is the record's number."""
    value = record
    for segment in segments(path):
        value = value.get(segment) if isinstance(value, dict) else None
    if value is not None:
        return value
    own = {"$topic": "test", "$partition": 0, "$offset": index}
    own.update(dict.fromkeys(("$timestamp", "$event_time", "$received"), _DEFAULT_TIME))
    return _text(record) if path == "$value" else own.get(path)


def judge(reads, record, index):
    """Why the record cannot be read: something that is required is absent, or of another kind; else None."""
    for field in reads:
        value = find(record, field.path, index)
        if value is None and field.required:
            return f"a required field is absent or null: field=`{field.path}`, expected=`{field.kind}`"
        if value is not None and field.kind != "presence" and _cell(field, value) is None:
            found = _name(value)
            return (
                "a field is not of the kind that is read: "
                f"field=`{field.path}`, expected=`{field.kind}`, found=`{found}`"
            )
    return None


def readable(reads, given):
    """The numbers of the records that can be read, and why the others cannot, by their number."""
    reasons = {index: judge(reads, record, index) for index, record in enumerate(given)}
    return [index for index in reasons if reasons[index] is None], {index: why for index, why in reasons.items() if why}


def batch(reads, given, rows):
    """The batch of these records, which can be read."""
    return Batch(len(rows), [_column(field, given, rows) for field in reads])


def _column(field, given, rows):
    values = [find(given[index], field.path, index) for index in rows]
    if field.kind == "presence":
        present = bytes(value is not None for value in values)
        return Column(Values_Presence(), present if 0 in present else b"")
    cells = [(None if value is None else _cell(field, value),) for value in values]
    return Writer([Field(field.path, field.kind)]).columns(cells)[0]


def _cell(field, value):
    """The value in the kind that is asked for; None where that would lose something."""
    number = type(value) in (int, float)
    match field.kind:
        case "boolean":
            return value if type(value) is bool else None
        case "integer":
            whole = number and math.isfinite(value) and value == int(value) and -(2**63) <= value < 2**63
            return int(value) if whole else None
        case "float":
            return float(value) if number else None
        case "text":
            return value if type(value) is str else _text(value) if type(value) in (int, float, bool) else None
        case "timestamp":
            return Timestamp.parse(value) if type(value) is str else _epoch(value) if number else None
        case "json":
            return Json(_text(value))
        case _:
            return _decoded(field, value) if type(value) is str else None


def _decoded(field, text):
    """Bytes are base64 in a record; the record's own are what they are."""
    if field.path.startswith("$"):
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None


def _epoch(number):
    """Seconds, milli-, micro- or nanoseconds, told apart by their size."""
    size = abs(number)
    micros = number * 1e6 if size < 1e11 else number * 1e3 if size < 1e14 else number if size < 1e17 else number / 1e3
    return Timestamp(int(micros))


def written(record, fields, columns, place):
    """The record with output `place` of the columns in it; ValueError where it cannot be written."""
    record = copy.deepcopy(record)
    for field, column in zip(fields, columns):
        value = value_of(field, column, place)
        if value is None:
            _remove(record, segments(field.path))
        else:
            _set(record, field, value)
    return record


def _set(record, field, value):
    *parents, last = segments(field.path)
    for name in parents:
        if not isinstance(record, dict):
            break
        if record.get(name) is None:
            record[name] = {}
        record = record[name]
    if not isinstance(record, dict):
        raise ValueError(f"field=`{field.path}`: a value is in the way")
    if isinstance(record.get(last), dict) and field.kind != "json":
        raise ValueError(f"field=`{field.path}`: an object is in the way")
    record[last] = value


def _remove(record, names):
    *parents, last = names
    for name in parents:
        record = record.get(name) if isinstance(record, dict) else None
    if isinstance(record, dict):
        record.pop(last, None)


def value_of(field, column, place):
    """The value of a column as a record holds it."""
    if column.present and not column.present[place]:
        return None
    values = column.values.value
    match field.kind:
        case "boolean":
            return bool(values[place])
        case "timestamp":
            return str(Timestamp(values[place]))
        case "integer":
            return values[place]
        case "float":
            if not math.isfinite(values[place]):
                raise ValueError(f"field=`{field.path}`: {values[place]} is no number in JSON")
            return values[place]
    piece = values.bytes[values.offsets[place] : values.offsets[place + 1]]
    if field.kind == "json":
        return json.loads(piece)
    return base64.b64encode(piece).decode() if field.kind == "bytes" else piece.decode()


def _text(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _name(value):
    names = {bool: "boolean", int: "number", float: "number", str: "text", list: "array", dict: "object"}
    return names[type(value)]
