"""`/api/feature-flags`: definitions of flags and segments."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from flags.explain import explain
from flags.ruleset import user_of
from ingest_api.auth.permissions import CanReadFlags, CanWriteFlags
from ingest_api.errors import NotFound
from ingest_api.events.bodies import MAX_DECODED_BYTES
from ingest_api.flags.bundles import Applied, apply_bundle, bundle_of
from ingest_api.flags.changes import Author
from ingest_api.flags.definition_bodies import json_answer, read_document, seen_version
from ingest_api.flags.definitions import FLAG, SEGMENT
from ingest_api.flags.documents import (
    BUNDLE_BODY,
    FLAG_BODY,
    PATCH_BODY,
    SEGMENT_BODY,
    BundleQuery,
    Change,
    Comment,
    ExplainRequest,
    FlagDocument,
    FlagList,
    FlagQuery,
    HistoryPage,
    HistoryQuery,
    PageQuery,
    RevertRequest,
    ScheduledChangeDocument,
    ScheduledChangeList,
    ScheduleRequest,
    SegmentDocument,
    SegmentList,
    StaleFlags,
    StaleQuery,
    Version,
)
from ingest_api.flags.editing import decoded, demanded, encoded
from ingest_api.flags.flag_services import FlagServices
from ingest_api.flags.history import history, reverted_document
from ingest_api.flags.listing import Matching, page_of
from ingest_api.flags.staleness import stale_flags
from ingest_api.openapi import problem_responses
from ingest_api.services import services_of

router = APIRouter(prefix="/api/feature-flags", tags=["feature flags"], responses=problem_responses(400, 401, 403, 503))
Key = Annotated[str, Path(description="Key of the definition")]


def _flags(request: Request) -> FlagServices:
    return services_of(request.scope).flags


def _add_routes(kind: str, plural: str, body: dict[str, Any], answer: type) -> None:
    """The routes that flags and segments have alike."""

    @router.post(
        f"/{plural}",
        summary=f"Create a {kind}",
        status_code=201,
        responses={201: {"model": answer}, **problem_responses(409)},
        openapi_extra=body,
        name=f"create_{kind}",
    )
    async def create(caller: CanWriteFlags, request: Request, comment: Comment = "") -> Response:
        document = await read_document(request)
        definition = decoded(kind, document)
        copy = await _flags(request).editor.create(definition, Author(caller.subject, comment))
        return json_answer(encoded(demanded(copy, kind, definition.key)), 201)

    @router.get(
        f"/{plural}/{{key}}",
        summary=f"One {kind}",
        responses={200: {"model": answer}, **problem_responses(404)},
        name=f"show_{kind}",
    )
    async def show(caller: CanReadFlags, key: Key, request: Request) -> Response:
        return json_answer(encoded(demanded(_flags(request).definitions.current, kind, key)))

    @router.put(
        f"/{plural}/{{key}}",
        summary=f"Replace a {kind}",
        responses={200: {"model": answer}, **problem_responses(404, 409)},
        openapi_extra=body,
        name=f"replace_{kind}",
    )
    async def replace(caller: CanWriteFlags, key: Key, request: Request, comment: Comment = "") -> Response:
        document = await read_document(request, key)
        version = seen_version(document, is_required=True)
        author = Author(caller.subject, comment)
        copy = await _flags(request).editor.replace(decoded(kind, document), version, author)
        return json_answer(encoded(demanded(copy, kind, key)))

    @router.patch(
        f"/{plural}/{{key}}",
        summary=f"Change some members of a {kind}",
        description="A JSON merge patch (RFC 7396). With `version`, a change made by others meanwhile is a conflict.",
        responses={200: {"model": answer}, **problem_responses(404, 409)},
        openapi_extra=PATCH_BODY,
        name=f"patch_{kind}",
    )
    async def patch(caller: CanWriteFlags, key: Key, request: Request, comment: Comment = "") -> Response:
        document = await read_document(request)
        version = seen_version(document, is_required=False)
        copy = await _flags(request).editor.patch(kind, key, document, version, Author(caller.subject, comment))
        return json_answer(encoded(demanded(copy, kind, key)))

    @router.delete(
        f"/{plural}/{{key}}",
        summary=f"Delete a {kind}",
        status_code=204,
        responses=problem_responses(404, 409),
        name=f"delete_{kind}",
    )
    async def delete(
        caller: CanWriteFlags, key: Key, request: Request, version: Version = None, comment: Comment = ""
    ) -> Response:
        await _flags(request).editor.delete(kind, key, version, Author(caller.subject, comment))
        return Response(status_code=204)

    @router.get(
        f"/{plural}/{{key}}/history",
        summary=f"Who changed a {kind}, and how",
        description="Newest first. The last hundred changes are there at once, older ones while ClickHouse answers.",
        responses=problem_responses(404),
        name=f"{kind}_history",
    )
    async def show_history(
        caller: CanReadFlags, key: Key, query: Annotated[HistoryQuery, Query()], request: Request
    ) -> HistoryPage:
        changes, last = await history(_flags(request), kind, key, query.cursor, query.limit)
        return HistoryPage(items=[Change.of(one) for one in changes], next_cursor=last)

    @router.post(
        f"/{plural}/{{key}}/revert",
        summary=f"Make a {kind} what it was",
        responses={200: {"model": answer}, **problem_responses(404, 409)},
        name=f"revert_{kind}",
    )
    async def revert(caller: CanWriteFlags, key: Key, asked: RevertRequest, request: Request) -> Response:
        flags = _flags(request)
        document = await reverted_document(flags, kind, key, asked.to_version)
        author = Author(caller.subject, asked.comment or f"Back to version {asked.to_version}")
        copy = await flags.editor.put_back(decoded(kind, document), asked.version, author)
        return json_answer(encoded(demanded(copy, kind, key)))


# Before the routes of a flag: its address would be that of a flag called `stale`.
@router.get("/flags/stale", summary="Flags that may be removed")
async def list_stale(caller: CanReadFlags, query: Annotated[StaleQuery, Query()], request: Request) -> StaleFlags:
    """Flags that were not evaluated, or gave everybody the same answer, for so many days, and are as old as that."""
    services = services_of(request.scope)
    now = datetime.now(UTC)
    return await stale_flags(services.warehouse, services.flags.definitions.current, query.days, now)


@router.get("/flags", summary="Flags by key", responses={200: {"model": FlagList}})
async def list_flags(caller: CanReadFlags, query: Annotated[FlagQuery, Query()], request: Request) -> Response:
    """Flags that have the tag and type, are on or off, and have the text in key, name or description."""
    matching = Matching(tag=query.tag or "", type=query.type or "", is_enabled=query.enabled, text=query.text or "")
    stored = _flags(request).definitions.current.ruleset.flags.values()
    found, cursor = page_of([one for one in stored if matching.holds(one)], query.cursor, query.limit)
    return json_answer({"items": [encoded(one) for one in found], "nextCursor": cursor})


@router.get("/segments", summary="Segments by key", responses={200: {"model": SegmentList}})
async def list_segments(caller: CanReadFlags, query: Annotated[PageQuery, Query()], request: Request) -> Response:
    """Named conditions that rules refer to."""
    stored = _flags(request).definitions.current.ruleset.segments.values()
    found, cursor = page_of(list(stored), query.cursor, query.limit)
    return json_answer({"items": [encoded(one) for one in found], "nextCursor": cursor})


_add_routes(FLAG, "flags", FLAG_BODY, FlagDocument)
_add_routes(SEGMENT, "segments", SEGMENT_BODY, SegmentDocument)


@router.post("/flags/{key}/explain", summary="Why a user gets what", responses=problem_responses(404))
async def explain_flag(caller: CanReadFlags, key: Key, asked: ExplainRequest, request: Request) -> dict[str, Any]:
    """Each rule in order: whether it matches, and why. It counts as no evaluation and assigns nothing."""
    ruleset = _flags(request).definitions.current.ruleset
    if key not in ruleset.flags:
        raise NotFound(f"There is no flag {key}.", code="flag_not_found")
    user_id = None if asked.user_id is None else str(asked.user_id)
    user = await _flags(request).evaluator.recognised(user_of(user_id, asked.attributes))
    return explain(ruleset, key, user, datetime.now(UTC)).document()


@router.get(
    "/flags/{key}/scheduled-changes", summary="Changes that wait for their time", responses=problem_responses(404)
)
async def list_scheduled(caller: CanReadFlags, key: Key, request: Request) -> ScheduledChangeList:
    """The next one first. One with a `failure` could not be made when it was due."""
    flags = _flags(request)
    demanded(flags.definitions.current, FLAG, key)
    return ScheduledChangeList(
        items=[ScheduledChangeDocument.of(one) for one in flags.scheduler.waiting(key)], next_cursor=None
    )


@router.post(
    "/flags/{key}/scheduled-changes",
    summary="Change a flag later",
    status_code=201,
    responses=problem_responses(404, 409),
)
async def schedule_change(
    caller: CanWriteFlags, key: Key, asked: ScheduleRequest, request: Request
) -> ScheduledChangeDocument:
    """Make a merge patch at a time, for example `{"dueAt": "2030-01-01T08:00:00Z", "patch": {"isEnabled": true}}`."""
    author = Author(caller.subject, asked.comment)
    change = await _flags(request).scheduler.schedule(key, asked.due_at, asked.patch, author)
    return ScheduledChangeDocument.of(change)


@router.delete(
    "/flags/{key}/scheduled-changes/{changeId}",
    summary="Give up a change that waits",
    status_code=204,
    responses=problem_responses(404),
)
async def cancel_scheduled(
    caller: CanWriteFlags, key: Key, change_id: Annotated[str, Path(alias="changeId")], request: Request
) -> Response:
    """It is not made."""
    await _flags(request).scheduler.cancel(key, change_id, Author(caller.subject))
    return Response(status_code=204)


@router.get("/export", summary="All definitions")
async def export(caller: CanReadFlags, request: Request) -> dict[str, Any]:
    """Flags and segments without what the service keeps of them (versions, times), as `apply` takes them."""
    return bundle_of(_flags(request).definitions.current)


@router.post(
    "/apply",
    summary="Bring definitions to what a bundle says",
    responses={200: {"model": Applied}, **problem_responses(409)},
    openapi_extra=BUNDLE_BODY,
)
async def apply(caller: CanWriteFlags, query: Annotated[BundleQuery, Query()], request: Request) -> Applied:
    """Create and change what differs, all or nothing; with `prune`, delete what the bundle does not have."""
    bundle = await read_document(request, most_bytes=MAX_DECODED_BYTES)
    author = Author(caller.subject, query.comment)
    return await apply_bundle(_flags(request).editor, bundle, author, is_dry_run=query.dry_run, prunes=query.prune)
