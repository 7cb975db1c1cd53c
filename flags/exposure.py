"""Evaluations as events: who saw which variant, once within a while, and for a share of users if that will do."""

from collections import OrderedDict
from typing import Any

from flags.evaluation import Evaluation, Reason
from flags.hashing import bucket_of

EVENT_NAME = "$feature_flag_called"
"""What SDKs of PostHog send of their own; ours has the same name and properties, so that both are read alike."""
SAMPLING_SEED = "$exposure_sampling"


def exposure_properties(evaluation: Evaluation) -> dict[str, Any]:
    """The properties of the event."""
    response = evaluation.value if isinstance(evaluation.value, bool) else evaluation.variant
    properties = {
        "$feature_flag": evaluation.key,
        "$feature_flag_response": evaluation.value if response is None else response,
        "$feature_flag_variant": evaluation.variant,
        "$feature_flag_version": evaluation.version,
        "$feature_flag_reason": evaluation.reason.value,
        "$feature_flag_rule_id": evaluation.rule_id,
        "$feature_flag_experiment": evaluation.experiment,
        "locally_evaluated": False,
    }
    return {name: value for name, value in properties.items() if value is not None}


def is_exposure(evaluation: Evaluation) -> bool:
    """Whether the user saw an answer: not when it is an error."""
    return evaluation.reason is not Reason.ERROR


def is_sampled(user_id: str, share: float) -> bool:
    """Whether the exposures of this user are kept, where a share of the users (0 to 1) is enough.

    All or none of a user's are, for each flag alike, and raising the share drops nobody.
    """
    return share >= 1 or (bucket_of(SAMPLING_SEED, user_id, 2) or 0.0) < share


class ExposureWindow:
    """Remembers who saw what, so that an answer that is asked for again is no second exposure.

    It is bounded: of more than `capacity` exposures within the window the oldest are forgotten, and may come twice.
    What it holds belongs to one process; the same exposure from another one is for the reader to drop.
    """

    def __init__(self, window_seconds: float, capacity: int = 100_000) -> None:
        self._window_seconds = window_seconds
        self._capacity = capacity
        self._seen: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def is_new(self, user_id: str, key: str, answer: str, now_seconds: float) -> bool:
        """Whether this user did not see this answer within the window; notes that it is seen now.

        Args:
            user_id: who.
            key: of the flag or experiment.
            answer: what tells one answer from another, see `answer_text`.
            now_seconds: of a clock that does not go back.
        """
        seen = (user_id, key, answer)
        self._forget(now_seconds - self._window_seconds)
        if seen in self._seen:
            return False
        self._seen[seen] = now_seconds
        if len(self._seen) > self._capacity:
            self._seen.popitem(last=False)
        return True

    def forget(self, user_id: str, key: str, answer: str) -> None:
        """Take back that it was seen: what was to be kept of it is lost."""
        self._seen.pop((user_id, key, answer), None)

    def _forget(self, before_seconds: float) -> None:
        while self._seen and next(iter(self._seen.values())) <= before_seconds:
            self._seen.popitem(last=False)


def answer_text(evaluation: Evaluation) -> str:
    """What tells one answer from another: the variant, or the value where it has no name."""
    if evaluation.variant is not None:
        return evaluation.variant
    return repr(evaluation.value)
