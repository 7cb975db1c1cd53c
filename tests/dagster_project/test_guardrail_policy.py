"""A failed guardrail turns a flag off through the API, where that is wanted."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest

from dagster_project.config import OrchestrationSettings
from ingest_api.auth.roles import Role
from tests.conftest import Gateway, Valkey, fresh_settings
from tests.dagster_project.conftest import Prepared
from tests.ingest_api.serving import api_settings, bearer, serving, token_for

FLAGS = "/api/feature-flags/flags"


@dataclass(frozen=True, slots=True)
class Api:
    """A running API, and how Dagster gets in."""

    client: httpx.Client
    token: str

    @property
    def settings(self) -> OrchestrationSettings:
        return OrchestrationSettings(
            analytics_guardrail_api_url=str(self.client.base_url), analytics_guardrail_api_token=self.token
        )

    def is_on(self, flag: str) -> bool:
        answer = self.client.get(f"{FLAGS}/{flag}", headers=bearer(self.token)).raise_for_status()
        return bool(answer.json()["isEnabled"])


@pytest.fixture(scope="module")
def api(gateway: Gateway, valkey: Valkey, prepared: Prepared) -> Iterator[Api]:
    settings = api_settings(valkey.url)
    with serving(settings, fresh_settings(gateway)) as client:
        yield Api(client, token_for(settings, Role.EDITOR))


@pytest.fixture
def flag(api: Api) -> str:
    """Key of a flag that is on."""
    document = {"key": f"page_{secrets.token_hex(4)}", "name": "Page", "type": "boolean", "value": True}
    api.client.post(FLAGS, json=document, headers=bearer(api.token)).raise_for_status()
    return document["key"]


def health(flag: str, **changes: Any) -> Any:
    from dagster_project.defs.experiments.health import Health

    broken = Health(
        experiment_id="redesign",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        as_of=date(2026, 1, 2),
        srm_p_value=0.5,
        has_mismatch=False,
        has_multiple_exposures=False,
        has_unexpected_traffic=False,
        multiple_exposure_users=0,
        multiple_exposure_rate=0.0,
        estimated_rows=4,
        expected_rows=4,
        failed_guardrails=[("errors", "blue")],
        guardrail_policy="disable_flag",
        flag_key=flag,
    )
    return replace(broken, **changes)


def test_failed_guardrail_turns_the_flag_off_once_and_says_why(api: Api, flag: str) -> None:
    from dagster_project.defs.experiments.guardrail_policy import disable_flags

    disabled = [disable_flags([health(flag)], api.settings) for _ in range(2)]

    history = api.client.get(f"{FLAGS}/{flag}/history", headers=bearer(api.token)).json()["items"]
    assert disabled == [[flag], []]
    assert not api.is_on(flag)
    assert history[0]["comment"] == "Guardrail failed in the experiment redesign: errors of blue"
    assert [change["version"] for change in history] == [2, 1]


@pytest.mark.parametrize(
    "changes", [{"failed_guardrails": []}, {"guardrail_policy": "none"}, {"flag_key": ""}], ids=str
)
def test_flag_stays_on_where_nothing_failed_or_nobody_asked_for_it(
    api: Api, flag: str, changes: dict[str, Any]
) -> None:
    from dagster_project.defs.experiments.guardrail_policy import disable_flags

    disabled = disable_flags([health(flag, **changes)], api.settings)

    assert disabled == []
    assert api.is_on(flag)


def test_policy_is_off_without_a_token(api: Api, flag: str) -> None:
    from dagster_project.defs.experiments.guardrail_policy import disable_flags

    disabled = disable_flags([health(flag)], OrchestrationSettings())

    assert disabled == []
    assert api.is_on(flag)


def test_api_that_does_not_answer_keeps_nothing_from_being_computed(api: Api, flag: str) -> None:
    from dagster_project.defs.experiments.guardrail_policy import disable_flags

    away = api.settings.model_copy(update={"analytics_guardrail_api_url": "http://127.0.0.1:9"})

    assert disable_flags([health(flag)], away) == []
    assert api.is_on(flag)
