"""What a flag and a segment are. `codec` reads and writes them, `specification` puts them into the SDKs' form."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

FlagType: TypeAlias = Literal["boolean", "string", "number", "json"]


@dataclass(frozen=True, slots=True)
class AttributeCondition:
    """One attribute of a user compared with a value: `country` `equals` `US`."""

    attribute: str
    operator: str
    """One of `targeting.OPERATORS`."""
    value: Any = None
    """JSON; None for the operators that need none."""


Condition: TypeAlias = AttributeCondition | Mapping[str, Any]
"""Our own short form, or a condition of the GrowthBook SDK specification."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When something counts: from `valid_from` until before `valid_until`, UTC aware; None is without a bound."""

    valid_from: datetime | None = None
    valid_until: datetime | None = None

    def holds_at(self, now: datetime) -> bool:
        """Whether it counts at this moment."""
        has_begun = self.valid_from is None or self.valid_from <= now
        return has_begun and (self.valid_until is None or now < self.valid_until)


ALWAYS = Schedule()


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """Another flag, and a condition on its value: `{"value": true}` where none is given."""

    flag: str
    condition: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Namespace:
    """A space that experiments share: a user has one place in it, 0 to 1, and counts where `low <= place < high`.

    Experiments with ranges that do not meet exclude one another; a range that none of them has is held out.
    """

    name: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Variant:
    """A value of the flag by name. Weights are shares of their sum."""

    key: str
    value: Any
    name: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Rule:
    """Who gets which value. The first rule of a flag that applies decides.

    It applies to users who fulfil every condition, are in one of the segments if there are any, for whom every
    prerequisite holds, whose place in the namespace is in its range, and whose bucket is covered.
    """

    id: str
    description: str = ""
    is_enabled: bool = True
    conditions: tuple[Condition, ...] = ()
    segments: tuple[str, ...] = ()
    force: Any = None
    """The value for everybody; None where `variations` are split, or where it is the flag's `value`."""
    variations: tuple[Any, ...] = ()
    """Values between which users are split."""
    weights: tuple[float, ...] = ()
    """A share of their sum for each variation; none is equal shares."""
    coverage: float = 1.0
    """Share of the users, 0 to 1."""
    namespace: Namespace | None = None
    hash_attribute: str | None = None
    """Which attribute decides the bucket; None is that of the flag."""
    fallback_attribute: str | None = None
    """Which attribute does for a user without the first one; only where assignments are sticky."""
    hash_version: int = 2
    seed: str | None = None
    """Rules with one seed have the same buckets; None is the key of the flag."""
    schedule: Schedule = ALWAYS
    is_sticky: bool = False
    """Whether a user keeps a variation when weights or coverage change."""
    bucket_version: int = 0
    min_bucket_version: int = 0
    """Users who were assigned in an earlier bucket version are left out."""
    prerequisites: tuple[Prerequisite, ...] = ()


@dataclass(frozen=True, slots=True)
class Flag:
    """A feature flag.

    Either `rules` say who gets what, or the short form does: users who fulfil all `conditions` and are among the first
    `rollout_percentage` of 100 get `value`, or one of the `variants`. Everybody else gets `default_value`.
    """

    key: str
    name: str
    type: FlagType
    value: Any
    default_value: Any
    description: str = ""
    is_enabled: bool = True
    """False is the kill switch: everybody gets `default_value`, whatever else the flag says."""
    rollout_percentage: float = 100.0
    conditions: tuple[Condition, ...] = ()
    variants: tuple[Variant, ...] = ()
    rules: tuple[Rule, ...] = ()
    prerequisites: tuple[Prerequisite, ...] = ()
    """Where one does not hold, no rule does."""
    tags: tuple[str, ...] = ()
    owner: str = ""
    hash_attribute: str = "id"
    schedule: Schedule = ALWAYS
    """Outside of it the flag is disabled."""
    version: int = 1
    created_by: str = ""
    created_at: datetime | None = None
    updated_by: str = ""
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """Users under a name: those who fulfil every condition. Rules refer to it by key."""

    key: str
    name: str
    conditions: tuple[Condition, ...]
    description: str = ""
    version: int = 1
    created_by: str = ""
    created_at: datetime | None = None
    updated_by: str = ""
    updated_at: datetime | None = None
