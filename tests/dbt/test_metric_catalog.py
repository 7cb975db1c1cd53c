"""The catalog of metrics and the mart of their values name the same metrics."""

import csv
import re

import yaml

from tests.dbt.conftest import PROJECT

CATALOG = list(csv.DictReader((PROJECT / "seeds/metric_catalog.csv").read_text().splitlines()))


def test_catalog_and_mart_have_the_same_metrics() -> None:
    sql = (PROJECT / "models/marts/kpis/kpis_daily.sql").read_text()
    computed = set(re.findall(r"\('(\w+)', (?:''|currency), ", sql))

    assert {metric["metric"] for metric in CATALOG} == computed


def test_every_metric_belongs_to_the_owner_of_a_group() -> None:
    groups = yaml.safe_load((PROJECT / "models/groups.yml").read_text())["groups"]

    assert {metric["owner"] for metric in CATALOG} <= {group["owner"]["email"] for group in groups}


def test_every_metric_has_a_name_and_a_formula_in_words() -> None:
    assert [metric["metric"] for metric in CATALOG if not (metric["name"] and metric["formula"])] == []
