# Everything runs in .venv, made by `setup`; every target sets up what it needs.
PYTHON ?= python3
UV_VERSION := 0.13.8
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all coverage lint bench embedded lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: $(READY)  ## make .venv with the pinned versions

$(READY): requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --requirements requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib || true
	touch $@

demo: $(READY)  ## both tasks on the embedded benchmark, side by side: a few minutes
	$(BIN)/python -m fingerprints.demo

test: $(READY)  ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

test-all: $(READY)  ## run the tests, those of properties on ten times as many examples
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal --hypothesis-profile=thorough

coverage: $(READY)  ## run the tests and list the lines and branches that none of them reaches
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal --cov

lint: $(READY)  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)  ## measure throughput ratios; writes benchmarks/results.json
	$(BIN)/python -m benchmarks.run
	$(BIN)/python -m benchmarks.features

embedded: $(READY)  ## simulate the embedded benchmark anew
	for task in subset usage model; do \
	  OMP_NUM_THREADS=1 $(BIN)/python -m fingerprints.simulate task=$$task out=outputs/embedded/$$task accelerator=cpu \
	  && rm -rf fingerprints/embedded/$$task && mkdir -p fingerprints/embedded \
	  && cp -r outputs/embedded/$$task fingerprints/embedded/ \
	  && rm -r fingerprints/embedded/$$task/generators || exit 1; \
	done

lock: $(READY)  ## pin the versions anew
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-emit-index-url \
	  --no-annotate --no-emit-package gan-fingerprints --output-file requirements.txt requirements.in

clean:  ## remove caches and .venv; outputs/ stays
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage .coverage.* *.egg-info
	find . -name __pycache__ -type d -not -path './outputs/*' -prune -exec rm -rf {} +
