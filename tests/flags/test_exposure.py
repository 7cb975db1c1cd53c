"""Evaluations as events."""

import pytest

from flags.evaluation import ErrorCode, Evaluation, Reason
from flags.exposure import EVENT_NAME, ExposureWindow, answer_text, exposure_properties, is_exposure, is_sampled
from tests.flags.flags_given import NOW, flag, ruleset, user

SPLIT = Evaluation("checkout", "t", "test", Reason.SPLIT, "r", 3, "checkout.r")


def test_event_has_the_properties_of_that_of_other_libraries() -> None:
    boolean = ruleset(flag("new_ui")).evaluate("new_ui", user(), NOW)

    assert EVENT_NAME == "$feature_flag_called"
    assert exposure_properties(SPLIT) == {
        "$feature_flag": "checkout",
        "$feature_flag_response": "test",
        "$feature_flag_variant": "test",
        "$feature_flag_version": 3,
        "$feature_flag_reason": "SPLIT",
        "$feature_flag_rule_id": "r",
        "$feature_flag_experiment": "checkout.r",
        "locally_evaluated": False,
    }
    assert exposure_properties(boolean)["$feature_flag_response"] is True


def test_error_is_no_exposure() -> None:
    assert is_exposure(SPLIT)
    assert not is_exposure(SPLIT.as_error(ErrorCode.GENERAL, "x"))


def test_answers_are_told_apart_by_variant_or_value() -> None:
    other = Evaluation("checkout", {"a": 1}, None, Reason.SPLIT)

    assert answer_text(SPLIT) == "test"
    assert answer_text(other) == "{'a': 1}"


def test_same_answer_within_the_window_is_no_second_exposure() -> None:
    window = ExposureWindow(60)

    seen = [
        window.is_new("ann", "checkout", "test", 0),
        window.is_new("ann", "checkout", "test", 59),
        window.is_new("bob", "checkout", "test", 59),
        window.is_new("ann", "checkout", "other", 59),
        window.is_new("ann", "checkout", "other", 59),
        window.is_new("ann", "checkout", "test", 60),
    ]

    assert seen == [True, False, True, True, False, True]


def test_exposure_that_was_lost_is_a_new_one_again() -> None:
    window = ExposureWindow(60)
    window.is_new("ann", "checkout", "test", 0)

    window.forget("ann", "checkout", "test")
    window.forget("bob", "checkout", "test")

    assert window.is_new("ann", "checkout", "test", 1)


def test_window_is_bounded() -> None:
    window = ExposureWindow(60, capacity=100)

    for one in range(1000):
        assert window.is_new(f"user-{one}", "checkout", "test", 0)

    assert len(window) == 100
    assert not window.is_new("user-999", "checkout", "test", 1)
    assert window.is_new("user-0", "checkout", "test", 1)
    assert window.is_new("ann", "checkout", "test", 1000)
    assert len(window) == 1


@pytest.mark.parametrize(
    ("share", "low", "high"), [(0, 0, 0), (0.1, 800, 1200), (0.5, 4800, 5200), (1, 10_000, 10_000)]
)
def test_share_of_the_users_is_sampled_and_stays_sampled(share: float, low: int, high: int) -> None:
    sampled = {one for one in range(10_000) if is_sampled(f"user-{one}", share)}

    assert low <= len(sampled) <= high
    assert all(is_sampled(f"user-{one}", min(1, share + 0.1)) for one in sampled)
