"""Whether the result of an experiment can be trusted."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flags.experiment_model import Experiment
from ingest_api.experiments.effect_texts import p_text
from ingest_api.experiments.result_documents import Health, MultipleExposures, SampleRatio, VariantTraffic, clean

ALARMING_RATE, ALARMING_USERS = 0.01, 10
"""More users than both of these saw several variants: as GrowthBook warns."""


def health_of(
    experiment: Experiment,
    rows: Sequence[Mapping[str, Any]],
    exposures: Sequence[Mapping[str, Any]],
    *,
    is_complete: bool,
) -> Health:
    """The health of an experiment.

    Args:
        experiment: its definition.
        rows: of `experiment_results`, of all users at one day.
        exposures: rows of `sql/exposures.sql`.
        is_complete: whether all of the day is in the numbers.
    """
    p_value = next((clean(row["srm_p_value"]) for row in rows if row["srm_p_value"] is not None), None)
    by_variant = {row["variant_id"]: row for row in exposures}
    several = sum(row["users_of_several"] for row in exposures)
    counted = sum(row["users"] for row in exposures)
    rate = several / (several + counted) if several + counted else None
    traffic = [_traffic(one.id, by_variant.get(one.id)) for one in experiment.variants]
    health = Health(
        srm=SampleRatio(
            p_value=p_value,
            p_value_text=None if p_value is None else p_text(p_value),
            detected=any(row["srm_detected"] for row in rows),
        ),
        variants=traffic,
        multiple_exposures=MultipleExposures(
            users=several, rate=rate, is_alarming=several > ALARMING_USERS and (rate or 0) > ALARMING_RATE
        ),
        unknown_variant_users=sum(row["users_of_unknown"] for row in exposures),
        warnings=[],
    )
    return health.model_copy(update={"warnings": list(_warnings(experiment, health, is_complete))})


def _traffic(variant_id: str, row: Mapping[str, Any] | None) -> VariantTraffic:
    return VariantTraffic(
        variant_id=variant_id,
        users=0 if row is None else row["users"],
        expected_users=None if row is None else clean(row["users_expected"]),
        unexpected_users=0 if row is None else row["users_unexpected"],
    )


def _warnings(experiment: Experiment, health: Health, is_complete: bool) -> Iterator[str]:
    if health.srm.detected:
        said = "" if health.srm.p_value_text is None else f" (p = {health.srm.p_value_text})"
        yield f"Users are not split as they were to be{said}: find out why before reading anything"
    several = health.multiple_exposures
    if several.is_alarming:
        yield f"{several.users:,} users ({several.rate:.1%}) saw more than one variant; they are left out"
    if health.unknown_variant_users:
        yield f"{health.unknown_variant_users:,} users saw a variant that is none of these; they are left out"
    names = {one.id: one.name for one in experiment.variants}
    for one in health.variants:
        if one.unexpected_users:
            name = names[one.variant_id]
            yield f"{one.unexpected_users:,} users came to {name} while it was to get nobody"
    if not is_complete:
        yield "The last day is not over yet: its numbers still grow"
