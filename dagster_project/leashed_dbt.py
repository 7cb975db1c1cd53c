"""`python -m dagster_project.leashed_dbt ...`: the dbt command, which ends with the run that started it.

Nobody stops the dbt of a run that is killed. It would go on writing beside the run that takes up the work.
"""

import os
import threading
import time

from dbt.cli.main import cli

POLL_SECONDS = 0.25


def end_with(parent: int) -> None:
    """End this process, whatever it does, as soon as it is no longer a child of that one."""
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    cli()
