"""Asking Dagster's webserver for runs when it is not there."""

import pytest

from local_stack.dagster_api import DagsterApi, RunFailed
from local_stack.ports import free_port
from local_stack.process import ProcessFailed


def test_launch_fails_in_one_sentence_when_the_page_does_not_answer() -> None:
    url = f"http://127.0.0.1:{free_port()}"

    with DagsterApi(url, lambda: None) as dagster, pytest.raises(RunFailed) as failed:
        dagster.launch("hourly_marts_job")

    assert str(failed.value).startswith(f"Dagster's page at {url} does not answer")


def test_the_end_of_a_process_is_named_before_the_silence_of_the_page() -> None:
    def pulse() -> None:
        raise ProcessFailed("dagster-web was killed")

    with DagsterApi(f"http://127.0.0.1:{free_port()}", pulse) as dagster, pytest.raises(ProcessFailed):
        dagster.wait_for_success("some-run")
