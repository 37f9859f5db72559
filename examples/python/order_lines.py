"""Makes a record for each line of an order: what it costs, and when it is due."""

from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from tidegate_sdk import Json, Reject, enrich, field, fields

CENT = Decimal("0.01")


@fields
class Order:
    ordered_at: datetime
    lines: Json
    discount: float | None = field(path="customer.discount")


@fields
class Line:
    article: str = field(path="line.article")
    total: float = field(path="line.total")
    due: datetime = field(path="line.due")
    note: str | None = field(path="line.note")
    lines: Json | None = None  # the order's own goes


@enrich
def order_lines(order: Order) -> list[Line]:
    lines = order.lines.parse()
    if not isinstance(lines, list):
        raise Reject("`lines` is no list")
    return [made(order, line) for line in lines]


def made(order: Order, line: dict) -> Line:
    if "price" not in line:
        raise Reject(f"a line without a price: {line.get('article')}")
    total = Decimal(str(line["price"])) * line.get("count", 1)
    if order.discount is not None:
        total -= total * Decimal(str(order.discount))
    return Line(
        article=line["article"].strip(),
        total=float(total.quantize(CENT, ROUND_HALF_EVEN)),
        due=order.ordered_at + timedelta(days=line.get("days", 1)),
        note=line.get("note"),
    )
