"""`analytics flags`: all definitions as one YAML file, for version control and for other environments."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from command_line.api_session import FAILED, URL, Token, Url, answer_of, api_session
from ingest_api.strict_yaml import YamlInvalid, read_yaml

flags_app = typer.Typer(help="Feature flags and segments as a file: export them, apply them.", no_args_is_help=True)

_PATH = "/api/feature-flags"
_LEFT_OUT_WHEN_EMPTY = (
    "description", "owner", "tags", "conditions", "segments", "variants", "rules", "prerequisites",
)  # fmt: skip
_SIGNS = {"created": "+", "updated": "~", "deleted": "-"}
_FILE_WIDTH = 120


@flags_app.command("export")
def export_flags(
    output: Annotated[Path | None, typer.Option(dir_okay=False, help="A file; by default to the terminal")] = None,
    url: Url = URL,
    token: Token = "",
) -> None:
    """Write all flags and segments as YAML, by key, without versions and times: two exports can be compared."""
    with api_session("flags", url, token) as api:
        bundle = answer_of(api.get(f"{_PATH}/export"))
    text = as_yaml(bundle)
    if output is None:
        typer.echo(text, nl=False)
        return
    output.write_text(text, encoding="utf-8")
    typer.echo(f"{len(bundle['flags'])} flags and {len(bundle['segments'])} segments in {output}")


@flags_app.command("apply")
def apply_flags(
    file: Annotated[Path, typer.Argument(allow_dash=True, dir_okay=False, help="From `export`; - reads the input.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Delete what the file does not have.")] = False,
    comment: Annotated[str, typer.Option(help="Why, for the history")] = "",
    url: Url = URL,
    token: Token = "",
) -> None:
    """Create and change what differs from a file: everything, or nothing when anything in it is wrong."""
    body = _body(file)
    query = {"dryRun": dry_run, "prune": prune, "comment": comment}
    with api_session("flags", url, token) as api:
        items = answer_of(api.post(f"{_PATH}/apply", body, **query))["items"]
    for one in items:
        if one["action"] in _SIGNS:
            members = f": {', '.join(one['members'])}" if one["members"] else ""
            typer.echo(f"{_SIGNS[one['action']]} {one['kind']} {one['key']}{members}")
    counts = Counter(one["action"] for one in items)
    sentence = ", ".join(f"{counts[action]} {action}" for action in (*_SIGNS, "unchanged"))
    typer.echo(f"{'would be ' if dry_run else ''}{sentence}")


def as_yaml(bundle: dict[str, Any]) -> str:
    """A bundle as text. What is empty, and would be without being said, is left out."""
    shortened = {kind: [_shortened(one) for one in bundle[kind]] for kind in ("segments", "flags")}
    text: str = yaml.safe_dump(shortened, sort_keys=False, allow_unicode=True, width=_FILE_WIDTH)
    return text


def _shortened(definition: dict[str, Any]) -> dict[str, Any]:
    """A flag, a segment or a rule."""
    kept = {name: one for name, one in definition.items() if one or name not in _LEFT_OUT_WHEN_EMPTY}
    return kept | {"rules": [_shortened(one) for one in kept["rules"]]} if "rules" in kept else kept


def _body(file: Path) -> bytes:
    """The file as JSON; exit code `FAILED` with what is wrong with it."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        bundle = read_yaml(text)
        if not isinstance(bundle, dict):
            raise ValueError("is a mapping with `flags` and `segments`")
        return json.dumps(bundle, allow_nan=False).encode()
    except (OSError, YamlInvalid, ValueError, TypeError, RecursionError) as error:
        typer.echo(f"analytics flags: {file}: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(FAILED) from error
