"""The OpenAPI document (raw ASGI routes and error answers included) and its page, which works without the internet."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from ingest_api.errors import PROBLEM_MEDIA_TYPE, Problem

_ASSETS = "/docs/assets"
_DESCRIPTION = """\
Product analytics: events in, numbers out. Reading needs a token (`analytics token issue`), sending events a write key
(`analytics key issue`). Every error is `application/problem+json` (RFC 9457) with a stable `code`.
"""
_VALIDATION_SCHEMAS = ("HTTPValidationError", "ValidationError")


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` argument of a route that can answer with these errors."""
    return {status: {"model": Problem, "description": _MEANING[status]} for status in statuses}


_MEANING = {
    400: "A field is wrong; `errors` names it",
    401: "No valid credential",
    403: "The credential does not allow this",
    404: "There is nothing of this name",
    409: "What is stored has changed meanwhile, or stands in the way",
    503: "Something needed is away; try again after `Retry-After` seconds",
}


def without_references(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """A JSON Schema that can stand anywhere in the document: the definition in the place of each `$ref`."""
    if isinstance(schema, list):
        return [without_references(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return without_references(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {name: without_references(one, definitions) for name, one in schema.items() if name != "discriminator"}


def install(app: FastAPI, raw_paths: Mapping[str, Any]) -> None:
    """Give `app` its `/openapi.json`, with the paths of raw ASGI routes merged in, and `/docs`.

    Args:
        app: created with `docs_url=None`.
        raw_paths: OpenAPI path items by path; a path item may refer to `#/components/schemas/Problem`.
    """

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, raw_paths)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
    app.mount(_ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]), name="docs assets")

    @app.get("/docs", include_in_schema=False)
    async def docs_page() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=str(app.openapi_url),
            title=app.title,
            swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{_ASSETS}/favicon.png",
        )


def _document(app: FastAPI, raw_paths: Mapping[str, Any]) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in _VALIDATION_SCHEMAS:
        schemas.pop(name, None)
    schemas.setdefault("Problem", _problem_schema(schemas))
    components.setdefault("securitySchemes", {})["writeKey"] = {
        "type": "apiKey",
        "in": "header",
        "name": "X-Write-Key",
        "description": "A write key from `analytics key issue --source ...`; also as Bearer or as `?writeKey=`",
    }
    for item in document["paths"].values():
        for operation in item.values():
            _describe_errors(operation["responses"])
    document["paths"] = {**raw_paths, **document["paths"]}
    return document


def _describe_errors(responses: dict[str, Any]) -> None:
    """FastAPI documents its own 422 and `application/json`; this API answers 400 and `application/problem+json`."""
    responses.pop("422", None)
    for status, response in responses.items():
        if status >= "400" and "application/json" in response.get("content", {}):
            response["content"] = {PROBLEM_MEDIA_TYPE: response["content"]["application/json"]}


def _problem_schema(schemas: dict[str, Any]) -> dict[str, Any]:
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    for name, definition in schema.pop("$defs", {}).items():
        schemas.setdefault(name, definition)
    return schema
