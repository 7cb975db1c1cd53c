"""What the stack says to people: prefixed logs, the summary of addresses, the table of processes."""

from collections.abc import Iterable
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from local_stack.health import answers, is_alive
from local_stack.process import Process
from local_stack.processes import Programs
from local_stack.state_directory import RunningProcess

COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_red", "bright_cyan", "bright_magenta")
NAME_WIDTH = 14


class LogFollower:
    """Prints what processes append to their log files, each line behind the name of its process."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._files: dict[Path, tuple[IO[str], str, Text]] = {}

    def follow(self, processes: Iterable[Process]) -> None:
        """Print new lines of these processes from now on, from the start of each one's own output."""
        for process in processes:
            if process.log_path not in self._files:
                file = process.log_path.open(errors="replace")
                file.seek(process.log_offset)
                prefix = Text(f"{process.name:<{NAME_WIDTH}} | ", COLOURS[len(self._files) % len(COLOURS)])
                self._files[process.log_path] = (file, "", prefix)

    def print_new_lines(self) -> None:
        """Print the complete lines that have come since the last call."""
        for path, (file, rest, prefix) in self._files.items():
            *lines, rest = (rest + file.read()).split("\n")
            for line in lines:
                self._console.print(prefix + Text.from_ansi(line), soft_wrap=True, highlight=False)
            self._files[path] = (file, rest, prefix)

    def close(self) -> None:
        """Print what is left and close the files."""
        self.print_new_lines()
        for file, _, _ in self._files.values():
            file.close()
        self._files.clear()


def print_summary(console: Console, programs: Programs) -> None:
    """Print where everything is, and the ready-made token and write key."""
    ports = programs.settings.ports
    access = programs.state.read_access()
    if access is None:
        return
    lines = {
        "API": access.api_url,
        "API reference": f"{access.api_url}/docs",
        "Dagster": access.dagster_url,
        "ClickHouse": f"http://127.0.0.1:{ports.clickhouse} (users default, bi_reader; "
        f"passwords in {programs.state.credentials_file})",
        "Valkey": f"redis://127.0.0.1:{ports.valkey}",
        "Data and logs": str(programs.state.path),
        "Token (admin)": access.token,
        "Write key": access.write_key,
    }
    console.print()
    for name, value in lines.items():
        console.print(Text(f"{name:<{NAME_WIDTH}} ", "bold") + Text(value), soft_wrap=True, highlight=False)
    console.print()


def status_table(processes: Iterable[RunningProcess], now: float) -> Table:
    """Return the table of `status` at `now` (seconds since 1970), asking each process whether it is healthy."""
    table = Table("process", "state", "pid", "address", "uptime", "health")
    for process in processes:
        alive = is_alive(process.pid)
        table.add_row(
            process.name,
            "running" if alive else "stopped",
            str(process.pid),
            process.address,
            uptime(now - process.started_at),
            health(process) if alive else "-",
        )
    return table


def health(process: RunningProcess) -> str:
    """Say in a word whether a running process answers; one that cannot be asked is `alive`."""
    if not process.health_url:
        return "alive"
    return "healthy" if answers(process.health_url) else "no answer"


def uptime(seconds: float) -> str:
    """Return a duration as people read it, for example `2 h 05 min` or `41 s`."""
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
