"""gbstats in a virtual environment of its own: it cannot share one with numpy 2, and nothing of ours depends on it."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from experiment_stats.comparisons import Comparisons
from experiment_stats.moments import Moments

_PACKAGES = ("gbstats==0.8.0", "numpy<2", "pandas<2", "scipy<1.14")
_SCRIPT = Path(__file__).with_name("gbstats_tests.py")


def gbstats_python() -> Path:
    """The interpreter of the environment, which is made when it is not there."""
    directory = Path(tempfile.gettempdir()) / f"{_PACKAGES[0].replace('==', '-')}-python{sys.version_info.minor}"
    python = directory / "bin" / "python"
    is_complete = directory / "complete"
    if not is_complete.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_PACKAGES]
        subprocess.run(install, check=True)
        is_complete.touch()
    return python


def gbstats_answers(python: Path, rows: Comparisons) -> tuple[np.ndarray, tuple[float, ...]]:
    """What it makes of the rows, and the seconds of its fixed, sequential and Bayesian tests.

    Answers have the shape (rows, difference or lift, 11): effect, standard error, interval (2) and p-value of the fixed
    test, interval (2) and p-value of the sequential one, chance to win and interval (2) of the Bayesian one.
    """
    with tempfile.TemporaryDirectory(prefix="gbstats-") as directory:
        given, answered = Path(directory) / "rows.npz", Path(directory) / "answers.npz"
        np.savez(
            given,
            kinds=rows.metric_type,
            has_past=~np.isnan(rows.control.covariate_sum),
            control=_table(rows.control),
            treatment=_table(rows.treatment),
            tuning_users=rows.tuning_users,
        )
        run = subprocess.run([python, _SCRIPT, given, answered], check=True, capture_output=True, text=True)
        answers: np.ndarray = np.load(answered)["answers"]
    return answers, tuple(float(one) for one in run.stdout.split())


def _table(arm: Moments) -> np.ndarray:
    return np.column_stack([getattr(arm, name) for name in Moments.__dataclass_fields__])
