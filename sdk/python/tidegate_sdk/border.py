"""The types that cross the border: those of the bindings in a component, and ones of the same shape in native tests."""

try:
    from wit_world.imports.data import (
        Batch,
        Column,
        Output,
        Rejection,
        Slices,
        Values_Booleans,
        Values_Floats,
        Values_Integers,
        Values_Presence,
        Values_Slices,
    )
except ImportError:
    from dataclasses import dataclass

    @dataclass
    class Slices:
        offsets: list
        bytes: bytes

    @dataclass
    class Values_Presence:
        pass

    @dataclass
    class Values_Booleans:
        value: bytes

    @dataclass
    class Values_Integers:
        value: list

    @dataclass
    class Values_Floats:
        value: list

    @dataclass
    class Values_Slices:
        value: Slices

    @dataclass
    class Column:
        values: object
        present: bytes

    @dataclass
    class Batch:
        rows: int
        columns: list

    @dataclass
    class Rejection:
        row: int
        reason: str

    @dataclass
    class Output:
        rows: list | None
        columns: list
        rejected: list


__all__ = [
    "Batch",
    "Column",
    "Output",
    "Rejection",
    "Slices",
    "Values_Booleans",
    "Values_Floats",
    "Values_Integers",
    "Values_Presence",
    "Values_Slices",
]
