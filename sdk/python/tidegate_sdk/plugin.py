"""The decorators `@filter` and `@enrich`, and what a plugin is once its settings are known."""

import dataclasses
import inspect
import json
import typing

from . import settings as settings_module
from .border import Output, Rejection
from .fields import one_of, slots_of
from .reading import Reader
from .types import Field, Reject, Row, Values
from .writing import Misfit, Writer


def filter(plugin):
    """A function `row -> bool`, or a class with `__init__(self, settings)` and `filter(self, row) -> bool`.

    What it gives back says whether the record is kept; `Reject` sends it to the dead letters.
    """
    plugin.__tidegate__ = FilterGlue(plugin, *_method(plugin, "filter"))
    return plugin


def enrich(plugin):
    """A function `row -> Written`, or a class with `__init__(self, settings)` and `enrich(self, row) -> Written`.

    It gives back an object to write, None (drops the record), or a list (the record goes on once for each).
    """
    plugin.__tidegate__ = EnrichGlue(plugin, *_method(plugin, "enrich"))
    return plugin


def _method(plugin, name):
    """What is called for each row, and the type of the settings; None: it takes none."""
    if not inspect.isclass(plugin):
        return plugin, None
    method = vars(plugin).get(name)
    if not inspect.isfunction(method):
        raise TypeError(f"{plugin.__name__}: a class behind @{name} has a method `{name}(self, row)`")
    return method, _settings_type(plugin)


def glue_of(plugin):
    """The glue of what a decorator stands before."""
    glue = vars(plugin).get("__tidegate__") if hasattr(plugin, "__dict__") else None
    if glue is None:
        raise TypeError(f"{plugin!r} is no plugin: @filter, @enrich or @aggregate does not stand before it")
    return glue


@dataclasses.dataclass(frozen=True)
class Ports:
    """What a plugin reads and writes with some settings."""

    reads: list
    writes: list


class Glue:
    """What an author wrote, and the types that it is called with. It hangs on the plugin, which stays what it is."""

    kind = ""

    def __init__(self, plugin, method, settings):
        self.plugin, self.settings = plugin, settings
        self.reads, self.writes = _row_type(method), None

    def configure(self, settings):
        """The plugin with its settings, JSON text. ValueError, in its author's words, where it refuses them."""
        given = self._settings(json.loads(settings) if settings.strip() else {})
        bound = self.bind(given)
        owner = getattr(bound, "__self__", None)
        read_columns, reads = _placed(self.reads, given, owner, "reads")
        write_columns, writes = _placed(self.writes, given, owner, "writes")
        _check(writes)
        columns = [column and (column[0], reads[column[0]], column[1]) for column in read_columns]
        names = None
        if self.writes is not Values and self.writes is not None:
            names = [slot.name for slot, column in zip(slots_of(self.writes), write_columns) if column is not None]
        writer = Writer(writes, names)
        return self.configured(bound, Reader(self.reads, columns), writer, Ports(reads, writes))

    def bind(self, given):
        """What is called for each row."""
        if not inspect.isclass(self.plugin):
            return self.plugin
        return getattr(self.plugin() if self.settings is None else self.plugin(given), self.kind)

    def _settings(self, table):
        if self.settings is None:
            for name in table:
                raise ValueError(f"unknown setting `{name}`: this plugin has no settings")
            return None
        return settings_module.read(self.settings, table) if dataclasses.is_dataclass(self.settings) else table


class FilterGlue(Glue):
    kind = "filter"

    def configured(self, call, reader, _, ports):
        return Filter(call, reader, ports)


class EnrichGlue(Glue):
    kind = "enrich"

    def __init__(self, plugin, method, settings):
        super().__init__(plugin, method, settings)
        self.writes = written_type(method)

    def configured(self, call, reader, writer, ports):
        return Enrich(call, reader, writer, self.writes, ports)


class Filter:
    """A filter with its settings."""

    def __init__(self, call, reader, ports):
        self._call, self._reader, self.ports = call, reader, ports

    def filter(self, batch):
        """A byte for each row, 0 drops it; and the rejections."""
        answers, rejected = answer(self._call, self._reader, batch, False)
        others = set(map(type, answers)) - {bool}
        if others:
            raise TypeError(f"a filter gives back True or False, not {others.pop().__name__}")
        return bytes(answers), rejected


