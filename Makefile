# Everything a person or CI does here. Needs python3 (3.11 or newer), make and a package registry; the rest is fetched.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
UV_VERSION := 0.13.8
UV := .tools/bin/uv
UV_READY := .tools/.uv-$(UV_VERSION)
BIN := .venv/bin
READY := .venv/.ready
PROTOC := .tools/protoc
PROTOC_READY := $(PROTOC)/.ready
SOURCES := server tests tools clients/python
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command 'make lock'

# In CI a test that fails is tried once more, and told as a rerun: its machine may be shared with others.
AGAIN := $(if $(CI),--reruns 1 -r fEsR)

unexport VIRTUAL_ENV
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif

.PHONY: help setup gen clients test-clients docs baseline lock run test test-fast test-real quality bench bench-collections bench-tools bench-failover overload soak soak-jobs wheels release check check-code check-layers check-contract check-generated format clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## install everything into .tools and .venv; costs nothing the second time
	@:

gen: $(READY) $(PROTOC_READY) ## write the stubs and the descriptor set from proto/
	@$(BIN)/python -m tools.generate

clients: $(READY) ## make the clients of other languages (LANGUAGES="go rust"; all that this machine has tools for)
	@$(BIN)/python -m tools.clients $(LANGUAGES)

test-clients: clients ## drive each of them against a running server
	@LANGUAGES="$(LANGUAGES)" $(BIN)/pytest -n 0 $(AGAIN) tests/clients/every_language.py $(ARGS)

docs: $(READY) ## build the documentation as pages that need no network, into build/site
	@$(BIN)/python -m tools.site

baseline: $(READY) check-contract ## promise the contract as it stands: later changes must not break it
	@$(BIN)/buf build proto --exclude-source-info --output proto/baseline.binpb

lock: $(UV_READY) ## resolve the dependencies anew, keeping versions that still fit (UPGRADE=1: the newest)
	@$(LOCK) $(if $(UPGRADE),--upgrade) --no-emit-package trunkline --group dev pyproject.toml --output-file requirements.lock
	@$(LOCK) $(if $(UPGRADE),--upgrade) --no-emit-package trunkline --constraints requirements.lock pyproject.toml --output-file deploy/requirements.lock
	@$(LOCK) --group protoc --output-file tools/protoc.lock

run: $(READY) ## start the server (ARGS="--no-worker" ...)
	@exec $(BIN)/trunkline serve $(ARGS)

test: $(READY) ## the whole suite (ARGS="-k credits" ...)
	@$(BIN)/pytest -n 2 $(AGAIN) $(ARGS)

test-fast: $(READY) ## the suite without what is slow or starts the whole server
	@$(BIN)/pytest -n 2 -m 'not slow and not e2e' $(ARGS)

test-real: $(READY) ## against real providers whose keys are in the environment
	@$(BIN)/python -m tests.real $(ARGS)

quality: $(READY) ## how well a model does our tasks, through the gateway that runs (ARGS="--model openai/gpt-4o-mini")
	@$(BIN)/python -m tests.quality $(ARGS)

bench: $(READY) ## measure speed on this machine
	@$(BIN)/python -m tests.bench $(ARGS)

overload: $(READY) ## three times more calls than a gateway takes, for a minute (ARGS="--seconds 10")
	@$(BIN)/python -m tests.bench.overload $(ARGS)

soak: $(READY) ## a long run of the ledger: load, kill -9, and the proof (ARGS="--operations 1000000")
	@$(BIN)/python -m tests.soak $(ARGS)

soak-jobs: $(READY) ## jobs under calamities: 5,000 of them while workers and the database die (ARGS="--jobs 500" ...)
	@$(BIN)/python -m tests.bench.job_soak $(ARGS)

bench-collections: $(READY) ## measure searches among 100,000 documents against plain SQL (ARGS="--documents 3000")
	@$(BIN)/python -m tests.bench.collections $(ARGS)

bench-tools: $(READY) ## measure what a round of tools adds to a call (ARGS="--profile")
	@$(BIN)/python -m tests.bench.tool_rounds $(ARGS)

bench-failover: $(READY) ## measure what callers notice when providers fail
	@$(BIN)/python -m tests.bench.failover $(ARGS)

wheels: $(READY) ## both distributions into dist/
	@rm -rf dist
	@$(UV) build --quiet --no-build-isolation --python $(BIN)/python --out-dir dist clients/python
	@$(UV) build --quiet --no-build-isolation --python $(BIN)/python --out-dir dist .

release: check wheels ## everything that a release is: distributions, a bill of materials, and the proof that they serve
	@$(UV) tool run --quiet --from cyclonedx-bom==7.3.0 cyclonedx-py requirements deploy/requirements.lock --output-file dist/trunkline.cdx.json
	@$(BIN)/pytest -q -n 0 tests/e2e/test_installed.py tests/deploy
	@ls -l dist

check: check-code check-layers check-contract check-generated ## everything that can be known without running: format, lint, types, layers, contract

check-code: $(READY)
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/mypy $(SOURCES)
	@$(UV) pip check --quiet --python $(BIN)/python

check-layers: $(READY)
	@$(BIN)/lint-imports --no-cache --no-logo

check-contract: $(READY)
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code proto
	@if [ -f proto/baseline.binpb ]; then $(BIN)/buf breaking proto --against proto/baseline.binpb; fi

check-generated: $(READY) $(PROTOC_READY)
	@$(BIN)/python -m tools.generate --check

format: $(READY) ## put code and protos into the one format, mend what can be mended
	@$(BIN)/ruff check --fix-only --quiet $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/buf format --write proto

clean: ## remove everything that make made
	@rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build

$(UV_READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv .tools || { echo "make: this Python cannot make environments; install its venv package (Debian: apt-get install python3-venv) or name another with PYTHON=..." >&2; exit 1; }
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

$(READY): requirements.lock pyproject.toml clients/python/pyproject.toml | $(UV_READY)
	@test -x $(BIN)/python || $(UV) venv --quiet --python .tools/bin/python .venv
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable . --editable clients/python
	@$(BIN)/python -m compileall -q server/trunkline_server clients/python
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -c 'import trunkline_server.app' # compiled as well, what others wrote
	@touch $@

$(PROTOC_READY): tools/protoc.lock | $(UV_READY)
	@test -x $(PROTOC)/bin/python || $(UV) venv --quiet --python .tools/bin/python $(PROTOC)
	@$(UV) pip sync --quiet --python $(PROTOC)/bin/python --require-hashes tools/protoc.lock
	@touch $@
