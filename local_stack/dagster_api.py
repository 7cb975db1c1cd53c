"""Starts a Dagster job through the webserver, as the button in its page does, so that the run shows up there."""

import time
from collections.abc import Callable
from typing import Any

import httpx

from local_stack.processes import DEFINITIONS

POLL_SECONDS = 0.5
LOCATION_TIMEOUT_SECONDS = 90
RUN_TIMEOUT_SECONDS = 600

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
_STATUS = """
query Status($runId: ID!) { runOrError(runId: $runId) { __typename ... on Run { status } } }
"""
_UNLOADED = "PipelineNotFoundError"
_FINAL = {"SUCCESS", "FAILURE", "CANCELED"}


class RunFailed(RuntimeError):
    """The run did not start or did not succeed."""


class DagsterApi:
    """The part of the webserver's GraphQL that starting a job and watching it takes."""

    def __init__(self, url: str, pulse: Callable[[], None]) -> None:
        self._url = url
        self._pulse = pulse
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def __enter__(self) -> "DagsterApi":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def launch(self, job: str) -> str:
        """Start a job and return the run's id; waits while the webserver still loads the definitions.

        Raises:
            RunFailed: Dagster refuses, does not answer, or does not know the job after a while.
        """
        selector = {"repositoryLocationName": DEFINITIONS, "repositoryName": "__repository__", "jobName": job}
        deadline = time.monotonic() + LOCATION_TIMEOUT_SECONDS
        while True:
            answer = self._ask(_LAUNCH, {"selector": selector})["launchRun"]
            if answer["__typename"] == "LaunchRunSuccess":
                return str(answer["run"]["runId"])
            if answer["__typename"] != _UNLOADED or time.monotonic() > deadline:
                raise RunFailed(f"Dagster did not start {job}: {answer.get('message', answer['__typename'])}")
            self._wait()

    def wait_for_success(self, run_id: str) -> None:
        """Wait for a run to succeed.

        Raises:
            RunFailed: Dagster does not answer, or the run failed, was cancelled, or takes over `RUN_TIMEOUT_SECONDS`.
        """
        page = f"{self._url}/runs/{run_id}"
        deadline = time.monotonic() + RUN_TIMEOUT_SECONDS
        while (status := self._ask(_STATUS, {"runId": run_id})["runOrError"].get("status")) not in _FINAL:
            if time.monotonic() > deadline:
                raise RunFailed(f"The run still has the status {status} after {RUN_TIMEOUT_SECONDS} s; see {page}")
            self._wait()
        if status != "SUCCESS":
            raise RunFailed(f"The run ended with {status}; see {page}")

    def _wait(self) -> None:
        self._pulse()
        time.sleep(POLL_SECONDS)

    def _ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = self._client.post("/graphql", json={"query": query, "variables": variables})
            answer.raise_for_status()
        except httpx.HTTPError as error:
            # Says which process has ended, if that is the reason.
            self._pulse()
            raise RunFailed(f"Dagster's page at {self._url} does not answer: {error}") from error
        content = answer.json()
        if errors := content.get("errors"):
            raise RunFailed(f"Dagster's GraphQL answered: {errors[0]['message']}")
        data: dict[str, Any] = content["data"]
        return data
