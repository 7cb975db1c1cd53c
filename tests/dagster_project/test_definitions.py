import dagster as dg

LAYERS = ["raw", "staging", "intermediate", "marts", "stats"]
GROUPS = {"stats": "experiments"}
"""Of the layers whose group is not called like them."""


def test_definitions_are_loadable(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_asset_names_its_layer_group_owner_kind_and_meaning(definitions: dg.Definitions) -> None:
    specs = definitions.resolve_all_asset_specs()

    assert len(specs) > 10
    for spec in specs:
        assert len(spec.key.path) == 2, spec.key
        assert spec.group_name == GROUPS.get(spec.key.path[0], spec.key.path[0])
        assert spec.owners, spec.key
        assert spec.kinds, spec.key
        assert spec.description, spec.key


def test_data_flows_from_raw_over_staging_and_intermediate_to_marts(definitions: dg.Definitions) -> None:
    from dagster_project.defs.transform.project import manifest

    graph = definitions.resolve_asset_graph()
    # Facts that come with the project stand beside the marts, and any layer may read them.
    seeds = {node["name"] for node in manifest()["nodes"].values() if node["resource_type"] == "seed"}

    flows = {
        (parent.path[0], key.path[0])
        for key in graph.get_all_asset_keys()
        for parent in graph.get(key).parent_keys
        if parent.path[0] != key.path[0] and parent.path[-1] not in seeds
    }

    assert {("raw", "staging"), ("staging", "intermediate"), ("intermediate", "marts")} <= flows
    order = {layer: place for place, layer in enumerate(["ops", *LAYERS])}
    assert all(order[source] < order[target] for source, target in flows)


def test_marts_and_raw_events_have_a_freshness_policy(definitions: dg.Definitions) -> None:
    policies = {spec.key.to_user_string(): spec.freshness_policy for spec in definitions.resolve_all_asset_specs()}

    marts = {name: policy for name, policy in policies.items() if name.startswith("marts/")}

    assert policies["raw/events"]
    assert marts
    assert all(marts.values())


def test_every_dbt_test_is_a_check(definitions: dg.Definitions) -> None:
    from dagster_project.defs.transform.project import manifest

    tests = {node["name"] for node in manifest()["nodes"].values() if node["resource_type"] == "test"}

    checks = {key.name for key in definitions.resolve_asset_graph().asset_check_keys}

    assert tests
    assert tests <= checks


def tables(definitions: dg.Definitions, *lanes: str) -> set[dg.AssetKey]:
    return {spec.key for spec in definitions.resolve_all_asset_specs() if spec.tags.get("lane") in lanes}


def test_lane_builds_its_tables_and_those_of_the_faster_lanes(definitions: dg.Definitions) -> None:
    jobs = {
        name: definitions.resolve_job_def(name).asset_layer.asset_graph.executable_asset_keys
        for name in ("hot_marts_job", "hourly_marts_job", "nightly_checks_job")
    }
    by_hand = {dg.AssetKey(["ops", "replay_requests"])}
    of_no_lane = {dg.AssetKey(["maintenance", "housekeeping"]), dg.AssetKey(["stats", "experiment_estimates"])}

    assert jobs["hot_marts_job"] == tables(definitions, "hot")
    assert jobs["hourly_marts_job"] == tables(definitions, "hot", "hourly")
    assert jobs["nightly_checks_job"] == definitions.resolve_asset_graph().executable_asset_keys - by_hand
    assert tables(definitions, "hot", "hourly", "nightly") == jobs["nightly_checks_job"] - of_no_lane


def test_job_of_experiments_builds_what_their_results_stand_on_and_computes_them(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def("experiment_results_job").asset_layer.asset_graph

    keys = {key.to_user_string() for key in job.executable_asset_keys}

    assert {"staging/batch_window", "intermediate/int_events", "marts/experiment_results"} <= keys
    assert "stats/experiment_estimates" in keys
    assert "marts/sessions" not in keys
    assert job.executable_asset_keys - tables(definitions, "hot", "hourly") == {
        dg.AssetKey(["stats", "experiment_estimates"])
    }


def test_hot_lane_holds_what_dashboards_look_at(definitions: dg.Definitions) -> None:
    from dagster_project.defs.transform.project import manifest

    read = {node for exposure in manifest()["exposures"].values() for node in exposure["depends_on"]["nodes"]}

    assert read
    assert {dg.AssetKey(["marts", node.split(".")[-1]]) for node in read} <= tables(definitions, "hot")


def test_heavy_checks_wait_for_the_night_and_the_probe_for_its_sensor(definitions: dg.Definitions) -> None:
    from dagster_project.defs.raw.assets import ARRIVAL_CHECK
    from dagster_project.defs.raw.quarantine_checks import quarantine_checks
    from dagster_project.defs.transform.drift_checks import drift_checks
    from dagster_project.defs.transform.nightly_tests import nightly_test_specs

    heavy = {spec.key for spec in nightly_test_specs().values()} | drift_checks.check_keys
    checks = {
        name: definitions.resolve_job_def(name).asset_layer.asset_graph.asset_check_keys
        for name in ("hot_marts_job", "hourly_marts_job", "nightly_checks_job")
    }
    every = definitions.resolve_asset_graph().asset_check_keys

    assert checks["nightly_checks_job"] == every - {ARRIVAL_CHECK}
    assert checks["hourly_marts_job"] == {
        key
        for key in every - heavy - {ARRIVAL_CHECK}
        if key.asset_key.path[0] == "raw" or key.asset_key in tables(definitions, "hot", "hourly")
    }
    assert checks["hot_marts_job"] == {
        key
        for key in checks["hourly_marts_job"] - quarantine_checks.check_keys
        if key.asset_key.path[0] == "raw" or key.asset_key in tables(definitions, "hot")
    }


def test_everything_that_writes_the_warehouse_waits_for_the_same_pool(definitions: dg.Definitions) -> None:
    nightly = definitions.resolve_job_def("nightly_checks_job")

    pools = {node.name: node.definition.pool for node in nightly.nodes if hasattr(node.definition, "pool")}

    assert {name for name, pool in pools.items() if pool == "dbt"} == {
        "models",
        "stats__experiment_estimates",
        "nightly_tests",
        "drift",
        "maintenance__housekeeping",
    }
    assert definitions.get_assets_def(["ops", "replay_requests"]).op.pool == "dbt"


def test_schedules_and_sensors_are_on_from_the_first_start(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()

    schedules = {schedule.name: schedule for schedule in repository.schedule_defs}
    sensors = {sensor.name: sensor.default_status for sensor in repository.sensor_defs}

    assert {name: schedule.cron_schedule for name, schedule in schedules.items()} == {
        "hourly_marts_schedule": "7 * * * *",
        "experiment_results_schedule": "37 * * * *",
        "nightly_checks_schedule": "15 2 * * *",
    }
    assert {schedule.execution_timezone for schedule in schedules.values()} == {"UTC"}
    assert {schedule.default_status for schedule in schedules.values()} == {dg.DefaultScheduleStatus.RUNNING}
    assert {name for name, status in sensors.items() if status == dg.DefaultSensorStatus.RUNNING} >= {
        "new_events_sensor",
        "freshness_probe_sensor",
        "failed_run_sensor",
        "freshness_alert_sensor",
    }
