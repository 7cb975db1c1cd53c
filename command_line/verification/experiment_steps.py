"""What an experiment takes beyond its events: a definition before them, and statistics after the marts."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import msgspec

from command_line.api_connection import ApiAway, ApiConnection, problem_in
from local_stack.config import PROJECT_ROOT
from local_stack.process import ProcessFailed, Program
from local_stack.processes import DEFINITIONS, Programs, console_script
from local_stack.stack import Stack
from local_stack.state_directory import Access

JOB = "experiment_results_job"
PATIENCE_SECONDS = 60.0
JOB_TIMEOUT_SECONDS = 900


def start_experiment(body: Mapping[str, Any], access: Access) -> None:
    """Create an experiment over HTTP.

    Raises:
        ProcessFailed: the API does not answer, or refuses it.
    """
    with closing(ApiConnection(access.api_url, access.token, PATIENCE_SECONDS)) as api:
        try:
            answer = api.post("/api/feature-flags/ab-tests", msgspec.json.encode(body))
        except ApiAway as error:
            raise ProcessFailed(str(error)) from error
    if answer.is_error:
        raise ProcessFailed(f"the experiment was refused: {problem_in(answer)}")


def compute_results(stack: Stack, programs: Programs) -> None:
    """Run the job that takes in what has arrived and computes the results of all experiments."""
    for task in stack.launch(programs.dagster_preparation()):
        stack.finish(task)
    job = Program(
        name=JOB,
        command=[console_script("dagster"), "job", "execute", "-m", DEFINITIONS, "-j", JOB],
        environment=programs.environment,
        log_path=programs.state.log_path(JOB),
        directory=PROJECT_ROOT,
        start_timeout_seconds=JOB_TIMEOUT_SECONDS,
        is_task=True,
    )
    for task in stack.launch(job):
        stack.finish(task)
