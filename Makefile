# Everything a checkout needs: `make` builds .venv, `make test` is what CI runs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: all check test nightly reference mutants demo demo-audio bench clean

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

# Beside what the checkout installs this needs Debian's chromium and chromium-driver, for the pages of the report, espeak-ng,
# which says what the transcriber is measured on, and what the reader of printed words is measured on: wamerican and the fonts
# that training/printed_words.py names.
nightly: check
	$(BIN)/python -m pytest
	$(BIN)/python tools/mutate.py --no-baseline --table build/mutants.md
	$(BIN)/python tools/fuzz_files.py --files 20000 --seed $$(date +%Y%m%d)
	$(BIN)/python tools/check_core.py
	$(BIN)/python tools/soak_page.py --seconds 600
	$(BIN)/python training/eval_digits.py
	$(BIN)/python training/eval_segments.py
	$(BIN)/python training/eval_search.py
	$(BIN)/python training/eval_speech.py
	$(BIN)/python training/eval_words.py
	$(MAKE) reference
	$(BIN)/python tools/check_reference_formats.py
	$(BIN)/python tools/compare_with_reference.py

# The published library that results, types and errors are compared with, in an environment of its own (about 3 GB).
reference: .venv-reference/ready

.venv-reference/ready: tools/reference_requirements.txt
	$(PYTHON) -m venv .venv-reference
	.venv-reference/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 "numpy<2"
	.venv-reference/bin/pip install --quiet --disable-pip-version-check --requirement tools/reference_requirements.txt
	touch $@

# Faults put into the code one at a time, each of which a test of `make test` must feel.
mutants: all
	$(BIN)/python tools/mutate.py --table build/mutants.md

demo: all
	$(BIN)/python tools/demo.py

demo-audio: all
	$(BIN)/python tools/demo_audio.py

bench: all
	$(BIN)/python benchmarks/bench.py

clean:
	rm -rf .venv .venv-reference .pytest_cache .ruff_cache .hypothesis build *.egg-info
