import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.dagster_project.conftest import Prepared


def test_dbt_process_is_stopped_when_its_run_ends_early(environment: Prepared) -> None:
    from dagster_project.defs.transform.assets import ended

    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stderr=subprocess.DEVNULL) as process:
        with pytest.raises(KeyError), ended(SimpleNamespace(process=process)):  # type: ignore[arg-type]
            raise KeyError("unknown test")

        assert process.poll() is not None
