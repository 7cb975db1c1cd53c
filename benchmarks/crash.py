"""What is stored after clients posted known events while processes were killed: nothing lost, nothing made up.

Clients resend what was not answered, with the same ids; each sending is marked, so that a row that is there twice can
be put down to the client's resend or to the service. Exits with 1 when a promise was broken.

Long form: python -m benchmarks.crash --kills 100 --events 500000 --after-insert 20 --zombies 5 --renames 20
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.harness.crashing import PROCESSES, SECOND_FLUSHER, Trial, stack_with_two_flushers, trial
from benchmarks.harness.faults import Faults
from local_stack.startup import IngestStack


def random_kills(running: IngestStack, kills: int, events: int, rate: float) -> Trial:
    """Kill each of the processes in turn, in random order and at random times."""
    rounds, rest = divmod(kills, len(PROCESSES))

    def inflict(faults: Faults) -> None:
        for _ in range(rounds):
            faults.kill_at_random(PROCESSES)
        faults.kill_at_random(PROCESSES[:rest])

    return trial(running, "kills", inflict, events=events, events_per_second=rate)


def kills_after_insert(running: IngestStack, times: int, rate: float) -> Trial:
    """Kill a flusher each time when ClickHouse has stored its batch and the stream does not know yet."""
    return trial(
        running, "after-insert", lambda faults: faults.kill_after_insert("flusher", times), events_per_second=rate
    )


def kills_at_rename(running: IngestStack, times: int, rate: float) -> Trial:
    """Kill ClickHouse each time when it remembers a batch's token and has not named the part with its rows yet."""
    return trial(running, "renames", lambda faults: faults.kill_at_rename(times), events_per_second=rate)


def zombies(running: IngestStack, times: int, rate: float) -> Trial:
    """Freeze a flusher until the other has taken over its batch, then let it go on."""

    def inflict(faults: Faults) -> None:
        for turn in range(times):
            faults.freeze(("flusher", SECOND_FLUSHER)[turn % 2])

    return trial(running, "zombies", inflict, events_per_second=rate)


def retry_storm(running: IngestStack, events: int, lost_share: float) -> Trial:
    """Let clients hang up before they have read an answer, and send again."""
    return trial(running, "storm", lambda _: None, events=events, events_per_second=0, lost_share=lost_share)


def main() -> int:
    """Run the trials and print what came of them; the exit code is 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5, help="kill -9 at random times")
    parser.add_argument("--events", type=int, default=30_000, help="acknowledged at least, with kills and without")
    parser.add_argument("--rate", type=float, default=5000, help="events per second while something happens")
    parser.add_argument("--after-insert", type=int, default=2, help="kills between insert and acknowledge")
    parser.add_argument("--renames", type=int, default=1, help="kills of ClickHouse at the rename of a part")
    parser.add_argument("--zombies", type=int, default=0, help="flushers frozen beyond their time; 11 s each")
    parser.add_argument("--lost", type=float, default=0.3, help="share of answers that clients do not read")
    options = parser.parse_args()
    trials: dict[str, Trial] = {}
    with (
        tempfile.TemporaryDirectory(prefix="analytics-crash-") as directory,
        stack_with_two_flushers(Path(directory)) as running,
    ):
        if options.kills:
            trials["kill -9 at random"] = random_kills(running, options.kills, options.events, options.rate)
        if options.after_insert:
            trials["flusher killed between insert and acknowledge"] = kills_after_insert(
                running, options.after_insert, options.rate
            )
        if options.renames:
            trials["ClickHouse killed at the rename of a part"] = kills_at_rename(
                running, options.renames, options.rate
            )
        if options.zombies:
            trials["zombie flusher"] = zombies(running, options.zombies, options.rate)
        if options.lost:
            trials[f"{options.lost:.0%} of answers lost"] = retry_storm(running, options.events, options.lost)
    for name, one in trials.items():
        print(f"{name}: {one.lines()[0]}")
        print(*(f"    {line}" for line in one.lines()[1:]), sep="\n")
    return 1 if any(one.problems for one in trials.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
