"""Plans of experiments, with what the marts know of baselines and traffic."""

from contextlib import suppress
from datetime import date, timedelta
from typing import Literal, TypeAlias

from flags.experiment_model import Experiment, MetricType
from ingest_api.errors import FieldError, InputInvalid, Unavailable
from ingest_api.experiments.plan_documents import DetectableEffect, PlanAnswer, PlanRequest
from ingest_api.experiments.planning import Baseline, plan_of
from ingest_api.experiments.results import Question, ResultTables

Traffic: TypeAlias = Literal["given", "experiment", "visitors", "unknown"]
_ALPHA = 0.05


async def planned(tables: ResultTables, asked: PlanRequest, experiment: Experiment | None, today: date) -> PlanAnswer:
    """The plan that was asked for.

    Args:
        tables: the marts.
        asked: the request.
        experiment: the one that it names.
        today: UTC.

    Raises:
        InputInvalid: it does not say what the metric is without a change, or what cannot be.
        Unavailable: the baseline of the experiment cannot be read.
    """
    baseline, kind = await _baseline(tables, asked, experiment)
    users_per_day, traffic = await _traffic(tables, asked, experiment, today - timedelta(days=1))
    alpha = asked.alpha or (_ALPHA if experiment is None else round(1 - experiment.confidence_level, 12))
    effect = asked.minimum_detectable_effect
    plan = plan_of(baseline, effect, _shares(asked, experiment), users_per_day, alpha=alpha, power=asked.power)
    return PlanAnswer(
        users_per_variant=max(plan.users),
        users_by_variant=list(plan.users),
        total_users=plan.total_users,
        days=plan.days,
        users_per_day=users_per_day,
        traffic=traffic,
        baseline=baseline.mean,
        variance=baseline.variance,
        type=kind,
        minimum_detectable_effect=effect,
        power=asked.power,
        alpha=alpha,
        detectable_after=[
            DetectableEffect(days=one.days, total_users=one.users, minimum_detectable_effect=one.lift)
            for one in plan.detectable
        ],
    )


def _shares(asked: PlanRequest, experiment: Experiment | None) -> list[float]:
    """Of the control first. A variant that gets nobody is not planned for."""
    if experiment is None:
        return [1 / asked.variants] * asked.variants
    shares = experiment.shares()
    control = shares.pop(experiment.control.id)
    others = [one for one in shares.values() if one > 0]
    if not control or not others:
        raise _wrong("experimentId", "names an experiment whose control or variants get nobody")
    return [control, *others]


async def _baseline(
    tables: ResultTables, asked: PlanRequest, experiment: Experiment | None
) -> tuple[Baseline, MetricType]:
    if asked.baseline is not None:
        return _given_baseline(asked, asked.baseline), asked.type
    if experiment is None:
        raise _wrong("baseline", "or experimentId is needed: what is the metric without a change?")
    wanted = asked.metric_id or next((one.id for one in experiment.metrics if one.is_primary), "")
    metric = next((one for one in experiment.metrics if one.id == wanted), None)
    if metric is None:
        raise _wrong("metricId", "names no metric of the experiment")
    as_of = await tables.as_of(experiment.key)
    rows = (
        [] if as_of.day is None else await tables.rows(experiment.key, Question(metric_id=wanted), as_of.day, as_of.day)
    )
    control = next((row for row in rows if row["is_control"]), None)
    if control is None or control["mean"] is None or control["std_dev"] is None:
        raise _wrong("baseline", f"is needed: nothing is known of {wanted} in this experiment yet")
    return Baseline(control["mean"], control["std_dev"] ** 2, metric.type == "conversion"), metric.type


def _given_baseline(asked: PlanRequest, mean: float) -> Baseline:
    if asked.type != "conversion":
        if asked.variance is None:
            raise _wrong("variance", f"is needed for a metric of type {asked.type}")
        return Baseline(mean, asked.variance)
    if not 0 < mean < 1:
        raise _wrong("baseline", "of a conversion is a rate between 0 and 1")
    if asked.variance is not None:
        raise _wrong("variance", "of a conversion follows from its rate; leave it out")
    return Baseline(mean, mean * (1 - mean), is_rate=True)


async def _traffic(
    tables: ResultTables, asked: PlanRequest, experiment: Experiment | None, yesterday: date
) -> tuple[float | None, Traffic]:
    """New users a day, and whence that is known. Where the marts do not answer it is not, and the plan has no days."""
    if asked.users_per_day is not None:
        return asked.users_per_day, "given"
    with suppress(Unavailable):
        if experiment is not None and (users := await tables.new_users(experiment.key, yesterday)):
            return users, "experiment"
        if visitors := await tables.visitors(yesterday):
            return visitors * (1 if experiment is None else experiment.coverage) or None, "visitors"
    return None, "unknown"


def _wrong(field: str, message: str) -> InputInvalid:
    return InputInvalid(f"{field} {message}.", errors=[FieldError(field, message)])
