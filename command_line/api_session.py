"""Commands that ask the API with a token: what they have in common."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import httpx
import typer

from command_line.api_connection import ApiAway, ApiConnection, problem_in

URL = "http://127.0.0.1:3007"
Url = Annotated[str, typer.Option(help="Address of the API")]
Token = Annotated[str, typer.Option(envvar="ANALYTICS_TOKEN", help="A token, see `analytics token issue`")]
FAILED = 2
"""Exit code of a command to which the API is away, or that it refuses."""
_PATIENCE_SECONDS = 60.0


class Refused(Exception):
    """The API does not do what it was asked for; each wrong field is a line of its own."""


@contextmanager
def api_session(command: str, url: str, token: str) -> Iterator[ApiConnection]:
    """The API; that it is away, or refuses, is told in words and exit code `FAILED`."""
    if not token:
        raise typer.BadParameter("give --token or set ANALYTICS_TOKEN (make one with `analytics token issue`)")
    api = ApiConnection(url, token, _PATIENCE_SECONDS)
    try:
        yield api
    except (ApiAway, Refused) as error:
        typer.echo(f"analytics {command}: {url}: {error}", err=True)
        raise typer.Exit(FAILED) from error
    finally:
        api.close()


def answer_of(response: httpx.Response) -> dict[str, Any]:
    """The body of an answer. Raises `Refused` when it is an error."""
    if response.is_success:
        answer: dict[str, Any] = response.json()
        return answer
    problem = problem_in(response)
    lines = [f"  {one.field or 'definition'}: {one.message}" for one in problem.errors]
    raise Refused("\n".join([f"{problem.detail} ({problem.code})", *(lines if len(lines) > 1 else [])]))
