# Everything runs in .venv, which the first target that needs it creates. PYTHON names the interpreter to create it with.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
# Processes that run the tests; each starts servers of its own.
WORKERS ?= 3
BROWSER := $(shell command -v chromium || command -v google-chrome)

BENCHMARKS := ingest latency outage crash kills marts flags experiment_stats experiment_calibration
QUICK_ingest := --events 20000 --singles 2000 --rounds 1
QUICK_latency := --seconds 3
QUICK_outage := --seconds 3
QUICK_crash := --kills 2 --events 10000 --after-insert 1
QUICK_kills := --kills 1 --events 500
QUICK_marts := --events 30000 --rounds 1
QUICK_flags := --rounds 1 --http-rounds 1 --requests 1000 --writes 5
QUICK_experiment_stats := --rounds 1 --rows 200 --many-rows 20000
QUICK_experiment_calibration := --share 0.02

.PHONY: demo up down test lint bench verify clean

# Start the stack, post a month of a shop's events, build the marts, print the numbers; ONCE=1 exits when done.
demo: $(INSTALLED)
	$(BIN)/python -m local_stack demo $(if $(ONCE),--once)

up: $(INSTALLED)
	$(BIN)/python -m local_stack up

down: $(INSTALLED)
	$(BIN)/python -m local_stack down

test: $(INSTALLED)
	$(if $(BROWSER),,@echo "No Chromium here: the journeys through a browser are left out (Debian package: chromium).")
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not style $(if $(BROWSER),,and not browser)" $(ARGS)

# sqlfluff reads the SQL that dbt compiles, so it runs as a test, which has an engine to compile against.
lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -m style --timeout 900 tests/dbt/test_style.py

# Compare the marts with the reference answers of real data sets; DATA names their folder, ONLY some of them.
verify: $(INSTALLED)
	$(BIN)/analytics verify $(if $(DATA),--data $(DATA)) $(if $(ONLY),--only $(ONLY))

# QUICK=1 only shows that each of them runs.
bench: $(BENCHMARKS:%=bench-%)

bench-%: $(INSTALLED)
	$(BIN)/python -m benchmarks.$* $(if $(QUICK),$(QUICK_$*))

# Pins live in constraints.txt; a change there or in pyproject.toml installs anew.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(INSTALLED)

clean:
	rm -rf .venv .analytics
