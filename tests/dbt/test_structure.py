"""Which model may read which: the rules of dbt_project_evaluator, on the manifest. Exceptions have a reason each."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.dbt.conftest import Dbt

Edge: TypeAlias = tuple[str, str]

MAY_READ = {
    "staging": {"raw"},
    "intermediate": {"staging", "intermediate", "seed"},
    # The statistics are computed from marts, and a mart shows them.
    "marts": {"intermediate", "marts", "seed", "stats"},
}
"""Layers by layer. Bookkeeping (the source ops) is open to all: watermarks are how increments know where they are."""

OTHER_READERS = {
    # How far a run reads, and which event ids were there before: facts about arrivals that staging itself rests on.
    ("stg_event_arrivals", "batch_window"),
    ("stg_events", "batch_window"),
    ("stg_events", "stg_event_arrivals"),
    # About events as they came in, with the bots that intermediate models leave out.
    ("data_health_daily", "stg_event_deliveries"),
    ("data_health_daily", "stg_events"),
    ("data_health_daily", "stg_rejected_events"),
    # Measurements that are properties of their events, which intermediate models do not keep.
    ("api_latency_daily", "stg_events"),
    ("errors_daily", "stg_events"),
    ("performance_daily", "stg_events"),
}
STAGED_MORE_THAN_ONCE = {"raw.events": {"stg_event_arrivals", "stg_event_deliveries", "stg_events"}}
"""Each event once, when each id first arrived, and every delivery."""

READ_OUTSIDE_OF_DBT = {"raw.quarantine_replays", "raw.flag_evaluations"}
"""By Dagster's checks on the quarantine."""

MOST_PARENTS = 7
READS_MORE_PARENTS = {"kpis_daily"}
"""Gathers the figures of many marts."""

MOST_LEAVES = 5
"""A mart that more such marts read as nothing reads has become a hub: its work belongs into an intermediate model."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Models, seeds and sources by name, a source as `source.table`; edges go from the reader to what it reads."""

    layers: Mapping[str, str]
    views: set[str]
    edges: set[Edge]

    def parents(self, name: str) -> set[str]:
        return {parent for child, parent in self.edges if child == name}

    def children(self, name: str) -> set[str]:
        return {child for child, parent in self.edges if parent == name}

    def layer(self, *layers: str) -> list[str]:
        return sorted(name for name, layer in self.layers.items() if layer in layers)


@pytest.fixture(scope="session")
def manifest(dbt: Dbt) -> dict[str, Any]:
    return dbt.manifest()


@pytest.fixture(scope="session")
def graph(manifest: Mapping[str, Any]) -> Graph:
    models = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    seeds = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "seed"}
    sources = manifest["sources"]
    names = {key: node["name"] for key, node in (models | seeds).items()}
    names |= {key: f"{source['source_name']}.{source['name']}" for key, source in sources.items()}
    layers = {names[key]: node["fqn"][1] for key, node in models.items()}
    layers |= {names[key]: "seed" for key in seeds}
    layers |= {names[key]: source["source_name"] for key, source in sources.items()}
    edges = {(names[key], names[parent]) for key in models for parent in manifest["parent_map"][key]}
    views = {names[key] for key, node in models.items() if node["config"]["materialized"] == "view"}
    return Graph(layers, views, {edge for edge in edges if layers[edge[1]] != "ops"})


def is_planned_view(name: str) -> bool:
    """A view out of the tracking plan: stg_events with one event's properties as columns, for analysts to read."""
    return name.startswith("stg_events__")


def test_models_read_the_layer_below(graph: Graph) -> None:
    across = {
        (child, parent)
        for child, parent in graph.edges
        if graph.layers[parent] not in MAY_READ[graph.layers[child]] and not is_planned_view(child)
    }

    assert across == OTHER_READERS


def test_planned_views_read_staged_events_alone(graph: Graph) -> None:
    assert {parent for child, parent in graph.edges if is_planned_view(child)} == {"stg_events"}


def test_staging_model_joins_no_sources(graph: Graph) -> None:
    joined = [name for name in graph.layer("staging") if sum(graph.layers[p] == "raw" for p in graph.parents(name)) > 1]

    assert joined == []


def test_source_is_staged_once(graph: Graph) -> None:
    staged = {source: graph.children(source) for source in graph.layer("raw")}

    assert {source: models for source, models in staged.items() if len(models) > 1} == STAGED_MORE_THAN_ONCE


def test_sources_are_declared_once_and_read(manifest: Mapping[str, Any], graph: Graph) -> None:
    relations = [source["relation_name"] for source in manifest["sources"].values()]

    assert len(relations) == len(set(relations))
    assert {source for source in graph.layer("raw") if not graph.children(source)} == READ_OUTSIDE_OF_DBT


def test_what_is_not_for_readers_is_read_by_a_model(graph: Graph) -> None:
    ends = [name for name in graph.layer("staging", "intermediate") if not graph.children(name)]

    assert [name for name in ends if not is_planned_view(name)] == []


def test_seeds_are_read(graph: Graph) -> None:
    assert [name for name in graph.layer("seed") if not graph.children(name)] == []


def test_every_model_reads_something(manifest: Mapping[str, Any]) -> None:
    models = [key for key, node in manifest["nodes"].items() if node["resource_type"] == "model"]

    assert [key for key in models if not manifest["parent_map"][key]] == []


def test_models_have_few_parents(graph: Graph) -> None:
    many = {name for name in graph.layers if len(graph.parents(name)) > MOST_PARENTS}

    assert many == READS_MORE_PARENTS


def test_marts_fan_out_to_few_ends(graph: Graph) -> None:
    leaves = {name for name in graph.layer("marts") if not graph.children(name)}

    assert [name for name in graph.layer("marts") if len(graph.children(name) & leaves) > MOST_LEAVES] == []


def test_no_view_stands_on_a_view(graph: Graph) -> None:
    assert [edge for edge in sorted(graph.edges) if set(edge) <= graph.views] == []


def exposed_tables(exposures: Iterable[Mapping[str, Any]]) -> set[str]:
    return {key.split(".")[-1] for exposure in exposures for key in exposure["depends_on"]["nodes"]}


def test_exposures_do_not_read_views(manifest: Mapping[str, Any], graph: Graph) -> None:
    assert exposed_tables(manifest["exposures"].values()) & graph.views == set()


def test_every_table_that_the_api_reads_is_exposed(manifest: Mapping[str, Any], project_root: Path) -> None:
    files = (project_root / "ingest_api/dashboards/sql").glob("*.sql")
    read = {table for path in files for table in re.findall(r"\{marts:Identifier\}\.(\w+)", path.read_text())}

    of_api = [exposure for exposure in manifest["exposures"].values() if exposure["label"].startswith("GET ")]

    assert exposed_tables(of_api) == read


def test_tests_in_files_of_their_own_name_their_table(manifest: Mapping[str, Any], graph: Graph) -> None:
    single = [n for n in manifest["nodes"].values() if n["resource_type"] == "test" and not n.get("test_metadata")]

    about = {test["name"]: test["config"]["meta"].get("dagster", {}).get("ref", {}).get("name") for test in single}

    assert [name for name, table in about.items() if table not in graph.layers] == []
