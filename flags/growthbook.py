"""The ruleset as GrowthBook SDKs read it: rules that they evaluate themselves, or answers for one user.

An SDK that evaluates our rules gives the answers of `Ruleset.evaluate`. Schedules are resolved: a payload is good until
`Ruleset.next_change`. Segments are inlined, so that SDKs of any age know them.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from flags.evaluation import Evaluation
from flags.experiments import NO_OVERRIDES, Overrides, User
from flags.ruleset import Ruleset, user_of

MAX_FORCED = 1000
"""Most forced variations, and most forced features, of one request."""


def payload(ruleset: Ruleset, now: datetime, updated_at: datetime) -> dict[str, Any]:
    """What `GET /api/features/{clientKey}` answers.

    Args:
        ruleset: all flags.
        now: for which moment, UTC aware.
        updated_at: when a definition was last written; SDKs ignore a payload whose time they have already.
    """
    return _document(dict(ruleset.documents(now)), dated_at(ruleset, now, updated_at))


def remote_payload(ruleset: Ruleset, user: User, now: datetime, updated_at: datetime) -> dict[str, Any]:
    """What `POST /api/eval/{clientKey}` answers: each flag's value for this user, as its default value."""
    return remote_answers(ruleset.evaluate_all(user, now), dated_at(ruleset, now, updated_at))


def remote_answers(evaluations: Iterable[Evaluation], dated: datetime) -> dict[str, Any]:
    """The same from answers; `dated` is when they last changed for anybody."""
    return _document({one.key: {"defaultValue": one.value} for one in evaluations}, dated)


def dated_at(ruleset: Ruleset, now: datetime, updated_at: datetime) -> datetime:
    """When the payload last changed: by an edit, or by a schedule without one."""
    return max(updated_at, ruleset.last_change(now) or updated_at)


def remote_user(document: Mapping[str, Any]) -> User:
    """The user of a remote evaluation: `attributes`, `forcedVariations`, `forcedFeatures` (pairs) and `url`.

    Members of another form are left out: an SDK would not know what to do with a refusal.
    """
    attributes, forced = document.get("attributes"), document.get("forcedVariations")
    features, url = document.get("forcedFeatures"), document.get("url")
    pairs = [one for one in features[:MAX_FORCED] if _is_pair(one)] if isinstance(features, list) else []
    overrides = Overrides(
        url=url if isinstance(url, str) else "",
        variations=forced if isinstance(forced, Mapping) and len(forced) <= MAX_FORCED else {},
        features=dict(pairs),
    )
    return User(
        attributes=user_of(None, attributes if isinstance(attributes, Mapping) else {}).attributes,
        overrides=NO_OVERRIDES if overrides == NO_OVERRIDES else overrides,
    )


def _is_pair(one: Any) -> bool:
    return isinstance(one, list) and len(one) == 2 and isinstance(one[0], str)


def _document(features: dict[str, Any], dated: datetime) -> dict[str, Any]:
    text = dated.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"status": 200, "dateUpdated": text, "features": features}
