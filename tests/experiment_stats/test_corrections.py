"""Holm and Benjamini-Hochberg against statsmodels, in families of any size and order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from experiment_stats.analysis import analyse
from experiment_stats.comparisons import Comparisons, Correction, MetricType
from experiment_stats.corrections import adjusted_p_values
from tests.experiment_stats.moments_given import summed

NAMES = {Correction.HOLM: "holm", Correction.BH: "fdr_bh"}
P_VALUES = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.02, 0.02, 1.0, np.nan]))


@pytest.mark.parametrize("method", NAMES)
@given(rows=st.lists(st.tuples(P_VALUES, st.integers(0, 1)), min_size=1, max_size=25))
@settings(max_examples=12)  # Holm of statsmodels takes 50 ms.
def test_families_are_adjusted_as_statsmodels_does(method: Correction, rows: list[tuple[float, int]]) -> None:
    p_values, family = np.array([one[0] for one in rows]), np.array([one[1] for one in rows])

    found = adjusted_p_values(p_values, family, np.full(len(rows), method))

    for code in set(family):
        members = (family == code) & ~np.isnan(p_values)
        assert not np.signbit(found[members]).any()
        if members.any():
            oracle = multipletests(p_values[members], method=NAMES[method])[1]
            assert found[members] == pytest.approx(oracle, rel=1e-12, abs=0)
    assert np.isnan(found[np.isnan(p_values)]).all()


def test_untestable_rows_and_guardrails_leave_their_family() -> None:
    treatment = summed(np.array([400.0, 400, 400, 1, 400]), np.array([1.15, 1.2, 1.3, 1, 1.2]), 1.0)
    control = summed(np.full(5, 400.0), 1.0, 1.0)
    is_guardrail = [False, False, False, False, True]

    estimates = analyse(Comparisons.of(MetricType.MEAN, treatment, control, family=0, is_guardrail=is_guardrail))

    oracle = multipletests(estimates.p_value[:3], method="holm")[1]
    assert estimates.p_value_adjusted[:3] == pytest.approx(oracle)
    assert np.isnan(estimates.p_value_adjusted[3])
    assert estimates.is_significant[3] is None
    assert estimates.p_value_adjusted[4] == estimates.p_value[4]
    assert estimates.correction_method.tolist() == ["holm"] * 4 + ["none"]


def test_always_valid_p_values_are_corrected_in_the_same_family() -> None:
    users = np.full(3, 9000.0)
    treatment, control = summed(users, np.array([1.048, 1.049, 1.2]), 1.0), summed(users, 1.0, 1.0)

    estimates = analyse(Comparisons.of(MetricType.MEAN, treatment, control, family=0))

    oracle = multipletests(estimates.sequential_p_value, method="holm")[1]
    assert (estimates.sequential_p_value < 0.05).all()
    assert estimates.sequential_p_value_adjusted == pytest.approx(oracle)
    assert estimates.is_significant_sequential.tolist() == (oracle <= 0.05).tolist() == [False, False, True]
