"""Aggregates as their authors test them."""

import unittest
from dataclasses import dataclass, field as setting

from tidegate_sdk import Reject, Window, aggregate, fields
from tidegate_sdk.aggregates import EMIT_READS
from tidegate_sdk.border import Slices
from tidegate_sdk.plugin import glue_of
from tidegate_sdk.test import Folded, ports, run


@fields
class Sample:
    latency: int
    host: str | None


@fields
class Slowest:
    hosts: int
    seconds: float
    slowest: int | None = None


@aggregate(state=2, schema="latency")
@dataclass
class Latency:
    slowest: int | None = None
    hosts: list = setting(default_factory=list)

    def add(self, row: Sample) -> None:
        if row.latency < 0:
            raise Reject("before it began")
        self.slowest = max(self.slowest or 0, row.latency)
        self.hosts = sorted({*self.hosts, row.host or "ü"})

    def merge(self, later: "Latency") -> None:
        self.slowest = max(self.slowest or 0, later.slowest or 0)
        self.hosts = sorted({*self.hosts, *later.hosts})

    def emit(self, window: Window) -> Slowest:
        return Slowest(slowest=self.slowest, hosts=len(self.hosts), seconds=(window.end - window.start) / 1e6)

    @classmethod
    def migrate(cls, version, old):
        if version != 1:
            raise ValueError(f"no such version: {version}")
        return cls(slowest=old["max"])


class Aggregates(unittest.TestCase):
    def test_records_are_folded(self):
        got = run(Latency, {}, [{"latency": 3, "host": "a"}, {"latency": -1}, {"latency": 12}, {"host": "a"}, {"latency": 7}])
        self.assertEqual(got.documents, [{"slowest": 12, "hosts": 2, "seconds": 60.0}])
        self.assertEqual(got.rejected[0], (1, "before it began"))
        self.assertIn("absent or null", got.rejected[1][1])
        self.assertEqual(run(Latency, {}, []), Folded([{"hosts": 0, "seconds": 60.0}], []))
        self.assertEqual([field.path for field in ports(Latency, {}).writes], ["hosts", "seconds", "slowest"])

    def test_older_states_are_migrated(self):
        configured = glue_of(Latency).configure("{}")
        old = Slices([0, 0, 9], b'{"max":7}')
        self.assertEqual(configured.migrate("latency", 1, old).bytes, b'{"slowest":null,"hosts":[]}{"slowest":7,"hosts":[]}')
        self.assertIs(configured.migrate("latency", 2, old), old)
        for name, version in [("Latency", 1), ("latency", 3)]:
            with self.assertRaises(ValueError):
                configured.migrate(name, version, old)
        self.assertEqual([field.path for field in EMIT_READS], ["$window_start", "$window_end"])

    def test_a_merge_that_forgets_is_found(self):
        @aggregate(state=1)
        @dataclass
        class Forgetful:
            count: int = 0

            def add(self, row: Sample) -> None:
                self.count += 1

            def merge(self, later: "Forgetful") -> None:
                pass

            def emit(self, window: Window) -> Slowest:
                return Slowest(hosts=self.count, seconds=0.0)

        with self.assertRaisesRegex(AssertionError, "are split before record 1, and merged"):
            run(Forgetful, {}, [{"latency": 1}, {"latency": 2}])

    def test_a_rejected_record_leaves_no_trace(self):
        @aggregate(state=1)
        @dataclass
        class Hasty:
            count: int = 0

            def add(self, row: Sample) -> None:
                self.count += 1
                raise Reject("too late")

            def merge(self, later: "Hasty") -> None:
                self.count += later.count

            def emit(self, window: Window) -> list[Slowest]:
                return [Slowest(hosts=self.count, seconds=0.0)]

        with self.assertRaisesRegex(AssertionError, "raise Reject before `self` is changed"):
            run(Hasty, {}, [{"latency": 1}])


if __name__ == "__main__":
    unittest.main()
