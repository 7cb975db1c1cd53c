"""What the marts hold after runs of Dagster were killed at random moments, against a full rebuild from the same events.

Exits with 1 when a table differs.

Long form: python -m benchmarks.kills --kills 20 --events 20000
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.harness.killed_runs import Pipeline, trial
from local_stack.stack import Stack
from local_stack.startup import programs_on_free_ports, start_engines, warehouse_settings
from warehouse.client import connect
from warehouse.migrate import migrate


def main() -> int:
    """Run the trial and print what came of it; the exit code is 1 when a table differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=3, help="runs killed")
    parser.add_argument("--events", type=int, default=2000, help="new events for each of them")
    parser.add_argument("--seed", type=int, default=1, help="another seed kills at other moments")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="analytics-kills-") as directory, Stack() as stack:
        programs = programs_on_free_ports(Path(directory))
        start_engines(stack, programs, lambda _: None)
        settings = warehouse_settings(programs)
        client = connect(settings)
        migrate(client, settings)
        outcome = trial(client, Pipeline(settings, Path(directory)), options.kills, options.events, options.seed)
        client.close()
    print(*outcome.lines(), sep="\n")
    return 1 if outcome.different else 0


if __name__ == "__main__":
    sys.exit(main())
