"""What the reference plugin `stamp` does, to be timed beside it."""

from tidegate_sdk import Timestamp, enrich, field, fields


@fields
class Origin:
    received: Timestamp = field(path="$received")
    topic: str = field(path="$topic")
    partition: int = field(path="$partition")
    offset: int = field(path="$offset")


@fields
class Stamps:
    processed_time: Timestamp
    event_id: str


@enrich
def stamp(origin: Origin) -> Stamps:
    return Stamps(origin.received, f"{origin.topic}-{origin.partition}-{origin.offset}")
