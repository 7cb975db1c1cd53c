"""The API's own description, and its page."""

import re

from ingest_api.errors import PROBLEM_MEDIA_TYPE
from tests.ingest_api.conftest import Api


def test_page_and_all_that_it_loads_come_from_this_server(api: Api) -> None:
    page = api.client.get("/docs").text

    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)

    assert len(loaded) == 3
    assert "https://" not in page
    for address in loaded:
        assert api.client.get(address).status_code == 200, address


def test_document_describes_every_error_as_a_problem(api: Api) -> None:
    document = api.client.get("/openapi.json").json()

    for path, item in document["paths"].items():
        for operation in item.values():
            for status, response in operation["responses"].items():
                # OpenFeature's protocol has errors of its own.
                if status >= "400" and not path.startswith(("/health", "/ofrep")):
                    assert set(response["content"]) == {PROBLEM_MEDIA_TYPE}, (path, status)
                assert status != "422", path


def test_document_has_no_dangling_reference(api: Api) -> None:
    document = api.client.get("/openapi.json")

    schemas = document.json()["components"]["schemas"]

    for reference in re.findall(r'"\$ref":"#/components/schemas/([^"]+)"', document.text):
        assert reference in schemas
    assert not [name for name in schemas if "Validation" in name]


def test_document_describes_every_field_of_a_report_in_camel_case(api: Api) -> None:
    schemas = api.client.get("/openapi.json").json()["components"]["schemas"]

    names = {name for schema in schemas.values() for name in schema.get("properties", {})}

    assert {"asOf", "previousPeriod", "changeRate"} <= names
    assert not [name for name in names if "_" in name]
