"""What is measured, how, and against what: `python -m benchmarks.<name>` prints what `results/<name>.txt` keeps.

Absolute numbers depend on the machine, so each script names a baseline of the same run and prints ratios to it.
"""
