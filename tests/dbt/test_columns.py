from collections.abc import Iterator

import pytest
import yaml

from tests.dbt.conftest import PROJECT, Dbt
from warehouse.client import Client, connect


@pytest.fixture
def client(dbt: Dbt) -> Iterator[Client]:
    client = connect(dbt.settings)
    yield client
    client.close()


def test_every_column_of_every_table_carries_its_description(dbt: Dbt, client: Client) -> None:
    databases = [dbt.settings.database(layer) for layer in ("staging", "intermediate", "marts")]

    columns = client.query(
        "SELECT table, name, comment FROM system.columns WHERE database IN {databases:Array(String)}",
        parameters={"databases": databases},
    ).result_rows

    nodes = dbt.manifest()["nodes"].values()
    assert {table for table, _, _ in columns} == {n["name"] for n in nodes if n["resource_type"] in ("model", "seed")}
    assert [f"{table}.{name}" for table, name, comment in columns if not comment] == []


def test_comment_is_the_description_in_the_project(dbt: Dbt, client: Client) -> None:
    (model,) = yaml.safe_load((PROJECT / "models/marts/revenue/revenue_daily.yml").read_text())["models"]
    described = {column["name"]: column["description"] for column in model["columns"]}

    columns = client.query(
        "SELECT name, comment FROM system.columns WHERE database = {marts:String} AND table = 'revenue_daily'",
        parameters={"marts": dbt.settings.database("marts")},
    ).result_rows

    assert dict(columns) == described


def test_models_select_their_columns_in_the_order_of_the_contract(dbt: Dbt, client: Client) -> None:
    # A union goes by position: rows taken over from the table itself would land in the wrong columns.
    models = [node for node in dbt.manifest()["nodes"].values() if node["resource_type"] == "model"]
    dbt("compile", "--select", "resource_type:model")

    for model in models:
        sql = (dbt.compiled() / model["original_file_path"]).read_text()
        settings = {"join_use_nulls": 1, "prefer_column_name_to_alias": 1}
        selected = client.query(f"DESCRIBE TABLE ({sql})", settings=settings).result_rows

        assert [column[0] for column in selected] == list(model["columns"]), model["name"]
