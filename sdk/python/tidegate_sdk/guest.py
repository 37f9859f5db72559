"""The component around a plugin: its exports, its one configured instance, and its last words."""

import sys

import wit_world.exports as exported
from componentize_py_types import Err
from wit_world.exports.plugin import Identity, Ports
from wit_world.imports import data

from . import log
from .aggregates import EMIT_READS
from .last_words import last_words
from .plugin import glue_of


def exports(name, version, plugin):
    """The classes that componentize-py looks for, by their names."""
    sys.stdout = sys.stderr = log.Lines()
    component = _Component(name, version, glue_of(plugin))
    kind = component.glue.kind.capitalize()
    return {"Plugin": lambda: _Plugin(component), kind: lambda: globals()[f"_{kind}"](component)}


class _Component:
    def __init__(self, name, version, glue):
        self.identity, self.glue, self.configured = Identity(name, version, ""), glue, None

    def call(self, method, *arguments):
        """To the host an exception is a bare trap, so what it says goes to the log first."""
        try:
            return getattr(self.configured, method)(*arguments)
        except BaseException as error:
            log.error(last_words(error))
            raise


class _Plugin:
    def __init__(self, component):
        self._component = component

    def describe(self):
        return self._component.identity

    def configure(self, settings):
        try:
            self._component.configured = self._component.glue.configure(settings)
            ports = self._component.configured.ports
            return Ports([_field(field) for field in ports.reads], [_field(field) for field in ports.writes])
        except ValueError as error:
            raise Err(str(error))
        except Exception as error:
            raise Err(last_words(error))


def _field(field):
    return data.Field(field.path, getattr(data.Kind, field.kind.upper()), field.required)


class _Filter:
    def __init__(self, component):
        self._call = component.call

    def filter(self, batch):
        return exported.filter.Verdicts(*self._call("filter", batch))


class _Enrich:
    def __init__(self, component):
        self._call = component.call

    def enrich(self, batch):
        return self._call("enrich", batch)


class _Aggregate:
    def __init__(self, component):
        self._component, self._call = component, component.call

    def describe_state(self):
        glue = self._component.glue
        schema = exported.aggregate.StateSchema(glue.plugin.__name__, glue.version)
        return exported.aggregate.Description(schema, [_field(field) for field in EMIT_READS])

    def accumulate(self, states, groups, batch):
        return exported.aggregate.Accumulated(*self._call("accumulate", states, groups, batch))

    def merge(self, left, right):
        return self._call("merge", left, right)

    def emit(self, states, context):
        return self._call("emit", states, context)

    def migrate(self, from_, states):
        try:
            return self._call("migrate", from_.name, from_.version, states)
        except ValueError as error:
            raise Err(str(error))
