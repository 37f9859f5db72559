"""Write Tidegate plugins in Python: a typed class and a decorated function.

    from tidegate_sdk import fields, filter

    @fields
    class Click:
        user_id: str | None

    @filter
    def has_user(click: Click) -> bool:
        return click.user_id is not None

The modules, in the order that data flows: `types` (what a field can be), `fields` (the typed class), `settings`, `reading` (columns
to rows), `writing` (rows to columns), `plugin` (the decorators), `guest` (the component around it), `build` and `test`.
"""

from . import log
from .aggregates import Window, aggregate
from .fields import field, fields
from .plugin import enrich, filter
from .types import Field, Json, Present, Reject, Row, Timestamp, Values

__all__ = [
    "Field",
    "Json",
    "Present",
    "Reject",
    "Row",
    "Timestamp",
    "Values",
    "Window",
    "aggregate",
    "enrich",
    "field",
    "fields",
    "filter",
    "log",
]
