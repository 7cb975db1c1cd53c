"""The files of a plan: YAML, read strictly, every slip named with its file and path."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ingest_api.strict_yaml import YamlInvalid, read_yaml
from ingest_api.tracking_plan.declarations import PlanFile

SETTINGS_FILE = "plan.yml"
"""The one file that says what becomes of events that are in no file."""
_OWN_WORDS = {
    "unexpected_keyword_argument": "is not known here",
    "missing": "is missing",
    "tuple_type": "is a list",
    "bool_type": "is true or false",
    "string_pattern_mismatch": "has no braces; and a name has no control characters, back quotes or backslashes",
    "string_type": "is text; put quotes around it",
}
_adapter = TypeAdapter(PlanFile)


class PlanInvalid(Exception):
    """The plan cannot be used; `problems` say where and why, one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        more = f" (and {len(problems) - 1} more; `analytics plan check` shows all)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}")
        self.problems = problems


def read_plan_files(directory: Path) -> dict[str, PlanFile]:
    """Read every file of a plan, in the order of their names.

    Raises:
        PlanInvalid: there is no such directory, or something in a file is wrong; all problems of all files are named.
    """
    if not directory.is_dir():
        raise PlanInvalid(
            [f"{directory}: is no directory; name that of the tracking plan, for example dbt/tracking_plan"]
        )
    files: dict[str, PlanFile] = {}
    problems: list[str] = []
    for path in sorted(path for path in directory.iterdir() if path.suffix in (".yml", ".yaml")):
        try:
            content = read_yaml(path.read_text(encoding="utf-8"))
            # As JSON, because strict Python input would have to be made of tuples and dataclasses already.
            files[path.name] = _adapter.validate_json(json.dumps(content, default=str))
        except ValidationError as error:
            problems += [_problem(path.name, one) for one in error.errors(include_url=False)]
        except (YamlInvalid, UnicodeDecodeError) as error:
            problems.append(f"{path.name}: is no YAML: {' '.join(str(error).split())}")
    problems += _contradictions(files)
    if problems:
        raise PlanInvalid(problems)
    return files


def _contradictions(files: Mapping[str, PlanFile]) -> Iterator[str]:
    """What is wrong between events, properties and files that are right by themselves."""
    events: dict[str, str] = {}
    models: dict[str, str] = {}
    for file_name, file in files.items():
        if file.unknown_events is not None and file_name != SETTINGS_FILE:
            yield f"{file_name}: unknown_events: belongs to {SETTINGS_FILE}"
        for index, event in enumerate(file.events):
            here = f"{file_name}: events[{index}]"
            if event.name in events:
                yield f"{here}.name: {event.name} is declared in {events[event.name]} already"
            elif event.model in models:
                yield f"{here}.name: {event.name} would have the same model ({event.model}) as {models[event.model]}"
            events.setdefault(event.name, file_name)
            models.setdefault(event.model, event.name)
            columns: dict[str, str] = defaultdict(str)
            for number, one in enumerate(event.properties):
                if other := columns[one.column]:
                    why = (
                        "is declared already"
                        if other == one.name
                        else f"would have the same column ({one.column}) as {other}"
                    )
                    yield f"{here}.properties[{number}].name: {one.name} {why}"
                columns[one.column] = one.name


def _problem(file_name: str, error: Any) -> str:
    path = ""
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    said = _OWN_WORDS.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ")
    return f"{file_name}: {path}: {said}" if path else f"{file_name}: is a mapping that begins with `version: 1`"
