"""The queries whose answers are compared: only tables that dbt builds, no raw events."""

from decimal import Decimal
from typing import Any

from command_line.verification.figures import Number
from warehouse.client import Client
from warehouse.config import WarehouseSettings

_SESSIONS = """
SELECT
    toInt64(count()) AS sessions,
    avg(duration_seconds) AS avg_duration_s,
    quantileExactInclusive(0.5)(duration_seconds) AS median_duration_s,
    toInt64(countIf(is_bounce)) AS bounced_sessions,
    countIf(is_bounce) / count() AS bounce_rate,
    avg(event_count) AS avg_events_per_session,
    quantileExactInclusive(0.5)(toFloat64(event_count)) AS median_events_per_session,
    avgIf(duration_seconds, NOT is_bounce) AS avg_duration_s_excluding_bounces,
    max(duration_seconds) AS max_duration_s,
    toInt64(max(event_count)) AS max_events_per_session,
    count() / uniqExact(visitor_id) AS sessions_per_user
FROM {marts:Identifier}.sessions
"""
_REVENUE_BY = "SELECT %s, sum(%s) FROM {marts:Identifier}.revenue_daily GROUP BY 1"
_ACTIVITY = "SELECT activity_date, %s FROM {marts:Identifier}.active_users_daily"
_FUNNEL = """
SELECT step, countIf(level >= step)
FROM (
    SELECT visitor_id, max(level) AS level FROM {intermediate:Identifier}.int_funnel_visitors FINAL
    WHERE funnel_name = {funnel:String} GROUP BY visitor_id
)
ARRAY JOIN range(1, {steps:UInt8} + 1) AS step
GROUP BY step ORDER BY step
"""


_RESULTS = """
SELECT
    results.*, moments.covariate_sum AS covariate_sum, moments.capped_users AS capped_users
FROM {marts:Identifier}.experiment_results AS results
INNER JOIN {marts:Identifier}.experiment_metric_aggregates AS moments
    USING (experiment_id, metric_id, variant_id, dimension, dimension_value, as_of_date)
WHERE dimension = '' ORDER BY as_of_date
"""


class Marts:
    """What dbt has built of one data set."""

    def __init__(self, client: Client, settings: WarehouseSettings) -> None:
        self._client = client
        self._parameters = {
            "marts": settings.database("marts"),
            "intermediate": settings.database("intermediate"),
            "staging": settings.database("staging"),
        }

    def one(self, sql: str) -> Number:
        """Return the single number that a query selects."""
        number: Number = self._client.query(sql, parameters=self._parameters).result_rows[0][0]
        return number

    def series(self, sql: str) -> dict[str, Number]:
        """Return the numbers that a query selects beside their labels."""
        rows = self._client.query(sql, parameters=self._parameters).result_rows
        return {str(label): number for label, number in rows}

    def row(self, sql: str, **parameters: Any) -> dict[str, Number]:
        """Return the numbers of the single row that a query selects, by their names."""
        answer = self._client.query(sql, parameters={**self._parameters, **parameters})
        return dict(zip(answer.column_names, answer.result_rows[0], strict=True))

    def session_figures(self) -> dict[str, Number]:
        """Return the key figures of all sessions under the references' names."""
        return self.row(_SESSIONS)

    def visitors_by_step(self, funnel: str, steps: list[str]) -> dict[str, Number]:
        """Return how many visitors ever reached each step, each visitor once however often one entered."""
        parameters = {**self._parameters, "funnel": funnel, "steps": len(steps)}
        counts = self._client.query(_FUNNEL, parameters=parameters).result_rows
        return {step: int(count) for step, (_, count) in zip(steps, counts, strict=True)}

    def daily_activity(self, column: str) -> dict[str, Number]:
        """Return a column of `active_users_daily` by day, which lists empty days too."""
        return self.series(_ACTIVITY % column)

    def revenue_by(self, period: str, column: str) -> dict[str, Number]:
        """Return a column of `revenue_daily` summed by a period, an expression over `revenue_date`."""
        return self.series(_REVENUE_BY % (period, column))

    def revenue(self, column: str) -> Decimal:
        """Return the sum of a column of `revenue_daily`."""
        return sum((Decimal(str(amount)) for amount in self.revenue_by("''", column).values()), Decimal(0))

    def latest_results(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the rows of `experiment_results` of all users on the last day, by metric and variant."""
        answer = self._client.query(_RESULTS, parameters=self._parameters)
        rows = [dict(zip(answer.column_names, row, strict=True)) for row in answer.result_rows]
        return {(row["metric_id"], row["variant_id"]): row for row in rows}