class Enrich:
    """An enricher with its settings."""

    def __init__(self, call, reader, writer, written, ports):
        self._call, self._reader, self._writer, self._written, self.ports = call, reader, writer, written, ports

    def enrich(self, batch):
        answers, rejected = answer(self._call, self._reader, batch, None)
        return output(answers, rejected, self._written, self._writer)


def answer(call, reader, batch, of_rejected):
    """What `call` gives back for each row, and the rejections."""
    rows, misfits = reader.values(batch)
    make, answers, rejected = reader.make, [], []
    for number, values in enumerate(rows):
        try:
            if misfits and number in misfits:
                raise Reject(misfits[number])
            answers.append(call(make(*values)))
        except Reject as reject:
            rejected.append(Rejection(number, str(reject)))
            answers.append(of_rejected)
    return answers, rejected


def output(answers, rejected, written, writer):
    """The columns of what was given back for each row."""
    if set(map(type, answers)) <= {written} and not rejected:
        rows, outputs = None, answers
    else:
        rows, outputs = _numbered(answers, written)
    try:
        columns = writer.columns(outputs)
    except Misfit:
        rows, outputs = _sifted(rows, outputs, rejected, writer)
        columns = writer.columns(outputs)
    return Output(rows, columns, rejected)


def _numbered(answers, written):
    """Dropped rows left out, lists spread; for each output its row."""
    rows, outputs = [], []
    for row, one in enumerate(answers):
        if one is None:
            continue
        for made in one if type(one) is list else (one,):
            if type(made) is not written:
                raise TypeError(f"gave back {type(made).__name__}, not {written.__name__}, None or a list")
            rows.append(row)
            outputs.append(made)
    return rows, outputs


def _sifted(rows, outputs, rejected, writer):
    """Without the rows of which a value does not fit: they are rejected with all that came of them."""
    rows = range(len(outputs)) if rows is None else rows
    problems = {}
    for row, made in zip(rows, outputs):
        problem = writer.problem(made)
        if problem is not None:
            problems.setdefault(row, problem)
    rejected.extend(Rejection(row, problem) for row, problem in problems.items())
    kept = [(row, made) for row, made in zip(rows, outputs) if row not in problems]
    return [row for row, _ in kept], [made for _, made in kept]


def _placed(cls, given, plugin, method):
    """For each value of a row its column and its type, None where it is switched off; and the fields of the columns."""
    if cls is None:
        return [], []
    if cls in (Row, Values):
        ask = getattr(plugin, method, None)
        if ask is None:
            raise TypeError(f"{cls.__name__} needs a method `{method}(self) -> list[Field]` of the plugin's class")
        fields = [field if isinstance(field, Field) else Field(field) for field in ask()]
        return [(place, None) for place in range(len(fields))], fields
    columns, fields = [], []
    for slot in slots_of(cls):
        field = slot.field(given)
        columns.append(None if field is None else (len(fields), slot.type))
        fields.extend([] if field is None else [field])
    return columns, fields


def _check(writes):
    paths = set()
    for field in writes:
        if field.kind == "presence":
            raise ValueError(f"field=`{field.path}` cannot be written as presence, which has no value")
        if field.path in paths:
            raise ValueError(f"field=`{field.path}` is written twice")
        paths.add(field.path)


def _settings_type(plugin):
    """The annotation of the settings that `__init__` takes, dict where there is none; None: it takes no settings."""
    if plugin.__init__ is object.__init__:
        return None
    names = list(inspect.signature(plugin.__init__).parameters)[1:]
    if not names:
        return None
    return typing.get_type_hints(plugin.__init__).get(names[0], dict)


def _row_type(method):
    hints = typing.get_type_hints(method)
    names = [name for name in inspect.signature(method).parameters if name != "self"]
    cls = hints.get(names[0]) if len(names) == 1 else None
    if cls is not Row and slots_of(cls) is None:
        raise TypeError(f"{method.__name__}: it takes one row, of a class with @fields before it: `(row: Click)`")
    return cls


def written_type(method):
    """`Written`, or None, a list, or a union of these."""
    found = set()
    for part in one_of(typing.get_type_hints(method).get("return")):
        found.update(one_of(typing.get_args(part)[0]) if typing.get_origin(part) is list else [part])
    found.discard(type(None))
    cls = found.pop() if len(found) == 1 else None
    if cls is not Values and slots_of(cls) is None:
        raise TypeError(
            f"{method.__name__}: say what it gives back, a class with @fields before it: "
            "`-> Written`, `-> Written | None` or `-> list[Written]`"
        )
    return cls
