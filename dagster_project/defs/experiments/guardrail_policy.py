"""Turns the flag of an experiment off when a guardrail failed, where the experiment asks for it.

Through the API like anybody else: the change is in the flag's history, with who made it and why. Off unless
`ANALYTICS_GUARDRAIL_API_URL` and `ANALYTICS_GUARDRAIL_API_TOKEN` are set.
"""

from collections.abc import Iterable
from urllib.parse import quote

import httpx
import structlog

from dagster_project.config import OrchestrationSettings
from dagster_project.defs.experiments.health import Health

log = structlog.get_logger("dagster_project")

DISABLE_FLAG = "disable_flag"
TIMEOUT_SECONDS = 10.0
_ALREADY_CHANGED = 409


def disable_flags(experiments: Iterable[Health], settings: OrchestrationSettings) -> list[str]:
    """Turn off the flags of the experiments with a failed guardrail and that policy, and return which were on.

    Never raises: the estimates are right, whether the API answers or not. The next run tries again.
    """
    if not (settings.analytics_guardrail_api_url and settings.analytics_guardrail_api_token):
        return []
    disabled = []
    headers = {"Authorization": f"Bearer {settings.analytics_guardrail_api_token}"}
    with httpx.Client(
        base_url=settings.analytics_guardrail_api_url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False
    ) as api:
        for one in experiments:
            if one.guardrail_policy != DISABLE_FLAG or not one.flag_key or not one.failed_guardrails:
                continue
            try:
                if _disable(api, one):
                    disabled.append(one.flag_key)
            except httpx.HTTPError as error:
                log.error("guardrail_policy_failed", flag=one.flag_key, error=repr(error))
    return disabled


def _disable(api: httpx.Client, experiment: Health) -> bool:
    """Turn one flag off, unless it is off already or somebody changes it at this moment."""
    address = f"/api/feature-flags/flags/{quote(experiment.flag_key, safe='')}"
    flag = api.get(address).raise_for_status().json()
    if not flag["isEnabled"]:
        return False
    failed = ", ".join(f"{metric} of {variant}" for metric, variant in experiment.failed_guardrails)
    comment = f"Guardrail failed in the experiment {experiment.experiment_id}: {failed}"
    answer = api.patch(
        address, params={"comment": comment[:1000]}, json={"isEnabled": False, "version": flag["version"]}
    )
    if answer.status_code == _ALREADY_CHANGED:
        return False
    answer.raise_for_status()
    log.warning("guardrail_policy_disabled_flag", flag=experiment.flag_key, experiment=experiment.experiment_id)
    return True
