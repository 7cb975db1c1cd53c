"""Experiments in the form of the GrowthBook SDK specification v5, compiled to closures.

The order of the checks is the specification's: an override by URL or by the caller counts even for an experiment that
is not active, and a sticky bucket outlives conditions and namespaces.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias
from urllib.parse import parse_qs, urlparse

from flags.hashing import bucket_of, bucket_ranges, choose_variation, hash_text, in_namespace, is_in_range
from flags.sticky_buckets import StickyBuckets, document_key, experiment_key
from flags.urls import is_old_target, is_url_targeted

Trail: TypeAlias = dict[str, Any]
"""Features that are being evaluated, and those that were: prerequisites are evaluated once, and cycles are seen."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a caller forces, in tests of an app and in its developer tools."""

    url: str = ""
    variations: Mapping[str, int] = field(default_factory=dict)
    """Index of a variation, by experiment."""
    features: Mapping[str, Any] = field(default_factory=dict)
    """Value, by feature."""
    experiments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Members that replace those of an experiment, by experiment."""
    groups: Mapping[str, bool] = field(default_factory=dict)
    """Which of the groups of old experiments the user is in."""
    is_enabled: bool = True
    """Whether experiments run at all."""
    is_quality_assurance: bool = False
    """Whether nobody is put into an experiment by chance."""


NO_OVERRIDES = Overrides()


@dataclass(frozen=True, slots=True)
class User:
    """Whom a feature is evaluated for: the specification's context. Attributes are JSON."""

    attributes: Mapping[str, Any]
    sticky_buckets: StickyBuckets | None = None
    """None where assignments are not kept."""
    overrides: Overrides = NO_OVERRIDES


@dataclass(frozen=True, slots=True)
class ExperimentResult:
    """What came of an experiment for a user."""

    value: Any
    variation_id: int
    """Index of the variation, 0 when the user is not in the experiment."""
    key: str
    """Key of the variation, its index when it has none."""
    in_experiment: bool
    hash_used: bool
    """Whether the user's bucket decided."""
    hash_attribute: str
    hash_value: Any
    feature_id: str | None
    bucket: float | None = None
    name: str = ""
    is_passthrough: bool = False
    """Whether the rules after this one decide the value: a user who is not held out."""
    sticky_bucket_used: bool = False

    def document(self) -> dict[str, Any]:
        """It in the specification's form."""
        optional = {"bucket": self.bucket, "name": self.name or None, "passthrough": self.is_passthrough or None}
        return {
            "featureId": self.feature_id,
            "value": self.value,
            "variationId": self.variation_id,
            "key": self.key,
            "inExperiment": self.in_experiment,
            "hashUsed": self.hash_used,
            "hashAttribute": self.hash_attribute,
            "hashValue": self.hash_value,
            "stickyBucketUsed": self.sticky_bucket_used,
            **{name: value for name, value in optional.items() if value is not None},
        }


Run: TypeAlias = Callable[[User, Trail | None], ExperimentResult]
Test: TypeAlias = Callable[[Any], bool]


class Surroundings(Protocol):
    """What an experiment may refer to."""

    def test(self, condition: Any) -> Test:
        """Compile a condition; one that is malformed never holds."""

    def prerequisites(self, parents: Any) -> Callable[[User, Trail | None], str]:
        """Compile prerequisites to a function that answers "pass", "fail", "gate" or "cyclic"."""


def hash_attribute_of(user: User, attribute: str, fallback: str | None) -> tuple[str, Any]:
    """Which attribute identifies the user, and its value; "" when neither does."""
    value = user.attributes.get(attribute)
    if hash_text(value):
        return attribute, value
    if fallback and hash_text(other := user.attributes.get(fallback)):
        return fallback, other
    return attribute, ""


def compile_filters(filters: Sequence[Mapping[str, Any]]) -> Test:
    """Whether a `User` is in a range of each filter: namespaces with more than one range, and any hash version."""
    parts = [
        (
            one.get("attribute") or "id",
            str(one.get("seed", "")),
            one.get("hashVersion") or 2,
            one.get("ranges") or (),
        )
        for one in filters
    ]

    def test(user: User) -> bool:
        for attribute, seed, version, ranges in parts:
            value = hash_text(user.attributes.get(attribute))
            bucket = bucket_of(seed, value, version) if value else None
            if bucket is None or not any(is_in_range(bucket, bounds) for bounds in ranges):
                return False
        return True

    return test


def query_string_override(key: str, url: str, variation_count: int) -> int | None:
    """The variation that the URL asks for: `?my-experiment=1`."""
    try:
        values = parse_qs(urlparse(url).query).get(key) if url else None
    except ValueError:
        return None
    if not values or not (values[0].isascii() and values[0].isdigit()) or len(values[0]) > 9:
        return None
    return int(values[0]) if int(values[0]) < variation_count else None


def compile_experiment(experiment: Mapping[str, Any], feature_id: str | None, surroundings: Surroundings) -> Run:
    """Return what the experiment says to a user, as a function of the user."""
    compiled = _Experiment(experiment, feature_id, surroundings)

    def run(user: User, trail: Trail | None) -> ExperimentResult:
        if (override := user.overrides.experiments.get(compiled.key)) and user.overrides.is_enabled:
            return _Experiment({**experiment, **override}, feature_id, surroundings).run(user, trail)
        return compiled.run(user, trail)

    return run


