"""The typed class: which fields of a record are read or written, and as what."""

import keyword
import types
import typing
from collections import namedtuple
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

    def __init__(self, path, kind):
        self.path, self.kind = path, kind


def field(*, path=None, kind=None):
    """A field's path, where it is not its name, and its kind, where it is not its type's own.

    `path` may be a function of the settings, `path=lambda settings: settings.to`; None switches the field off, which then
    is neither read nor written.
    """
    return _Given(path, kind)


# Tells type checkers what `fields` makes; Python 3.10 does not have it yet.
_dataclass_transform = getattr(typing, "dataclass_transform", lambda **_: lambda made: made)(
    frozen_default=True, field_specifiers=(field,)
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

    Its objects do not change; `Name(a=1)` makes one, where what is `… | None` may be left out.
    """
    slots = []
    for name, annotation in typing.get_type_hints(cls).items():
        given = cls.__dict__.get(name, _Given(None, None))
        if not isinstance(given, _Given):
            raise TypeError(f"{cls.__name__}.{name}: a field has no default, write `{name}: … | None`")
        slots.append(Slot(cls.__name__, name, annotation, given))
    # A tuple: rows of them are made, and taken apart, without a line of Python for each.
    names = [slot.name for slot in slots]
    base = namedtuple(cls.__name__, names)
    left_out = {*names, "__dict__", "__weakref__", "__slots__"}
    kept = {name: value for name, value in vars(cls).items() if name not in left_out}
    made = type(cls.__name__, (base,), {**kept, "__new__": _constructor(slots), "__slots__": (), "__tidegate_slots__": slots})
    made.__module__, made.__qualname__ = cls.__module__, cls.__qualname__
    return made


def _constructor(slots):
    """`__new__(cls, a, b=None, *, c)`: what is required is by name only, once something may be left out."""
    parameters, optional_before = ["cls"], False
    for slot in slots:
        if optional_before and not slot.optional and "*" not in parameters:
            parameters.append("*")
        optional_before |= slot.optional
        parameters.append(f"{slot.name}=None" if slot.optional else slot.name)
    values = "".join(f"{slot.name}, " for slot in slots)
    made = {}
    exec(f"def __new__({', '.join(parameters)}): return new(cls, ({values}))", {"new": tuple.__new__}, made)
    return made["__new__"]


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
