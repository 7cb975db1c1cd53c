"""What comes of an evaluation, in the words of OpenFeature."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class Reason(StrEnum):
    """Why the value is what it is: OpenFeature's list, closed."""

    STATIC = "STATIC"
    """The flag has the same value for everybody."""
    DEFAULT = "DEFAULT"
    """No rule applied."""
    TARGETING_MATCH = "TARGETING_MATCH"
    """A rule applied, to everybody it is about."""
    SPLIT = "SPLIT"
    """A rule applied, and the user's bucket decided."""
    DISABLED = "DISABLED"
    """The kill switch, or outside of the flag's schedule."""
    ERROR = "ERROR"
    """No answer could be given: the value is the default, and `error` says why."""


class ErrorCode(StrEnum):
    """Why no answer could be given."""

    FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
    TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"
    TYPE_MISMATCH = "TYPE_MISMATCH"
    PARSE_ERROR = "PARSE_ERROR"
    GENERAL = "GENERAL"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a flag is for a user, and why."""

    key: str
    value: Any
    """JSON. Shared with other answers: not to be changed."""
    variant: str | None
    """Name of the value: the variant's key, on or off for a boolean, None where it has no name."""
    reason: Reason
    rule_id: str | None = None
    version: int = 0
    """Of the flag."""
    experiment: str | None = None
    """Under which name the split is an experiment."""
    error: ErrorCode | None = None
    details: str = ""
    """A sentence about the error."""

    def with_reason(self, reason: Reason) -> "Evaluation":
        """The same answer for another reason."""
        return replace(self, reason=reason)

    def as_error(self, error: ErrorCode, details: str) -> "Evaluation":
        """The same value, because no other could be given."""
        return replace(self, reason=Reason.ERROR, error=error, details=details)

    def document(self) -> dict[str, Any]:
        """It as the API answers it."""
        document = {
            "key": self.key,
            "value": self.value,
            "variant": self.variant,
            "reason": self.reason.value,
            "ruleId": self.rule_id,
            "version": self.version,
        }
        if self.experiment is not None:
            document["experiment"] = self.experiment
        if self.error is not None:
            document |= {"errorCode": self.error.value, "errorDetails": self.details}
        return document
