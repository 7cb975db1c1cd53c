# One image for the API, the flusher and Dagster: the command tells which.
FROM python:3.11.14-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

RUN useradd --create-home --uid 10001 analytics
WORKDIR /srv/analytics

COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY warehouse warehouse
COPY flags flags
COPY experiment_stats experiment_stats
COPY ingest_api ingest_api
COPY dagster_project dagster_project
COPY local_stack local_stack
COPY command_line command_line
# Editable: dagster_project finds the dbt project beside itself, as in a checkout.
RUN pip install -c constraints.txt -e .

COPY dbt dbt
ENV ANALYTICS_TRACKING_PLAN=/srv/analytics/dbt/tracking_plan
ENV DAGSTER_HOME=/var/lib/dagster DBT_TARGET_PATH=/srv/analytics/target DBT_LOG_PATH=/srv/analytics/target/logs
RUN mkdir -p "$DAGSTER_HOME" target && chown -R analytics:analytics "$DAGSTER_HOME" target

USER analytics
EXPOSE 3007 3000
CMD ["python", "-m", "ingest_api"]
