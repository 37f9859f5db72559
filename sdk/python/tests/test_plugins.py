"""Filters and enrichers as their authors test them: every kind of field, every thing that can be given back."""

import unittest
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from tidegate_sdk import Field, Json, Present, Reject, Row, Timestamp, Values, enrich, field, fields, filter
from tidegate_sdk.test import Dropped, Passed, Rejected, Split, ports, refusal, run

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


@fields
class All:
    text: str
    count: int
    ratio: float
    yes: bool
    at: datetime
    stamp: Timestamp
    raw: bytes
    tree: Json


@enrich
def same(row: All) -> All:
    return row


@fields
class Maybe:
    text: str | None
    count: int | None
    at: datetime | None
    seen: Present = field(path="deep.er")


@fields
class Said:
    said: str | None


@enrich
def say(row: Maybe) -> Said | None:
    if row.text == "drop":
        return None
    if row.text == "reject":
        raise Reject("so it says")
    return Said(row.text if row.text == "é" else repr((row.text, row.count, row.at, row.seen)))


@fields
class Letters:
    letters: str


@fields
class Letter:
    letter: str
    letters: str | None = None


@enrich
def spell(row: Letters) -> list[Letter]:
    return [Letter(letter=letter) for letter in row.letters]


@dataclass
class Settings:
    at_least: float
    of: str = "total"


@fields
class Amount:
    amount: float = field(path=lambda settings: settings.of)


@filter
class Big:
    def __init__(self, settings: Settings):
        if settings.at_least < 0:
            raise ValueError("at_least is negative")
        self.at_least = settings.at_least

    def filter(self, row: Amount) -> bool:
        if row.amount != row.amount:
            raise Reject("no number")
        return row.amount >= self.at_least


@enrich
class Shout:
    def __init__(self, settings):
        self.paths = settings["fields"]

    def reads(self):
        return [Field(path) for path in self.paths]

    def writes(self):
        return [Field(path) for path in self.paths]

    def enrich(self, row: Row) -> Values:
        return Values(None if text is None else text.upper() for text in row)


class Plugins(unittest.TestCase):
    def test_every_kind_is_read_and_written(self):
        record = {
            "text": "a ç 茶 🎁",
            "count": -(2**63),
            "ratio": 0.5,
            "yes": False,
            "at": "2026-03-01T12:00:00.000001Z",
            "stamp": "1969-12-31T23:59:59Z",
            "raw": "AP8=",
            "tree": {"ü": [1, None, "x"]},
        }
        ascii_only = {**record, "text": "plain", "yes": True, "tree": []}
        self.assertEqual(run(same, {}, [record, ascii_only, record]), [Passed(record), Passed(ascii_only), Passed(record)])
        self.assertEqual([field.kind for field in ports(same, {}).reads], "text integer float boolean timestamp timestamp bytes json".split())

    def test_what_is_absent_or_null_is_none(self):
        there = {"text": "a", "count": 2, "at": "2026-03-01T12:00:00Z", "deep": {"er": 0}}
        got = run(say, {}, [there, {"text": None}, {"text": "é"}])
        self.assertEqual(got[0], Passed({**there, "said": repr(("a", 2, NOON, True))}))
        self.assertEqual(got[1], Passed({"text": None, "said": repr((None, None, None, False))}))
        self.assertEqual(got[2], Passed({"text": "é", "said": "é"}))

    def test_records_are_dropped_rejected_and_split(self):
        got = run(say, {}, [{"text": "drop"}, {"text": "reject"}, {"text": "é"}, {"count": "x"}])
        self.assertEqual(got[:3], [Dropped(), Rejected("so it says"), Passed({"text": "é", "said": "é"})])
        self.assertIn("expected=`integer`, found=`text`", got[3].reason)
        got = run(spell, {}, [{"letters": "ab"}, {"letters": ""}, {"letters": "c"}, {}])
        self.assertEqual(got[:3], [Split([{"letter": "a"}, {"letter": "b"}]), Dropped(), Passed({"letter": "c"})])
        self.assertIn("absent or null: field=`letters`", got[3].reason)

    def test_every_row_may_be_rejected(self):
        nan = {"total": float("nan")}
        self.assertEqual(run(Big, {"at_least": 1}, [nan, {"total": 1}, nan]), [Rejected("no number"), Passed({"total": 1}), Rejected("no number")])
        self.assertEqual(run(Big, {"at_least": 1}, []), [])

    def test_settings_are_checked(self):
        self.assertEqual(refusal(Big, {"at_least": -1}), "at_least is negative")
        self.assertEqual(refusal(Big, {}), "missing setting `at_least`")
        self.assertEqual(refusal(Big, {"at_least": True}), "the setting `at_least` is true or false, expected a number")
        self.assertEqual(refusal(same, {"a": 1}), "unknown setting `a`: this plugin has no settings")
        self.assertEqual(ports(Big, {"at_least": 1, "of": "a.b"}).reads, [Field("a.b", "float", True)])
        self.assertEqual(refusal(Big, {"at_least": 1, "of": ""}), "the path of the field amount is '', not a text")

    def test_the_number_of_fields_may_be_a_setting(self):
        got = run(Shout, {"fields": ["a", "b.c"]}, [{"a": "x", "b": {"c": "é"}}, {"a": "y"}])
        self.assertEqual(got, [Passed({"a": "X", "b": {"c": "É"}}), Passed({"a": "Y"})])
        self.assertEqual(refusal(Shout, {"fields": ["a", "a"]}), "field=`a` is written twice")

    def test_a_value_that_does_not_fit_rejects_its_row(self):
        for value, reason in [
            (17, "field=`said`: is written as str, but the plugin gave int"),
            ("\ud800", "surrogates not allowed"),
        ]:

            @enrich
            def odd(row: Maybe) -> list[Said]:
                return [Said("fine"), Said(value)] if row.count == 1 else [Said("fine")]

            got = run(odd, {}, [{"count": 0}, {"count": 1}, {}])
            self.assertEqual((got[0], got[2]), (Passed({"count": 0, "said": "fine"}), Passed({"said": "fine"})))
            self.assertIn(reason, got[1].reason)

    def test_numbers_and_times_have_their_bounds(self):
        @fields
        class Out:
            n: int | None = None
            t: datetime | None = field(default=None)
            j: Json | None = None

        given = {"n": 2**63, "naive": datetime(2026, 1, 1), "nan": float("nan"), "json": {"a": (1, "ü")}}

        @enrich
        def out(row: Letters) -> Out:
            what, value = row.letters, given[row.letters]
            return Out(n=value) if what == "n" else Out(t=value) if what == "naive" else Out(j=value)

        got = run(out, {}, [{"letters": what} for what in given])
        self.assertIn("field=`n`: an integer does not fit 64 bits", got[0].reason)
        self.assertIn("field=`t`: can't subtract offset-naive", got[1].reason)
        self.assertIn("field=`j`: Out of range float", got[2].reason)
        self.assertEqual(got[3], Passed({"letters": "json", "j": {"a": [1, "ü"]}}))

    def test_a_time_that_no_datetime_holds_rejects_its_row(self):
        @fields
        class Late:
            at: datetime | None
            text: str

        @filter
        def late(row: Late) -> bool:
            return row.text == "yes"

        far, no = {"at": 1e21, "text": "yes"}, {"at": 1, "text": "no"}  # the year 33658
        for given in [[{"text": "yes"}, far, no], [far, no], [no, far]]:
            got = run(late, {}, given)
            self.assertEqual(got[given.index(far)], Rejected("field=`at`: a datetime cannot hold 1000000000000000000 µs since 1970"))
            self.assertEqual(got[given.index(no)], Dropped())

    def test_an_exception_comes_through(self):
        @filter
        def broken(row: Letters) -> bool:
            return 1 / len(row.letters) > 0

        with self.assertRaises(ZeroDivisionError):
            run(broken, {}, [{"letters": "a"}, {"letters": ""}])

    def test_a_filter_gives_back_a_bool(self):
        @filter
        def forgot(row: Letters) -> bool:
            row.letters.isalpha()

        with self.assertRaisesRegex(TypeError, "True or False, not NoneType"):
            run(forgot, {}, [{"letters": "a"}])


