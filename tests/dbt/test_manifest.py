"""What a reader may rely on in every model, checked in the manifest that dbt makes of the project."""

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import pytest

from dagster_project.defs.transform.lanes import Lane, lane_of
from tests.dbt.conftest import PROJECT, Dbt

Node: TypeAlias = Mapping[str, Any]

NAMES = {"staging": r"stg_\w+|batch_window", "intermediate": r"int_\w+", "marts": r"(?!stg_|int_)\w+"}
LONGEST_MODEL = 150


@pytest.fixture(scope="session")
def manifest(dbt: Dbt) -> dict[str, Any]:
    return dbt.manifest()


@pytest.fixture
def models(manifest: Mapping[str, Any]) -> list[Node]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def test_everything_is_described(manifest: Mapping[str, Any]) -> None:
    nodes = [n for n in manifest["nodes"].values() if n["resource_type"] in ("model", "seed")]
    nodes += [*manifest["sources"].values(), *manifest["exposures"].values()]

    silent = [n["name"] for n in nodes if not n["description"].strip()]
    silent += [
        f"{n['name']}.{c['name']}" for n in nodes for c in n.get("columns", {}).values() if not c["description"].strip()
    ]

    assert silent == []


def test_models_say_their_grain(models: list[Node]) -> None:
    vague = [m["name"] for m in models if not m["description"].startswith(("One row per ", "One row: "))]

    assert vague == []


def test_contracts_and_comments_are_on_for_every_model(models: list[Node]) -> None:
    loose = [
        m["name"]
        for m in models
        if not m["config"]["contract"]["enforced"]
        or m["config"]["persist_docs"] != {"relation": True, "columns": True}
        or not all(c["data_type"] for c in m["columns"].values())
    ]

    assert loose == []


def test_names_follow_the_layer(models: list[Node]) -> None:
    odd = [m["name"] for m in models if not re.fullmatch(NAMES[m["fqn"][1]], m["name"])]

    assert odd == []


def test_schema_is_the_layer(models: list[Node]) -> None:
    elsewhere = [m["name"] for m in models if not m["schema"].endswith(f"_{m['fqn'][1]}")]

    assert elsewhere == []


def test_every_model_has_an_owner_and_declares_who_may_read_it(manifest: Mapping[str, Any], models: list[Node]) -> None:
    owned = {name for name, group in ((g["name"], g) for g in manifest["groups"].values()) if group["owner"]["email"]}

    orphans = [m["name"] for m in models if m["group"] not in owned]
    hidden = [m["name"] for m in models if m["fqn"][1] == "marts" and m["access"] != "public"]
    exposed = [m["name"] for m in models if m["fqn"][1] != "marts" and m["access"] == "public"]

    assert (orphans, hidden, exposed) == ([], [], [])


def test_nothing_waits_for_what_is_built_in_a_slower_lane(manifest: Mapping[str, Any], models: list[Node]) -> None:
    """A faster run would stop at the watermark of the slower table, and compare new rows with its old ones."""
    order = list(Lane)
    lanes = {key: order.index(lane_of(node["tags"])) for key, node in manifest["nodes"].items()}
    hourly_tests = [
        n for n in manifest["nodes"].values() if n["resource_type"] == "test" and Lane.NIGHTLY not in n["tags"]
    ]

    waiting = [
        (node["name"], upstream)
        for node, lane in [
            *((m, lanes[m["unique_id"]]) for m in models),
            *((t, lanes[t["attached_node"]]) for t in hourly_tests if t.get("attached_node") in lanes),
        ]
        for upstream in node["depends_on"]["nodes"]
        if lanes.get(upstream, 0) > lane
    ]

    assert waiting == []


def is_generated(node: Node) -> bool:
    """A view out of the tracking plan: rows of stg_events, whose key is tested. Its columns: test_tracking_plan.py."""
    return node["fqn"][1:3] == ["staging", "events"]


