"""Settings: the JSON of the pipeline file's table, read into a dataclass of the plugin's."""

import dataclasses
import typing

from .fields import _plain, one_of

_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", dict: "a table", list: "a list"}


def read(cls, table, where=""):
    """An object of the dataclass `cls`; ValueError for what is missing, unknown, or of another type."""
    hints = typing.get_type_hints(cls)
    known = {_plain(one.name): one for one in dataclasses.fields(cls) if one.init}
    for name in table:
        if name not in known:
            names = ", ".join(f"`{name}`" for name in known)
            raise ValueError(f"unknown setting `{where}{name}`; " + (f"there are {names}" if names else "there are none"))
    values = {}
    for name, one in known.items():
        if name in table:
            values[one.name] = _value(hints[one.name], table[name], where + name)
        elif one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING:
            raise ValueError(f"missing setting `{where}{name}`")
    return cls(**values)


def _value(annotation, value, where):
    parts = one_of(annotation)
    if value is None and type(None) in typing.get_args(annotation):
        return None
    if len(parts) > 1:
        return _first(parts, value, where)
    expected = parts[0]
    origin, arguments = typing.get_origin(expected) or expected, typing.get_args(expected)
    if origin is typing.Any or origin is object:
        return value
    if origin is typing.Literal:
        if value not in arguments:
            raise ValueError(f"the setting `{where}` is one of {', '.join(map(repr, arguments))}, not {value!r}")
        return value
    if dataclasses.is_dataclass(origin) and isinstance(value, dict):
        return read(origin, value, where + ".")
    if origin is float and type(value) is int:
        return float(value)
    # `True` is an int in Python, not in a pipeline file.
    if type(value) is not origin:
        name = "a table" if dataclasses.is_dataclass(origin) else _NAMES.get(origin, repr(origin))
        raise ValueError(f"the setting `{where}` is {_NAMES.get(type(value), 'null')}, expected {name}")
    if origin is list and arguments:
        return [_value(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value)]
    if origin is dict and len(arguments) == 2:
        return {name: _value(arguments[1], item, f"{where}.{name}") for name, item in value.items()}
    return value


def _first(parts, value, where):
    """What the first type of a union makes of it that takes it."""
    refused = None
    for part in parts:
        try:
            return _value(part, value, where)
        except ValueError as error:
            refused = refused or error
    raise refused