class Declarations(unittest.TestCase):
    def test_what_is_wrong_is_said_at_once(self):
        with self.assertRaisesRegex(TypeError, "Odd.a: a field cannot be of type `list\\[str\\]`"):

            @fields
            class Odd:
                a: list[str]

        with self.assertRaisesRegex(TypeError, "Untyped.a: a field has a type"):

            @fields
            class Untyped:
                a = field(path="b")

        with self.assertRaisesRegex(TypeError, "Default.a: a field's default is None"):

            @fields
            class Default:
                a: str = "x"

        with self.assertRaisesRegex(TypeError, "cannot be asked for as `text`, only as integer, timestamp"):

            @fields
            class Kind:
                a: int = field(kind="text")

        with self.assertRaisesRegex(TypeError, "it takes one row"):

            @filter
            def untyped(row):
                return True

        with self.assertRaisesRegex(TypeError, "say what it gives back"):

            @enrich
            def silent(row: Letters):
                return None

    def test_an_object_is_a_dataclass(self):
        @fields
        class Mixed:
            a: str | None
            b: int = field(path="x.b")
            from_: str | None = None

            def both(self):
                return f"{self.a}{self.b}"

        self.assertEqual(repr(Mixed(b=1, a=None).both()), "'None1'")
        self.assertEqual(Mixed("x", 2), Mixed("x", 2, None))
        with self.assertRaises(TypeError):
            Mixed(a="x")
        self.assertEqual([slot.path for slot in Mixed.__tidegate_slots__], ["a", "x.b", "from"])


class Timestamps(unittest.TestCase):
    def test_shown_and_read_alike(self):
        for text in ["1970-01-01T00:00:00Z", "2024-02-29T23:59:59.5Z", "1969-12-31T23:59:59.999999Z", "0001-03-01T00:00:00Z"]:
            self.assertEqual(str(Timestamp.parse(text)), text)
        self.assertEqual(Timestamp.of(NOON + timedelta(seconds=1)).datetime(), NOON + timedelta(seconds=1))

    def test_offsets_and_plain_utc_are_read(self):
        expected = Timestamp.parse("2026-01-01T00:00:00Z")
        self.assertEqual(Timestamp.parse("2026-01-01T02:30:00+02:30"), expected)
        self.assertEqual(Timestamp.parse("2026-01-01 00:00:00"), expected)

    def test_no_such_time_is_none(self):
        for text in ["", "2026-02-29T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00.Z"]:
            self.assertIsNone(Timestamp.parse(text), text)


if __name__ == "__main__":
    unittest.main()
