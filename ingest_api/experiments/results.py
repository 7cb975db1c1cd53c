"""Results of one experiment, from the marts that dbt and the statistics have filled."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any

from flags.experiment_model import Experiment
from ingest_api.errors import InputInvalid
from ingest_api.experiments.result_documents import (
    DayResult,
    MetricResult,
    Results,
    SegmentResult,
    VariantResult,
    VerdictDocument,
    clean,
    interval_of,
)
from ingest_api.experiments.result_health import health_of
from ingest_api.experiments.verdict import NOT_COMPUTED, Finding, Situation, Verdict, judged, verdict_of
from ingest_api.mart_tables import data_until, read_marts
from ingest_api.warehouse_reader import WarehouseReader, statement

MOST_ROWS = 20_000
LAST_DAY = date(2100, 12, 31)


@dataclass(frozen=True, slots=True)
class Question:
    """Which results are wanted."""

    as_of: date | None = None
    """The last day with results until this one; None is the last that is over."""
    dimension: str = ""
    """Also by the values of this attribute."""
    metric_id: str = ""
    """Only of this metric."""
    start: date | None = None
    """Also of each day from here on; None is of none."""
    end: date = LAST_DAY


@dataclass(frozen=True, slots=True)
class AsOf:
    """The day that is answered."""

    day: date | None
    is_complete: bool = False
    computed_at: datetime | None = None
    data_until: datetime | None = None


class ResultTables:
    """The tables of results of one environment. Every method may raise what `read_marts` does."""

    def __init__(self, warehouse: WarehouseReader) -> None:
        self._warehouse = warehouse

    async def as_of(self, experiment_id: str, asked: date | None = None) -> AsOf:
        """The last computed day until the one that is asked for; without one the last that is over, if one is.

        Where nothing is computed, it is the last day of which users are counted.
        """
        until = await data_until(self._warehouse, "experiment_exposures_daily")
        days = await self._rows("days.sql", experiment_id=experiment_id, as_of=asked or LAST_DAY)
        computed = [one for one in days if one["computed_at"] is not None]
        complete = [one for one in computed if _is_over(one["as_of_date"], one["computed_at"], until)]
        for found in (complete if asked is None else [], computed, days):
            if found:
                return AsOf(found[0]["as_of_date"], found[0] in complete, found[0]["computed_at"], until)
        return AsOf(None, data_until=until)

    async def rows(self, experiment_id: str, question: Question, start: date, end: date) -> list[dict[str, Any]]:
        """Rows of `experiment_results` from one day to another.

        Raises:
            InputInvalid: they are too many for one answer.
        """
        rows = await self._rows(
            "results.sql",
            experiment_id=experiment_id,
            dimension=question.dimension,
            metric_id=question.metric_id,
            start=start,
            end=end,
            limit=MOST_ROWS + 1,
        )
        if len(rows) > MOST_ROWS:
            raise InputInvalid(f"These are more than {MOST_ROWS:,} rows: name a metricId, or a shorter period.")
        return rows

    async def exposures(self, experiment_id: str, as_of: date) -> list[dict[str, Any]]:
        """Who came to each variant until a day."""
        return await self._rows("exposures.sql", experiment_id=experiment_id, as_of=as_of)

    async def new_users(self, experiment_id: str, day: date) -> int:
        """Users who were first exposed to an experiment on a day."""
        [row] = await self._rows("new_users.sql", experiment_id=experiment_id, day=day)
        return int(row["users"] or 0)

    async def visitors(self, day: date) -> int:
        """Visitors of a day."""
        [row] = await self._rows("visitors.sql", day=day)
        return int(row["users"] or 0)

    async def _rows(self, sql_file: str, **parameters: object) -> list[dict[str, Any]]:
        named = {"marts": self._warehouse.settings.database("marts"), **parameters}
        return await read_marts(self._warehouse, statement("ingest_api.experiments", sql_file), named)


async def results_of(tables: ResultTables, experiment: Experiment, question: Question) -> Results:
    """What came of an experiment; errors as those of `ResultTables`."""
    as_of = await tables.as_of(experiment.key, question.as_of)
    rows: list[dict[str, Any]] = []
    series: list[dict[str, Any]] = []
    exposures = await tables.exposures(experiment.key, as_of.day or question.as_of or LAST_DAY)
    if as_of.day is not None:
        # Of all metrics: the verdict is on the experiment, whichever metric is shown.
        rows = await tables.rows(experiment.key, replace(question, metric_id=""), as_of.day, as_of.day)
        if question.start is not None:
            days = replace(question, dimension="")
            series = await tables.rows(experiment.key, days, question.start, min(question.end, as_of.day))
    overall = [row for row in rows if not row["dimension"]]
    situation, findings = situation_of(experiment, overall), findings_of(experiment, overall)
    verdict = _verdict(experiment, situation, findings, overall)
    verdicts = {key: judged(situation, one) for key, one in findings.items()}
    shown = [row for row in rows if question.metric_id in ("", row["metric_id"])]
    return Results(
        experiment_id=experiment.key,
        name=experiment.name,
        status=experiment.status,
        hypothesis=experiment.hypothesis,
        verdict=VerdictDocument.of(verdict),
        as_of=as_of.day,
        is_complete=as_of.is_complete,
        computed_at=as_of.computed_at,
        data_until=as_of.data_until,
        engine_version=next((row["engine_version"] for row in overall if row["engine_version"]), None),
        health=health_of(experiment, overall, exposures, is_complete=as_of.is_complete or as_of.day is None),
        metrics=_metrics(experiment, (row for row in shown if not row["dimension"]), verdicts),
        segments=[
            SegmentResult(dimension=name, value=value, metrics=_metrics(experiment, found))
            for (name, value), found in groupby(
                (row for row in shown if row["dimension"]), key=lambda row: (row["dimension"], row["dimension_value"])
            )
        ],
        series=[
            DayResult(as_of=day, metrics=_metrics(experiment, found))
            for day, found in groupby(series, key=lambda row: row["as_of_date"])
        ],
    )


def situation_of(experiment: Experiment, rows: Sequence[Mapping[str, Any]]) -> Situation:
    """What rows of all users at one day say of the experiment as a whole."""
    users = {row["variant_id"]: row["users"] for row in rows}
    return Situation(
        has_started=experiment.started_at is not None,
        has_ended=experiment.ended_at is not None,
        users=sum(users.values()),
        planned_users=experiment.planned_users,
        srm_detected=any(row["srm_detected"] for row in rows),
        srm_p_value=next((clean(row["srm_p_value"]) for row in rows if row["srm_p_value"] is not None), None),
        control_name=experiment.control.name,
    )


def findings_of(experiment: Experiment, rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Finding]:
    """What each row of a variant other than the control says, by metric and variant."""
    metrics = {one.id: one for one in experiment.metrics}
    return {
        (row["metric_id"], row["variant_id"]): Finding(
            metric_id=row["metric_id"],
            metric_name=row["metric_name"],
            variant_id=row["variant_id"],
            variant_name=row["variant_name"],
            users=row["users"],
            control_users=row["control_users"],
            is_rate=row["metric_type"] == "conversion",
            is_increase_good=row["metric_id"] not in metrics or metrics[row["metric_id"]].direction == "increase",
            difference=clean(row["absolute_difference"]),
            interval=interval_of(row, "confidence_interval"),
            lift=clean(row["relative_lift"]),
            lift_interval=interval_of(row, "relative_confidence_interval"),
            sequential_interval=interval_of(row, "sequential_confidence_interval"),
            sequential_lift_interval=interval_of(row, "sequential_relative_confidence_interval"),
            is_significant=row["is_significant"],
            is_significant_sequential=row["is_significant_sequential"],
            guardrail_status=row["guardrail_status"] or ("inconclusive" if row["metric_role"] == "guardrail" else None),
            required_users=clean(row["required_users"]),
            status=NOT_COMPUTED if row["computed_at"] is None else row["status"] or "ok",
            failures=tuple(row["validation_failures"]),
            is_reliable=row["is_reliable"] is not False,
        )
        for row in rows
        if not row["is_control"]
    }


def _verdict(
    experiment: Experiment,
    situation: Situation,
    findings: Mapping[tuple[str, str], Finding],
    rows: Iterable[Mapping[str, Any]],
) -> Verdict:
    """By the first primary metric; without one by the first goal, or else by the first metric that is no guardrail."""
    roles = {row["metric_id"]: row["metric_role"] for row in rows}
    measured = [one for one in experiment.metrics if one.id in roles]
    ranked = sorted(
        (one for one in measured if one.role != "guardrail"), key=lambda one: (not one.is_primary, one.role != "goal")
    )
    goal = ranked[0].id if ranked else ""
    return verdict_of(
        situation,
        [one for (metric_id, _), one in findings.items() if metric_id == goal],
        [one for (metric_id, _), one in findings.items() if roles[metric_id] == "guardrail"],
    )


def _metrics(
    experiment: Experiment,
    rows: Iterable[Mapping[str, Any]],
    verdicts: Mapping[tuple[str, str], Verdict] | None = None,
) -> list[MetricResult]:
    """Rows of one day and segment by metric, in the order of the definition; the control comes first."""
    order = {one.id: place for place, one in enumerate(experiment.metrics)}
    places = {one.id: (not one.is_control, place) for place, one in enumerate(experiment.variants)}
    sorted_rows = sorted(
        rows,
        key=lambda row: (
            order.get(row["metric_id"], len(order)),
            row["metric_id"],
            places.get(row["variant_id"], (True, len(places))),
            row["variant_id"],
        ),
    )
    return [
        MetricResult(
            **{name: first[name] for name in MetricResult.model_fields if name != "variants"},
            variants=[
                VariantResult.of(row, (verdicts or {}).get((key, row["variant_id"]))) for row in (first, *others)
            ],
        )
        for key, (first, *others) in groupby(sorted_rows, key=lambda row: row["metric_id"])
    ]


def _is_over(day: date, computed_at: datetime, until: datetime | None) -> bool:
    known = computed_at if until is None else min(computed_at, until)
    return day < known.astimezone(UTC).date()
