from tests.dbt.conftest import Dbt


def test_unit_tests_of_the_models_pass(dbt: Dbt) -> None:
    dbt("test", "--select", "test_type:unit")
