"""`/api/feature-flags/ab-tests`: definitions of experiments and their way from draft to decision."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request, Response

from flags.experiment_codec import encode_experiment
from ingest_api.auth.permissions import CanReadFlags, CanWriteExperiments
from ingest_api.experiments.changing import ExperimentEditor, demanded_experiment
from ingest_api.experiments.documents import (
    EXPERIMENT_BODY,
    CompleteRequest,
    ExperimentDocument,
    ExperimentList,
    ExperimentQuery,
    StepRequest,
)
from ingest_api.flags.changes import Author
from ingest_api.flags.definition_bodies import json_answer, read_document, seen_version
from ingest_api.flags.definitions import EXPERIMENT
from ingest_api.flags.documents import PATCH_BODY, Change, Comment, HistoryPage, HistoryQuery, Version
from ingest_api.flags.history import history
from ingest_api.flags.listing import page_of
from ingest_api.openapi import problem_responses
from ingest_api.services import services_of

PREFIX = "/api/feature-flags/ab-tests"
router = APIRouter(prefix=PREFIX, tags=["experiments"], responses=problem_responses(400, 401, 403, 503))
Id = Annotated[str, Path(description="Id of the experiment")]
_ANSWER: dict[str, Any] = {"model": ExperimentDocument}


def _editor(request: Request) -> ExperimentEditor:
    return services_of(request.scope).experiments.editor


@router.post(
    "",
    summary="Create an experiment",
    status_code=201,
    responses={201: _ANSWER, **problem_responses(409)},
    openapi_extra=EXPERIMENT_BODY,
)
async def create_experiment(caller: CanWriteExperiments, request: Request, comment: Comment = "") -> Response:
    """With the status `running` it starts at once."""
    document = await read_document(request)
    return json_answer(encode_experiment(await _editor(request).create(document, caller, comment)), 201)


@router.get("", summary="Experiments by id", responses={200: {"model": ExperimentList}})
async def list_experiments(
    caller: CanReadFlags, query: Annotated[ExperimentQuery, Query()], request: Request
) -> Response:
    """All of them, or those with a status."""
    stored = services_of(request.scope).flags.definitions.known.experiments.values()
    found, cursor = page_of([one for one in stored if query.status in (None, one.status)], query.cursor, query.limit)
    return json_answer({"items": [encode_experiment(one) for one in found], "nextCursor": cursor})


@router.get("/{id}", summary="One experiment", responses={200: _ANSWER, **problem_responses(404)})
async def show_experiment(caller: CanReadFlags, id: Id, request: Request) -> Response:
    """Its definition, with every phase and the decision."""
    return json_answer(encode_experiment(demanded_experiment(services_of(request.scope).flags.definitions.known, id)))


@router.patch(
    "/{id}",
    summary="Change some members of an experiment",
    responses={200: _ANSWER, **problem_responses(404, 409)},
    openapi_extra=PATCH_BODY,
)
async def patch_experiment(caller: CanWriteExperiments, id: Id, request: Request, comment: Comment = "") -> Response:
    """A JSON merge patch (RFC 7396). While it runs, other allocations or targeting open a new phase; its variants stay.

    With `version`, a change made by others meanwhile is a conflict.
    """
    patch = await read_document(request)
    version = seen_version(patch, is_required=False)
    return json_answer(encode_experiment(await _editor(request).patch(id, patch, version, caller, comment)))


@router.delete(
    "/{id}",
    summary="Delete an experiment",
    status_code=204,
    responses=problem_responses(404, 409),
)
async def delete_experiment(
    caller: CanWriteExperiments, id: Id, request: Request, version: Version = None, comment: Comment = ""
) -> Response:
    """A draft, or one that is archived."""
    await _editor(request).delete(id, version, Author(caller.subject, comment))
    return Response(status_code=204)


def _add_step(step: str, summary: str, description: str) -> None:
    @router.post(
        f"/{{id}}/{step}",
        summary=summary,
        description=description,
        responses={200: _ANSWER, **problem_responses(404, 409)},
        name=f"{step}_experiment",
    )
    async def take_step(
        caller: CanWriteExperiments, id: Id, request: Request, asked: Annotated[StepRequest | None, Body()] = None
    ) -> Response:
        asked = asked or StepRequest.model_validate({})
        author = Author(caller.subject, asked.comment)
        return json_answer(encode_experiment(await _editor(request).move(id, step, asked.version, author)))


_add_step("start", "Start a draft", "Opens the first phase: users are assigned from now on.")
_add_step("pause", "Pause an experiment", "Everybody gets the control, and nobody is exposed, until it is resumed.")
_add_step("resume", "Resume a paused experiment", "Opens another phase, with the allocations that it has by now.")
_add_step("archive", "Archive an experiment", "It stays as it is, with its results, and can be deleted.")


@router.post(
    "/{id}/complete",
    summary="End an experiment with a decision",
    responses={200: _ANSWER, **problem_responses(404, 409)},
)
async def complete_experiment(
    caller: CanWriteExperiments, id: Id, asked: CompleteRequest, request: Request
) -> Response:
    """From then on everybody gets `variantId`, or the control where it is null. A decision can be revised."""
    author = Author(caller.subject, asked.comment)
    done = await _editor(request).move(id, "complete", asked.version, author, asked.variant_id)
    return json_answer(encode_experiment(done))


@router.get("/{id}/history", summary="Who changed an experiment, and how", responses=problem_responses(404))
async def experiment_history(
    caller: CanReadFlags, id: Id, query: Annotated[HistoryQuery, Query()], request: Request
) -> HistoryPage:
    """Newest first. The last hundred changes are there at once, older ones while ClickHouse answers."""
    changes, last = await history(services_of(request.scope).flags, EXPERIMENT, id, query.cursor, query.limit)
    return HistoryPage(items=[Change.of(one) for one in changes], next_cursor=last)
