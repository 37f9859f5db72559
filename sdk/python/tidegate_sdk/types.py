"""What a field can be, and how a record is refused."""

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import NewType

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MICROSECOND = timedelta(microseconds=1)

KINDS = ("presence", "boolean", "integer", "float", "text", "timestamp", "json", "bytes")


class Reject(Exception):
    """Sends this one record to the dead letters with a reason; the others go on."""


@dataclass(frozen=True)
class Field:
    """A field by its dotted path (`user.id`; `\\.` and `\\$` escape), and the kind that it is asked for in.

    A record without a required field, or with another kind of value there, is rejected by the runtime.
    """

    path: str
    kind: str = "text"
    required: bool = False

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"no such kind: `{self.kind}`; kinds are {', '.join(KINDS)}")


Present = NewType("Present", bool)
"""Whether a field is there and not null, of whatever kind: the cheapest question, nothing is copied."""


class Json(str):
    """One JSON value as text: what arrays and objects are read and written as."""

    __slots__ = ()

    @classmethod
    def of(cls, value):
        """The JSON of a value of the plugin's own."""
        return cls(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))

    def parse(self):
        """The value: dicts, lists, texts, numbers, booleans, None."""
        return json.loads(self)


class Timestamp(int):
    """Microseconds since 1970 UTC, as fields hold times; `str` of it is RFC 3339.

    A plugin has no clock: times come from the data, or from `$received`.
    """

    __slots__ = ()

    @classmethod
    def of(cls, time):
        """That of a datetime, which must have a time zone."""
        return cls((time - EPOCH) // MICROSECOND)

    @classmethod
    def parse(cls, text):
        """Reads RFC 3339, or `YYYY-MM-DD hh:mm:ss` in UTC; None if it is neither."""
        match = _TIME.fullmatch(text)
        if match is None:
            return None
        *numbers, fraction, zone = match.groups()
        if zone is None and text[10] != " ":
            return None
        try:
            time = datetime(*map(int, numbers), tzinfo=timezone.utc)
        except ValueError:
            return None
        micros = (time - EPOCH) // MICROSECOND + int(((fraction or "") + "000000")[:6])
        if zone not in (None, "Z", "z"):
            minutes = int(zone[1:3]) * 60 + int(zone[4:6])
            micros += (minutes if zone[0] == "-" else -minutes) * 60_000_000
        return cls(micros)

    def datetime(self):
        """The same time in UTC; OverflowError where a datetime cannot hold it."""
        return EPOCH + timedelta(0, 0, int(self))

    def __str__(self):
        try:
            time = self.datetime()
        except OverflowError:
            return f"{int(self)} µs since 1970"
        fraction = f".{time.microsecond:06}".rstrip("0") if time.microsecond else ""
        return time.strftime(f"{time.year:04}-%m-%dT%H:%M:%S") + fraction + "Z"

    def __repr__(self):
        return f"Timestamp({int(self)})"


_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)


class Row(tuple):
    """A record's values, in the order of the plugin's `reads`: where the number of fields is a setting."""

    __slots__ = ()

    @classmethod
    def of(cls, *values):
        return cls(values)


class Values(tuple):
    """The values that a plugin writes, in the order of its `writes`; None removes the field."""

    __slots__ = ()
