# Everything a checkout needs: `make` builds .venv, `make test` is what CI runs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: all check test nightly mutants demo bench clean

all: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

check: all
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/python tools/check_mirror.py
	$(BIN)/python tools/make_stub.py --check

test: check
	$(BIN)/python -m pytest -m "not nightly"

# Beside what the checkout installs this needs Debian's chromium and chromium-driver, for the pages of the report.
nightly: check
	$(BIN)/python -m pytest
	$(BIN)/python tools/mutate.py --no-baseline --table build/mutants.md
	$(BIN)/python tools/fuzz_files.py --files 20000 --seed $$(date +%Y%m%d)
	$(BIN)/python tools/check_core.py
	$(BIN)/python training/eval_digits.py
	$(BIN)/python tools/check_reference_formats.py

# Faults put into the code one at a time, each of which a test of `make test` must feel.
mutants: all
	$(BIN)/python tools/mutate.py --table build/mutants.md

demo: all
	$(BIN)/python tools/demo.py

bench: all
	$(BIN)/python benchmarks/bench.py

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis build *.egg-info