WITHOUT_KEY = {"stg_event_deliveries", "stg_rejected_events"}
"""Views of logs, in which a repeated insert leaves a further row."""


def test_every_key_is_tested(manifest: Mapping[str, Any]) -> None:
    nodes = [n for n in manifest["nodes"].values() if n["resource_type"] in ("model", "seed") and not is_generated(n)]
    keys = {
        n["attached_node"]
        for n in manifest["nodes"].values()
        if n["resource_type"] == "test"
        and n.get("test_metadata", {}).get("name") in ("unique_combination", "row_count")
    }

    assert {n["name"] for n in nodes if n["unique_id"] not in keys} == WITHOUT_KEY


def test_every_model_has_a_unit_test(manifest: Mapping[str, Any], models: list[Node]) -> None:
    tested = {unit_test["model"] for unit_test in manifest["unit_tests"].values()}

    assert [m["name"] for m in models if m["name"] not in tested and not is_generated(m)] == []


def test_tables_are_sorted_and_their_strategy_fits(models: list[Node]) -> None:
    for model in models:
        config = model["config"]
        if config["materialized"] == "view":
            continue
        assert config.get("order_by"), model["name"]
        if config["materialized"] != "incremental":
            continue
        # dbt-clickhouse looks at on_schema_change of an append model only when it has a unique key, and refuses a key
        # for insert_overwrite.
        is_append = config["incremental_strategy"] == "append"
        assert bool(config["unique_key"]) == is_append, model["name"]
        assert ("MergeTree(" in config.get("engine", "") and config["engine"] != "MergeTree()") == is_append, model[
            "name"
        ]
        assert config.get("partition_by") or is_append, model["name"]


def test_incremental_models_commit_the_watermark_they_read(models: list[Node]) -> None:
    for model in models:
        if model["config"]["materialized"] != "incremental":
            continue
        reads = set(re.findall(r"(?:high_watermark|upstreams =) ?\(?(\[[^\]]+\])", model["raw_code"]))
        last_hook = model["config"]["post-hook"][-1]["sql"]
        (committed,) = re.findall(r"commit_watermark\(\s*(\[[^\]]+\])", last_hook)
        names = {re.sub(r"\s", "", upstreams) for upstreams in (*reads, committed)}
        assert len(names) == 1, (model["name"], names)


def test_relations_are_never_named_in_sql(models: list[Node]) -> None:
    direct = re.compile(r"\b(?:from|join)\s+`?\w+`?\s*\.\s*`?\w+", re.IGNORECASE)

    assert [m["name"] for m in models if direct.search(m["raw_code"])] == []


def test_exposures_read_marts_only(manifest: Mapping[str, Any]) -> None:
    read = {node for exposure in manifest["exposures"].values() for node in exposure["depends_on"]["nodes"]}

    assert [node for node in read if manifest["nodes"][node]["fqn"][1] not in ("marts", "metric_catalog")] == []


def test_files_are_small_in_pairs_and_hold_no_python() -> None:
    files = [path for path in PROJECT.rglob("*") if path.is_file() and "target" not in path.parts]
    models = [path for path in files if path.suffix == ".sql" and "models" in path.parts]

    long = [path.name for path in models if len(path.read_text().splitlines()) > LONGEST_MODEL]
    alone = [path.name for path in models if not path.with_suffix(".yml").is_file()]
    forbidden = [path for path in files if path.suffix == ".py" or path.name in ("packages.yml", "dependencies.yml")]

    assert (long, alone, forbidden) == ([], [], [])


def test_people_are_marked(manifest: Mapping[str, Any], models: list[Node]) -> None:
    ids = ("visitor_id", "user_id", "anonymous_id", "previous_id", "linked_id", "identifier", "sender_id")
    personal = (*ids, "properties", "context", "payload", "ip")

    unmarked = [
        f"{m['name']}.{c['name']}"
        for m in [*models, *manifest["sources"].values()]
        for c in m["columns"].values()
        if c["name"] in personal and not c["meta"].get("pii")
    ]

    assert unmarked == []
