# Everything runs in .venv, which the first target that needs it creates. PYTHON names the interpreter to create it with.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
BROWSER := $(shell command -v chromium || command -v google-chrome)

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
	$(BIN)/python -m pytest $(if $(BROWSER),,-m "not browser") $(ARGS)

# sqlfluff reads the SQL that dbt compiles, so it runs as a test, which has an engine to compile against.
lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/dbt/test_style.py

# Compare the marts with the reference answers of real data sets; DATA names their folder.
verify: $(INSTALLED)
	$(BIN)/analytics verify $(if $(DATA),--data $(DATA))

bench: $(INSTALLED)
	@for name in ingest latency outage crash kills; do echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

# Pins live in constraints.txt; a change there or in pyproject.toml installs anew.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(INSTALLED)

clean:
	rm -rf .venv .analytics
