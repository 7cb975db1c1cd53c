{# The view runs with its owner's rights, since readers of marts see nothing else, and with the reader's settings: names are
   qualified because an alias may hide a column there. #}
{{ config(materialized='view', sql_security='definer', definer=target.user) }}

with

results as (select * from {{ source('ops', 'test_results') }})

select
    results.test_name as test_name,
    argMax(results.layer, results.tested_at) as layer,
    argMax(results.table_name, results.tested_at) as table_name,
    argMax(results.severity, results.tested_at) as severity,
    argMax(results.status, results.tested_at) as status,
    argMax(results.failure_count, results.tested_at) as failure_count,
    argMax(results.message, results.tested_at) as message,
    maxOrNullIf(results.tested_at, results.status = 'pass') as last_passed_at,
    max(results.tested_at) as refreshed_at
from results
group by results.test_name
