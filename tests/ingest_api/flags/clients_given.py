"""An API that has flags of every kind, for tests of the protocols of its clients."""

from dataclasses import dataclass
from typing import Any

import httpx

from flags.codec import encode_flag, encode_segment
from flags.model import Flag, Segment
from ingest_api.auth.roles import Role
from tests.ingest_api.conftest import Api
from tests.ingest_api.serving import bearer, token_for, write_key_for


@dataclass(frozen=True, slots=True)
class FlagApi:
    """A running API, a write key, and what an editor sends."""

    client: httpx.Client
    write_key: str
    editor: dict[str, str]

    @property
    def url(self) -> str:
        return str(self.client.base_url).rstrip("/")

    def apply(self, *definitions: Flag | Segment) -> None:
        """Bring the environment to these definitions and no others."""
        bundle = {
            "segments": [encode_segment(one) for one in definitions if isinstance(one, Segment)],
            "flags": [encode_flag(one) for one in definitions if isinstance(one, Flag)],
        }
        answer = self.client.post(
            "/api/feature-flags/apply", params={"prune": "true"}, headers=self.editor, json=bundle
        )
        assert answer.status_code == 200, answer.text

    def evaluated(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Our own answers, by flag."""
        answer = self.client.post("/api/feature-flags/evaluate", headers=bearer(self.write_key), json=asked)
        assert answer.status_code == 200, answer.text
        flags: dict[str, Any] = answer.json()["flags"]
        return flags


def flag_api(api: Api) -> FlagApi:
    write_key, _ = write_key_for(api.settings, api.environment)
    return FlagApi(api.client, write_key, bearer(token_for(api.settings, Role.EDITOR)))
