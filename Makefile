# Verbs: `make demo` and `make test` set everything up by themselves.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
BROKER ?= embedded
SEEDS ?= 50000
FIRST ?= 0
JOBS ?= 2
DOOR ?= all
INPUTS ?= 100000
SECONDS ?= 0
SEED ?= 1
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test slow generate quick lint format lock bench chaos simulate fuzz clean

help: ## what each verb does
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(STAMP) ## install what the lock file names into .venv

demo: $(STAMP) ## run the whole pipeline on sample conversations (BROKER=embedded|kafka)
	$(BIN)/holdfast demo --broker $(BROKER)

test: $(STAMP) lint ## every check: linters, types, import contracts, all tests that fit in minutes, Apache Kafka included (JOBS=2)
	$(BIN)/python -m pytest -m "not slow" --numprocesses $(JOBS) --dist loadfile

slow: $(STAMP) ## the long tests: many kills of the observer, every alert beside a real Prometheus
	$(BIN)/python -m pytest -m slow

quick: $(STAMP) ## the tests that need seconds
	$(BIN)/python -m pytest -m "not kafka and not slow" --numprocesses $(JOBS) --dist loadfile

lint: $(STAMP) ## ruff, mypy, import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## rewrite the sources in the one format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

generate: $(STAMP) ## write the files that follow from the code: schemas, docs/asyncapi.yaml, docs/settings.md, topics.yaml
	WRITE_GENERATED=1 $(BIN)/python -m pytest -q tests/contract

lock: $(STAMP) ## resolve requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --all-extras --group dev --generate-hashes --no-header --no-annotate \
		--python-version 3.11 --output-file requirements.lock pyproject.toml

fuzz: $(STAMP) ## hostile inputs at every door, from a seed; goes on where it stopped (INPUTS=100000 SECONDS=0 DOOR=all|stages SEED=1; REPLAY=file)
	$(BIN)/python -m tests.fuzz --door $(DOOR) --inputs $(INPUTS) --seconds $(SECONDS) --seed $(SEED) $(if $(REPLAY),--replay $(REPLAY))

bench: $(STAMP) ## the benchmarks, as ratios inside one run
	$(BIN)/holdfast bench

chaos: $(STAMP) ## kills and faults on Apache Kafka, checked by an independent reader
	$(BIN)/holdfast chaos

simulate: $(STAMP) ## the whole pipeline in simulation, seed by seed (SEEDS=50000 FIRST=0 JOBS=2; REPLAY=seed prints one)
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) --first $(FIRST) --jobs $(JOBS) $(if $(REPLAY),--replay $(REPLAY))

clean: ## remove what was installed and built
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
