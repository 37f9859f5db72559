"""The typed class: which fields of a record are read or written, and as what."""

import dataclasses
import keyword
import types
import typing
from datetime import datetime

from .types import Field, Json, Present, Timestamp

# The kinds that a type can be asked for in; the first, unless `field(kind=…)` names another.
_KINDS_OF = {
    str: ("text", "json"),
    int: ("integer", "timestamp"),
    float: ("float",),
    bool: ("boolean", "presence"),
    bytes: ("bytes",),
    datetime: ("timestamp",),
    Timestamp: ("timestamp",),
    Json: ("json",),
    Present: ("presence",),
}


class _Given:
    """What `field(…)` says of a field."""

    def __init__(self, path, kind, default):
        self.path, self.kind, self.default = path, kind, default


def field(*, path=None, kind=None, default=dataclasses.MISSING):
    """A field's path, where it is not its name, and its kind, where it is not its type's own.

    `path` may be a function of the settings, `path=lambda settings: settings.to`; None switches the field off, which then
    is neither read nor written.
    """
    return _Given(path, kind, default)


# Tells type checkers what `fields` makes; Python 3.10 does not have it yet.
_dataclass_transform = getattr(typing, "dataclass_transform", lambda **_: lambda made: made)(
    field_specifiers=(field,)
)


class Slot:
    """One field of a typed class."""

    def __init__(self, owner, name, annotation, given):
        self.owner, self.name = owner, name
        self.type, self.optional = _optional(annotation)
        kinds = _KINDS_OF.get(self.type)
        if kinds is None:
            known = ", ".join(known.__name__ for known in _KINDS_OF)
            raise TypeError(f"{self}: a field cannot be of type `{annotation!r}`; fields are {known}, or `… | None` of one")
        self.kind = given.kind or kinds[0]
        if self.kind not in kinds:
            raise TypeError(f"{self}: {self.type.__name__} cannot be asked for as `{self.kind}`, only as {', '.join(kinds)}")
        self.path = given.path if given.path is not None else _plain(name)
        self.required = not self.optional and self.kind != "presence"

    def __str__(self):
        return f"{self.owner}.{self.name}"

    def field(self, settings):
        """The field, by the plugin's settings; None where they switch it off."""
        path = self.path(settings) if callable(self.path) else self.path
        if path is None:
            if not self.optional:
                raise ValueError(f"the field {self.name} cannot be switched off")
            return None
        if not isinstance(path, str) or not path:
            raise ValueError(f"the path of the field {self.name} is {path!r}, not a text")
        return Field(path, self.kind, self.required)


@_dataclass_transform
def fields(cls):
    """Makes a class of annotations one whose objects are the fields of a record: read, written, or both.

    It is a dataclass with slots. What is `… | None` may have the default None, and can then be left out of `Name(a=1)`.
    """
    hints = typing.get_type_hints(cls)
    for name, given in vars(cls).items():
        if isinstance(given, _Given) and name not in hints:
            raise TypeError(f"{cls.__name__}.{name}: a field has a type: `{name}: str = field(…)`")
    slots = []
    for name, annotation in hints.items():
        default = cls.__dict__.get(name, dataclasses.MISSING)
        given = default if isinstance(default, _Given) else _Given(None, None, default)
        slot = Slot(cls.__name__, name, annotation, given)
        if given.default is None and slot.optional:
            setattr(cls, name, None)
        elif given.default is not dataclasses.MISSING:
            raise TypeError(f"{slot}: a field's default is None, and its type `… | None`")
        elif isinstance(default, _Given):
            delattr(cls, name)
        slots.append(slot)
    made = dataclasses.dataclass(slots=True)(cls)
    made.__tidegate_slots__ = slots
    return made


def slots_of(cls):
    """The slots of a typed class; None if it is not one."""
    return getattr(cls, "__tidegate_slots__", None)


def one_of(annotation):
    """The types of a union, without None."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [part for part in typing.get_args(annotation) if part is not type(None)]
    return [annotation]


def _optional(annotation):
    parts = one_of(annotation)
    return (parts[0], parts[0] is not annotation) if len(parts) == 1 else (annotation, False)


def _plain(name):
    """`from_` stands for `from`, which cannot be a name in Python."""
    return name[:-1] if name.endswith("_") and keyword.iskeyword(name[:-1]) else name
