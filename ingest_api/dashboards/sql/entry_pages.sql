-- The pages on which most sessions of the asked period began.
SELECT
    entry_page,
    countIf(session_date >= {start:Date}) AS session_count,
    countIf(session_date < {start:Date}) AS previous_session_count,
    countIf(is_bounce AND session_date >= {start:Date}) AS bounce_count
FROM {marts:Identifier}.sessions
WHERE session_date BETWEEN {previous_start:Date} AND {end:Date} AND entry_page != ''
GROUP BY entry_page
HAVING session_count > 0
ORDER BY session_count DESC, entry_page
LIMIT 10
