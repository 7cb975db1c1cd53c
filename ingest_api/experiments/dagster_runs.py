"""Starting a job in Dagster, as the button in its page does, so that the run shows up there."""

from dataclasses import dataclass
from typing import Any

import httpx
import structlog

from ingest_api.errors import DagsterAway

RESULTS_JOB = "experiment_results_job"
_LOCATION, _REPOSITORY = "dagster_project.definitions", "__repository__"
_ANSWER_SECONDS = 15.0
_LAUNCH = """
mutation Launch($selector: JobOrPipelineSelector!) {
  launchRun(executionParams: {selector: $selector, runConfigData: {}}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on PipelineNotFoundError { message }
  }
}
"""
_UNKNOWN_JOB = "PipelineNotFoundError"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run that Dagster has taken on."""

    run_id: str
    url: str
    """Its page."""


class DagsterRuns:
    """Dagster's webserver, reached over GraphQL."""

    def __init__(self, url: str) -> None:
        """`url` is the webserver's, empty where there is none."""
        self._url = url.rstrip("/")

    async def start(self, job: str) -> StartedRun:
        """Start a job with its defaults.

        Raises:
            DagsterAway: nobody knows where Dagster is, it does not answer, or it does not start the job.
        """
        if not self._url:
            raise DagsterAway("ANALYTICS_DAGSTER_URL does not say where Dagster is; its schedule runs all the same.")
        selector = {"repositoryLocationName": _LOCATION, "repositoryName": _REPOSITORY, "jobName": job}
        answer = await self._ask(_LAUNCH, {"selector": selector})
        kind = answer.get("__typename")
        if kind != "LaunchRunSuccess":
            log.warning("dagster_refused", job=job, answer=kind, reason=answer.get("message"))
            advice = "it does not know this job, or is still loading" if kind == _UNKNOWN_JOB else f"it answered {kind}"
            raise DagsterAway(f"Dagster did not start {job}: {advice}.")
        run_id = str(answer["run"]["runId"])
        return StartedRun(run_id, f"{self._url}/runs/{run_id}")

    async def _ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        try:
            async with httpx.AsyncClient(timeout=_ANSWER_SECONDS, trust_env=False) as client:
                response = await client.post(f"{self._url}/graphql", json={"query": query, "variables": variables})
                response.raise_for_status()
                found: dict[str, Any] = response.json()["data"]["launchRun"]
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
            log.warning("dagster_unavailable", reason=f"{type(error).__name__}: {error}")
            raise DagsterAway("Dagster does not answer; its schedule computes the results anyway.") from error
        return found
