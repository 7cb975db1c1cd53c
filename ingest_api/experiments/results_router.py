"""`/api/feature-flags/ab-tests`: what came of an experiment, how large one must be, and computing results anew."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from flags.experiment_model import Experiment
from ingest_api.auth.permissions import CanReadAnalytics, CanWriteExperiments
from ingest_api.camel_model import CamelModel
from ingest_api.errors import FieldError, InputInvalid
from ingest_api.experiments.changing import demanded_experiment
from ingest_api.experiments.dagster_runs import RESULTS_JOB
from ingest_api.experiments.plan_answers import planned
from ingest_api.experiments.plan_documents import PlanAnswer, PlanRequest
from ingest_api.experiments.result_documents import Results
from ingest_api.experiments.results import LAST_DAY, Question, ResultTables, results_of
from ingest_api.experiments.results_csv import csv_of
from ingest_api.experiments.router import PREFIX, Id
from ingest_api.openapi import problem_responses
from ingest_api.services import services_of

router = APIRouter(prefix=PREFIX, tags=["experiments"], responses=problem_responses(400, 401, 403, 503))
_FIRST_DAY = date(1971, 1, 1)


class ResultsQuery(BaseModel):
    """Which results. An unknown parameter is refused: a misspelt one would show others than asked."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    as_of: date | None = Field(
        None, description="The last day with results until this one (UTC); by default the last day that is over"
    )
    dimension: Literal["country", "device_type", "os_name", "browser_name", "source"] | None = Field(
        None, description="Also by the values of this attribute, if the experiment's segments have it"
    )
    metric_id: str | None = Field(None, max_length=200, description="Only this metric; the verdict stays")
    series: bool = Field(False, description="Also day by day")
    start: date | None = Field(None, alias="from", description="First day of the series")
    end: date | None = Field(None, alias="to", description="Last day of the series")

    def question(self) -> Question:
        """What the tables are asked. Raises `InputInvalid`."""
        start, end = self.start, self.end or LAST_DAY
        if start is None and (self.series or self.end is not None):
            start = _FIRST_DAY
        days = {"asOf": self.as_of, "from": self.start, "to": self.end}
        wrong = [
            FieldError(name, f"is not between {_FIRST_DAY} and {LAST_DAY}")
            for name, day in days.items()
            if day is not None and not _FIRST_DAY <= day <= LAST_DAY
        ]
        if start is not None and start > end:
            wrong.append(FieldError("from", f"is after to ({end})"))
        if wrong:
            raise InputInvalid(f"{wrong[0].field} {wrong[0].message}.", errors=wrong)
        return Question(self.as_of, self.dimension or "", self.metric_id or "", start, end)


class RefreshAnswer(CamelModel):
    """A run that has begun."""

    run_id: str
    url: str = Field(description="Its page in Dagster")


def _experiment(request: Request, key: str) -> Experiment:
    return demanded_experiment(services_of(request.scope).flags.definitions.known, key)


def _tables(request: Request) -> ResultTables:
    return ResultTables(services_of(request.scope).warehouse)


# Before those of an experiment; POST has no address of an experiment itself.
@router.post("/plan", summary="How many users an experiment needs", responses=problem_responses(404))
async def plan_experiment(caller: CanReadAnalytics, asked: PlanRequest, request: Request) -> PlanAnswer:
    """Users for each variant, days at yesterday's traffic, and what would be found after some weeks."""
    experiment = None if asked.experiment_id is None else _experiment(request, asked.experiment_id)
    return await planned(_tables(request), asked, experiment, datetime.now(UTC).date())


@router.get("/{id}/results", summary="What came of an experiment", responses=problem_responses(404))
async def show_results(
    caller: CanReadAnalytics, id: Id, query: Annotated[ResultsQuery, Query()], request: Request
) -> Results:
    """A verdict in words, whether it can be trusted, and each metric by variant; also by segment and day by day."""
    return await results_of(_tables(request), _experiment(request, id), query.question())


@router.get(
    "/{id}/results.csv",
    summary="What came of an experiment, as a table",
    response_class=Response,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **problem_responses(404)},
)
async def download_results(
    caller: CanReadAnalytics, id: Id, query: Annotated[ResultsQuery, Query()], request: Request
) -> Response:
    """The rows of `experiment_results`: of the last day, or of a series."""
    experiment, tables, question = _experiment(request, id), _tables(request), query.question()
    as_of = await tables.as_of(experiment.key, question.as_of)
    start = question.start or as_of.day
    rows = (
        []
        if as_of.day is None or start is None
        else await tables.rows(experiment.key, question, start, min(question.end, as_of.day))
    )
    named = {"content-disposition": f'attachment; filename="{experiment.key}.csv"'}
    return Response(csv_of(rows), media_type="text/csv; charset=utf-8", headers=named)


@router.post("/{id}/refresh", summary="Compute results anew", status_code=202, responses=problem_responses(404))
async def refresh_results(caller: CanWriteExperiments, id: Id, request: Request) -> RefreshAnswer:
    """Starts the job that builds the tables of all experiments and computes their results, in Dagster."""
    _experiment(request, id)
    run = await services_of(request.scope).experiments.dagster.start(RESULTS_JOB)
    return RefreshAnswer(run_id=run.run_id, url=run.url)
