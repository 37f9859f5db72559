"""What the reference plugin `where` does with `field` and `equals`, to be timed beside it."""

from dataclasses import dataclass

from tidegate_sdk import field, fields, filter


@dataclass
class Settings:
    field: str
    equals: str


@fields
class Tested:
    text: str | None = field(path=lambda settings: settings.field)


@filter
class Where:
    def __init__(self, settings: Settings):
        self.equals = settings.equals

    def filter(self, tested: Tested) -> bool:
        return tested.text == self.equals