class _Experiment:
    __slots__ = (
        "active", "attribute", "bucket_version", "condition", "document", "fallback", "feature_id", "filters", "force",
        "groups", "hash_version", "is_sticky", "key", "meta", "min_bucket_version", "namespace", "patterns",
        "prerequisites", "ranges", "seed", "status", "url", "variations",
    )  # fmt: skip

    def __init__(self, document: Mapping[str, Any], feature_id: str | None, surroundings: Surroundings) -> None:
        self.document = document
        self.feature_id = feature_id
        self.key: str = document.get("key", "")
        self.variations: Sequence[Any] = document.get("variations") or ()
        self.meta: Sequence[Mapping[str, Any]] = document.get("meta") or ()
        self.attribute: str = document.get("hashAttribute") or "id"
        self.is_sticky = not document.get("disableStickyBucketing")
        self.fallback: str | None = document.get("fallbackAttribute") if self.is_sticky else None
        self.bucket_version: int = document.get("bucketVersion") or 0
        self.min_bucket_version: int = document.get("minBucketVersion") or 0
        self.active = document.get("active") is not False
        self.status = document.get("status")
        self.force = document.get("force")
        self.seed: str = document.get("seed") or self.key
        self.hash_version: int = document.get("hashVersion") or 1
        self.namespace = document.get("namespace")
        self.url = document.get("url")
        self.patterns = document.get("urlPatterns")
        self.groups: Sequence[str] = document.get("groups") or ()
        coverage = document.get("coverage")
        self.ranges: Sequence[Sequence[float]] = document.get("ranges") or bucket_ranges(
            len(self.variations), 1 if coverage is None else coverage, document.get("weights")
        )
        filters, condition = document.get("filters"), document.get("condition")
        self.filters = compile_filters(filters) if filters else None
        self.condition = surroundings.test(condition) if condition else None
        parents = document.get("parentConditions")
        self.prerequisites = surroundings.prerequisites(parents) if parents else None

    def run(self, user: User, trail: Trail | None) -> ExperimentResult:
        if len(self.variations) < 2 or not user.overrides.is_enabled:
            return self._result(user)
        if self.patterns and not is_url_targeted(user.overrides.url, self.patterns):
            return self._result(user)
        forced = (
            query_string_override(self.key, user.overrides.url, len(self.variations)) if user.overrides.url else None
        )
        if forced is None:
            forced = user.overrides.variations.get(self.key)
        if forced is not None:
            return self._result(user, forced if type(forced) is int else -1)
        if not self.active or self.status == "draft":
            return self._result(user)
        attribute, value = hash_attribute_of(user, self.attribute, self._fallback(user))
        text = hash_text(value)
        if not text:
            return self._result(user)
        assigned, is_blocked = self._sticky(user)
        is_found = assigned >= 0
        if not is_found and not self._admits(user, text, trail):
            return self._result(user)
        if self.url and not is_old_target(user.overrides.url, self.url):
            return self._result(user)
        bucket = bucket_of(self.seed, text, self.hash_version)
        if bucket is None:
            return self._result(user)
        if is_blocked:
            return self._result(user, sticky_bucket_used=True)
        if not is_found:
            assigned = choose_variation(bucket, self.ranges)
        if assigned < 0:
            return self._result(user)
        if self.force is not None:
            return self._result(user, self.force)
        if user.overrides.is_quality_assurance or self.status == "stopped":
            return self._result(user)
        result = self._result(user, assigned, bucket, is_found)
        if user.sticky_buckets is not None and self.is_sticky:
            name = experiment_key(self.key, self.bucket_version)
            user.sticky_buckets.assign(attribute, text, name, result.key)
        return result

    def _fallback(self, user: User) -> str | None:
        return self.fallback if user.sticky_buckets is not None else None

    def _sticky(self, user: User) -> tuple[int, bool]:
        """The variation that was kept, and whether the user was assigned in a version that is blocked since."""
        if user.sticky_buckets is None or not self.is_sticky:
            return -1, False
        names = [name for name in (self.attribute, self.fallback) if name]
        keys = [document_key(name, hash_text(user.attributes.get(name))) for name in names]
        kept = user.sticky_buckets.assignments(keys)
        if any(experiment_key(self.key, version) in kept for version in range(self.min_bucket_version)):
            return -1, True
        key = kept.get(experiment_key(self.key, self.bucket_version))
        found = (index for index, one in enumerate(self.meta) if key and one.get("key") == key)
        return next(found, -1), False

    def _admits(self, user: User, text: str, trail: Trail | None) -> bool:
        if self.filters is not None:
            if not self.filters(user):
                return False
        elif self.namespace and not in_namespace(text, self.namespace):
            return False
        if self.condition is not None and not self.condition(user.attributes):
            return False
        if self.prerequisites is not None and self.prerequisites(user, trail) != "pass":
            return False
        return not self.groups or any(user.overrides.groups.get(group) for group in self.groups)

    def _result(
        self, user: User, variation: int = -1, bucket: float | None = None, sticky_bucket_used: bool = False
    ) -> ExperimentResult:
        is_in = 0 <= variation < len(self.variations)
        index = variation if is_in else 0
        attribute, value = hash_attribute_of(user, self.attribute, self._fallback(user))
        meta = self.meta[index] if index < len(self.meta) else {}
        return ExperimentResult(
            value=self.variations[index] if self.variations else None,
            variation_id=index,
            key=meta.get("key") or str(index),
            in_experiment=is_in,
            hash_used=bucket is not None,
            hash_attribute=attribute,
            hash_value=value,
            feature_id=self.feature_id,
            bucket=bucket,
            name=meta.get("name", ""),
            is_passthrough=bool(meta.get("passthrough")),
            sticky_bucket_used=sticky_bucket_used,
        )
