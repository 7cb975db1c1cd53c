"""ClickHouse's HTTP interface over an embedded engine, for the clients of a ClickHouse server.

`python -m local_stack.clickhouse_gateway --data-dir DIR --host 127.0.0.1 --port 8123 --users FILE` serves one data
directory. clickhouse-connect, dbt-clickhouse, the SQLAlchemy dialect and curl work as with a server: queries in the
URL or the body, rows after `INSERT ... FORMAT X`, `param_*`, settings as parameters, `session_id`, Content-Encoding
and Accept-Encoding, `wait_end_of_query`, X-ClickHouse-* headers, errors with their codes, also after the first rows.
An insert is acknowledged after its part is on disk.

What a server has and this has not: the native protocol, `compress=1`, progress headers, CREATE USER, quotas, `role=`,
`INSERT ... SELECT ... FROM input()` with rows in the request, server-side cursors of any kind. The engine knows one
user, so currentUser() is always `default`, and its query ids are its own: a client finds its query in
system.processes by `Settings['log_comment']`, which is the query id unless the client sets it. system.query_log keeps
the queries of clients that set `log_queries=1`, for seven days.

**Users file.** The subset of ClickHouse's users.xml below; anything else in it is refused at the start.

```xml
<clickhouse>
    <profiles>
        <default>                                         <!-- settings of every query; must exist -->
            <max_memory_usage>8000000000</max_memory_usage>
            <max_concurrent_queries_for_user>50</max_concurrent_queries_for_user>  <!-- counted by the gateway -->
        </default>
        <adhoc>                                           <!-- a client may choose it by `profile=adhoc` -->
            <max_threads>1</max_threads>
            <os_threads_nice_value_query>19</os_threads_nice_value_query>  <!-- lets inserts and short queries pass -->
        </adhoc>
        <reader>
            <readonly>2</readonly>                        <!-- 1 = no settings either, 2 = within constraints -->
            <max_execution_time>60</max_execution_time>
            <constraints>                                 <!-- min, max, const; 0 often means unlimited: give a min -->
                <max_execution_time><min>1</min><max>60</max></max_execution_time>
            </constraints>
        </reader>
    </profiles>
    <users>
        <default>
            <password_sha256_hex>...</password_sha256_hex>  <!-- or password, or password_double_sha1_hex -->
            <networks><ip>127.0.0.1</ip></networks>       <!-- optional; addresses and networks, no host names -->
            <profile>default</profile>
        </default>                                        <!-- no grants and not read-only: an administrator -->
        <bi_reader>
            <password_sha256_hex>...</password_sha256_hex>
            <profile>reader</profile>
            <grants><query>GRANT SELECT ON marts.*</query></grants>  <!-- default of a read-only user: SELECT ON *.* -->
            <default_database>marts</default_database>
        </bi_reader>
    </users>
</clickhouse>
```
"""
