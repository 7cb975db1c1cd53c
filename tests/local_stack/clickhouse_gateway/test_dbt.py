"""dbt-clickhouse against the gateway: the materializations a project needs, in two runs."""

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

PROFILE = """\
tiny:
  target: dev
  outputs:
    dev:
      {{type: clickhouse, host: 127.0.0.1, port: {port}, user: default, password: secret, schema: tiny, threads: 4,
        custom_settings: {{join_use_nulls: 1}}}}
"""
FILES = {
    "dbt_project.yml": "{name: tiny, version: '1.0', profile: tiny, model-paths: [models], seed-paths: [seeds]}",
    "seeds/countries.csv": "code,name\nDE,Germany\nFR,Côte d'Azur\n",
    "models/events.sql": """
        {{ config(materialized='table', order_by='day', engine='MergeTree()') }}
        select toDate('2024-01-01') + number % 3 as day, number as id from numbers(10)""",
    "models/recent_events.sql": "{{ config(materialized='view') }} select * from {{ ref('events') }} where id > 2",
    "models/daily.sql": """
        {{ config(materialized='incremental', incremental_strategy='insert_overwrite', partition_by='day',
                  order_by='day', on_schema_change='fail', contract={'enforced': true},
                  persist_docs={'relation': true, 'columns': true}) }}
        select day, count() as event_count from {{ ref('events') }}
        {% if is_incremental() %} where day = '2024-01-02' {% endif %} group by day""",
    "models/appended.sql": """
        {{ config(materialized='incremental', incremental_strategy='delete_insert', unique_key='id', order_by='id') }}
        select id, day from {{ ref('events') }}""",
    "models/schema.yml": """\
        version: 2
        models:
          - name: daily
            description: "One row per day, 100 % of them, it's fine"
            columns:
              - {name: day, data_type: Date, description: "The 'day'", data_tests: [unique, not_null]}
              - {name: event_count, data_type: UInt64, description: How many}
    """,
}


@pytest.fixture
def project(tmp_path: Path, server: Any) -> Path:
    for name, text in {**FILES, "profiles.yml": PROFILE.format(port=server.port)}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return tmp_path


def dbt(project: Path, command: str) -> str:
    program = Path(sys.executable).with_name("dbt")
    options = ["--no-use-colors", "--project-dir", str(project), "--profiles-dir", str(project)]
    done = subprocess.run(
        [str(program), *options[:1], command, *options[1:]], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_dbt_builds_twice(server: Any, project: Path) -> None:
    first, second = dbt(project, "build"), dbt(project, "build")

    assert "ERROR=0" in first
    assert "ERROR=0" in second
    assert server.run("SELECT count() FROM tiny.recent_events") == "7\n"
    assert server.run("SELECT * FROM tiny.daily ORDER BY day") == "2024-01-01\t4\n2024-01-02\t3\n2024-01-03\t3\n"
    assert server.run("SELECT count(), uniqExact(id) FROM tiny.appended") == "10\t10\n"
    assert server.run("SELECT name FROM tiny.countries WHERE code = 'FR'") == "Côte d\\'Azur\n"
    assert server.run("SELECT comment FROM system.tables WHERE database = 'tiny' AND name = 'daily'") == (
        "One row per day, 100 % of them, it\\'s fine\n"
    )
    assert server.run("SELECT groupArray(comment) FROM system.columns WHERE database = 'tiny' AND table = 'daily'") == (
        "['The \\'day\\'','How many']\n"
    )
