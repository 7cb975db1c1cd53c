"""The users of the local ClickHouse: `default` for our own processes, `bi_reader` for dashboards and notebooks."""

import hashlib
import os
from pathlib import Path
from string import Template

# Threads of a reader's query run at the lowest priority, so that inserts keep their pace beside heavy ones. The engine
# leaves that out where the operating system does not let it (CAP_SYS_NICE).
# bi_reader may raise no limit: `<min>1</min>` because 0, which means unlimited, would pass a `<max>` alone.
_TEMPLATE = Template("""\
<clickhouse>
    <profiles>
        <default>
            <max_memory_usage>8000000000</max_memory_usage>
            <max_execution_time>900</max_execution_time>
            <http_max_tries>1</http_max_tries>
        </default>
        <reader>
            <readonly>2</readonly>
            <allow_ddl>0</allow_ddl>
            <max_memory_usage>2000000000</max_memory_usage>
            <max_execution_time>60</max_execution_time>
            <max_threads>1</max_threads>
            <os_threads_nice_value_query>19</os_threads_nice_value_query>
            <max_result_rows>1000000</max_result_rows>
            <http_max_tries>1</http_max_tries>
            <constraints>
                <max_memory_usage><min>1</min><max>2000000000</max></max_memory_usage>
                <max_execution_time><min>1</min><max>60</max></max_execution_time>
                <max_threads><min>1</min><max>2</max></max_threads>
                <os_threads_nice_value_query><const/></os_threads_nice_value_query>
                <max_result_rows><min>1</min><max>1000000</max></max_result_rows>
            </constraints>
        </reader>
    </profiles>
    <users>
        <default>
            <password_sha256_hex>$default_password</password_sha256_hex>
            <networks><ip>127.0.0.1</ip></networks>
            <profile>default</profile>
        </default>
        <bi_reader>
            <password_sha256_hex>$bi_reader_password</password_sha256_hex>
            <networks><ip>127.0.0.1</ip></networks>
            <profile>reader</profile>
            $grants
        </bi_reader>
    </users>
</clickhouse>
""")


def write_users_file(path: Path, default_password: str, bi_reader_password: str, database: str = "") -> None:
    """Write the users file, readable by its owner only; it holds hashes, not the passwords.

    `bi_reader` sees the marts of the environment `database` and nothing else, without one all tables.
    """
    grants = f"<grants><query>GRANT SELECT ON {database}_marts.*</query></grants>" if database else ""
    text = _TEMPLATE.substitute(
        default_password=hashlib.sha256(default_password.encode()).hexdigest(),
        bi_reader_password=hashlib.sha256(bi_reader_password.encode()).hexdigest(),
        grants=grants,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
