import pytest

from dagster_project.defs.transform.lanes import Lane, lane_of, nightly_tests


@pytest.mark.parametrize(
    ("tags", "lane"),
    [
        (["hot"], Lane.HOT),
        (["hot", "nightly"], Lane.NIGHTLY),
        (["hourly", "hot", "finance"], Lane.HOURLY),
        (["finance"], Lane.HOURLY),
        ([], Lane.HOURLY),
    ],
)
def test_lane_is_the_slowest_that_the_tags_name_and_hourly_without_any(tags: list[str], lane: Lane) -> None:
    assert lane_of(tags) == lane


def test_nightly_tests_are_named_as_dbt_selects_them() -> None:
    manifest = {
        "nodes": {
            "test.a": {"resource_type": "test", "tags": ["nightly"], "fqn": ["analytics", "marts", "adds_up"]},
            "test.b": {"resource_type": "test", "tags": [], "fqn": ["analytics", "b"]},
            "model.c": {"resource_type": "model", "tags": ["nightly"], "fqn": ["analytics", "c"]},
        }
    }

    assert nightly_tests(manifest) == {"analytics.marts.adds_up": "test.a"}
