"""Starting the results job, and what is said when Dagster does not."""

from collections.abc import Iterator

import pytest

from ingest_api.auth.roles import Role
from ingest_api.errors import DagsterAway
from ingest_api.experiments.dagster_runs import RESULTS_JOB, DagsterRuns, StartedRun
from local_stack.processes import free_port
from tests.ingest_api.conftest import Api
from tests.ingest_api.experiments.conftest import TESTS
from tests.ingest_api.experiments.dagster_given import Webserver, webserver
from tests.ingest_api.experiments.experiments_made import created
from tests.ingest_api.serving import bearer, serving, token_for
from tests.ingest_api.test_errors import assert_problem

STARTED = {"__typename": "LaunchRunSuccess", "run": {"runId": "abc-1"}}


@pytest.fixture
def dagster() -> Iterator[Webserver]:
    with webserver() as found:
        yield found


async def test_job_is_started_as_the_page_does(dagster: Webserver) -> None:
    dagster.launches(STARTED)

    run = await DagsterRuns(f"{dagster.url}/").start(RESULTS_JOB)

    assert run == StartedRun("abc-1", f"{dagster.url}/runs/abc-1")
    [asked] = dagster.asked
    assert asked["path"] == "/graphql"
    assert asked["variables"]["selector"] == {
        "repositoryLocationName": "dagster_project.definitions",
        "repositoryName": "__repository__",
        "jobName": "experiment_results_job",
    }


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, '{"data": {"launchRun": {"__typename": "PipelineNotFoundError"}}}'), "does not know this job"),
        (
            (200, '{"data": {"launchRun": {"__typename": "PythonError", "message": "secret"}}}'),
            "it answered PythonError",
        ),
        ((200, '{"errors": [{"message": "secret"}], "data": null}'), "does not answer"),
        ((200, "<html>"), "does not answer"),
        ((200, "[]"), "does not answer"),
        ((502, ""), "does not answer"),
    ],
)
async def test_refusal_is_one_sentence_without_details(dagster: Webserver, answer: tuple[int, str], said: str) -> None:
    dagster.answer = answer

    with pytest.raises(DagsterAway, match=said) as refused:
        await DagsterRuns(dagster.url).start(RESULTS_JOB)

    assert "secret" not in refused.value.detail


async def test_nobody_there_is_told() -> None:
    with pytest.raises(DagsterAway, match="does not answer"):
        await DagsterRuns(f"http://127.0.0.1:{free_port()}").start(RESULTS_JOB)


async def test_address_that_nobody_gave_is_asked_for() -> None:
    with pytest.raises(DagsterAway, match="ANALYTICS_DAGSTER_URL"):
        await DagsterRuns("").start(RESULTS_JOB)


def test_refresh_answers_the_run_that_it_started(dagster: Webserver, experiments: Api) -> None:
    settings = experiments.settings.model_copy(update={"analytics_dagster_url": dagster.url, "port": free_port()})
    dagster.launches(STARTED)
    created(experiments.client)

    with serving(settings, experiments.warehouse_settings) as client:
        answer = client.post(f"{TESTS}/prices/refresh", headers=dict(experiments.client.headers))
        viewer = client.post(f"{TESTS}/prices/refresh", headers=bearer(token_for(settings, Role.VIEWER)))

    assert answer.status_code == 202
    assert answer.json() == {"runId": "abc-1", "url": f"{dagster.url}/runs/abc-1"}
    assert_problem(viewer, 403)
    assert len(dagster.asked) == 1


def test_refresh_of_what_is_there_needs_dagster(experiments: Api) -> None:
    created(experiments.client)

    away = experiments.client.post(f"{TESTS}/prices/refresh")
    unknown = experiments.client.post(f"{TESTS}/nothing/refresh")

    problem = assert_problem(away, 503, "dagster_unavailable")
    assert away.headers["retry-after"]
    assert "ANALYTICS_DAGSTER_URL" in problem["detail"]
    assert_problem(unknown, 404, "experiment_not_found")
