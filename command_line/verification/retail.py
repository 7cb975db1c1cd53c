"""Revenue, orders and customers of a wholesaler, in the references and in the marts."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from command_line.verification.figures import Figure, Number, Series
from command_line.verification.marts import Marts

Results = Mapping[str, Any]

_MONTH = "formatDateTime({}, '%Y-%m')"
_KNOWN = "FROM {marts:Identifier}.orders WHERE NOT startsWith(visitor_id, 'anonymous-')"
"""Orders of customers with a number."""
_BY_DIMENSION = """
SELECT dimension_value, sum({}) FROM {{marts:Identifier}}.revenue_by_dimension_daily
WHERE dimension = '{}' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {}
"""
_NET_BY_CUSTOMER = """
SELECT visitor_id, sum(if(revenue_kind = 'refund', -abs(revenue_amount), revenue_amount)) AS net
FROM {intermediate:Identifier}.int_events FINAL
WHERE revenue_kind != '' AND NOT startsWith(visitor_id, 'anonymous-') GROUP BY 1
"""
_LAST_DATE = "(SELECT max(order_date) FROM {marts:Identifier}.orders)"
_ROLLING = (
    "SELECT arrayJoin(arrayMap(offset -> order_date + offset, range(28))) AS day, uniqExact(visitor_id) "
    f"{_KNOWN} AND day <= {_LAST_DATE} GROUP BY day"
)
_DAY_N = (
    "SELECT toInt64(uniqExactIf(visitor_id, first_order_date + {count:UInt16} <= "
    f"{_LAST_DATE})) AS eligible_users, "
    "toInt64(uniqExactIf(visitor_id, order_date = first_order_date + {count:UInt16})) AS retained "
    f"{_KNOWN}"
)
_ACTIVITY_COLUMNS = {
    "gross_revenue": "gross_revenue_amount",
    "refunds": "refund_amount",
    "net_revenue": "net_revenue_amount",
    "orders": "order_count",
    "refund_invoices": "refund_count",
}


def retail_figures(marts: Marts, results: Results) -> Iterator[Figure | Series]:
    """Compare revenue, refunds, orders, products and customers of invoice lines, in all, by month and by day."""
    lines = {kind: line["lines"] for kind, line in results["lines"].items()}
    by_name = marts.series("SELECT event_name, sum(event_count) FROM {marts:Identifier}.events_daily GROUP BY 1")
    yield Series("lines by kind", lines, by_name)
    yield from _totals(marts, results["revenue"], int(by_name["sale"]))
    for answers, period in (("by_month", _MONTH), ("by_day", "toString({})")):
        expected = {entry["period"]: entry for entry in results[answers]}
        for name, column in _ACTIVITY_COLUMNS.items():
            found = marts.revenue_by(period.format("revenue_date"), column)
            yield Series(f"{answers}: {name}", _column(expected, name), found)
        for name, of_customers in (
            ("customers", "uniqExact(visitor_id)"),
            ("identified_gross_revenue", "sum(gross_revenue_amount)"),
        ):
            found = marts.series(f"SELECT {period.format('order_date')}, {of_customers} {_KNOWN} GROUP BY 1")
            yield Series(f"{answers}: {name}", _column(expected, name), found)
    yield from _top_lists(marts, results)
    yield from _customers(marts, results)
    yield from _order_stream(marts, results["order_stream_activity"])


def _totals(marts: Marts, revenue: Results, line_count: int) -> Iterator[Figure]:
    gross, orders = marts.revenue("gross_revenue_amount"), marts.revenue("order_count")
    units = marts.one(
        "SELECT sum(quantity) FROM {marts:Identifier}.revenue_by_dimension_daily WHERE dimension = 'product'"
    )
    refunds = marts.revenue("refund_amount")
    found: dict[str, Number] = {
        "gross_revenue": gross,
        "refunds": refunds,
        "net_revenue": marts.revenue("net_revenue_amount"),
        "refund_rate": float(refunds / gross),
        "orders": orders,
        "units": units,
        "aov": float(gross / orders),
        "median_order_value": marts.one(
            "SELECT quantileExactInclusive(0.5)(toFloat64(gross_revenue_amount)) FROM {marts:Identifier}.orders"
        ),
        "items_per_order": float(Decimal(units) / orders),
        "lines_per_order": float(line_count / orders),
    }
    for name, number in found.items():
        yield Figure(name.replace("_", " "), revenue[name], number)
    known = marts.row(
        "SELECT sum(gross_revenue_amount) AS gross_revenue, toInt64(count()) AS orders, "
        "toInt64(uniqExact(visitor_id)) AS customers, toInt64(countIf(order_number = 2)) AS repeat_customers, "
        f"toFloat64(gross_revenue) / customers AS arpu, orders / customers AS orders_per_customer, "
        f"repeat_customers / customers AS repeat_customer_rate {_KNOWN}"
    )
    for name, number in known.items():
        yield Figure(f"identified: {name}", revenue["identified"][name], number)


def _top_lists(marts: Marts, results: Results) -> Iterator[Series]:
    for answers, label, dimension, columns in (
        ("top_products_by_revenue", "stock_code", "product", {"revenue": "gross_revenue_amount"}),
        ("top_products_by_units", "stock_code", "product", {"units": "quantity"}),
        ("top_countries_by_revenue", "country", "country", {"gross_revenue": "gross_revenue_amount"}),
    ):
        expected = {entry[label]: entry for entry in results[answers]}
        for name, column in columns.items():
            found = marts.series(_BY_DIMENSION.format(column, dimension, len(expected)))
            yield Series(answers.replace("_", " "), _column(expected, name), found)
    net = marts.series(_NET_BY_CUSTOMER)
    top = {entry["customer"]: entry["net_revenue"] for entry in results["top_customers_by_net_revenue"]}
    first = sorted(net.items(), key=lambda customer: (-customer[1], customer[0]))[: len(top)]
    yield Series("top customers by net revenue", top, dict(first))
    losing = sum(amount < 0 for amount in net.values())
    yield Series(
        "customers with negative net revenue", {"": results["customers_with_negative_net_revenue"]}, {"": losing}
    )


def _customers(marts: Marts, results: Results) -> Iterator[Figure | Series]:
    months = {entry["month"]: entry for entry in results["new_vs_returning_by_month"]}
    month, first_month = _MONTH.format("order_date"), _MONTH.format("first_order_date")
    for kind, condition in (("new", "="), ("returning", "!=")):
        for name, figure in (("customers", "uniqExact(visitor_id)"), ("revenue", "sum(gross_revenue_amount)")):
            found = marts.series(f"SELECT {month}, {figure} {_KNOWN} AND {first_month} {condition} {month} GROUP BY 1")
            yield Series(f"{kind} {name} by month", _column(months, f"{kind}_{name}"), found)
    for name, condition in (("first", "="), ("repeat", ">")):
        found_amount = marts.one(f"SELECT sum(gross_revenue_amount) {_KNOWN} AND order_number {condition} 1")
        yield Figure(f"{name} order revenue", results["first_order_vs_repeat"][f"{name}_order_revenue"], found_amount)
    cohort = f"concat({first_month}, ' +', toString(dateDiff('month', first_order_date, order_date)))"
    for name, figure in (("active", "uniqExact(visitor_id)"), ("revenue", "sum(gross_revenue_amount)")):
        expected = cohort_cells(results["monthly_customer_cohorts"], "cohort_month", name)
        yield Series(
            f"customer cohorts: {name}", expected, marts.series(f"SELECT {cohort}, {figure} {_KNOWN} GROUP BY 1")
        )


def _order_stream(marts: Marts, results: Results) -> Iterator[Figure | Series]:
    """What the reference says of a stream of orders, asked of the mart of orders."""
    week, month = "toString(toMonday({}))", _MONTH
    for adverb, period in (("weekly", week), ("monthly", month)):
        found = marts.series(f"SELECT {period.format('order_date')}, uniqExact(visitor_id) {_KNOWN} GROUP BY 1")
        yield Series(f"{adverb} buyers", results[f"{adverb}_active_users"], found)
    rolling = marts.series(_ROLLING)
    yield Series("buyers, rolling 28 days", results["rolling_28d_active_users"], rolling)
    for name, answers in results["day_n_retention"].items():
        found = marts.row(_DAY_N, count=int(name.removeprefix("day_")))
        for figure in ("eligible_users", "retained"):
            yield Figure(f"orders, {name}: {figure}", answers["calendar"][figure], found[figure])


def cohort_cells(cohorts: list[Results], label: str, figure: str) -> dict[str, Number]:
    """Return a figure of each cohort in each period since, by "<cohort> +<period>"."""
    return {f"{one[label]} +{period}": number for one in cohorts for period, number in enumerate(one[figure])}


def _column(entries: Mapping[str, Mapping[str, Number]], name: str) -> dict[str, Number]:
    return {label: entry[name] for label, entry in entries.items()}
