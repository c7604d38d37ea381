# Opsloom. `make` alone lists the targets. Needs Python 3.11+ and make.
.DEFAULT_GOAL := help
.PHONY: help up down test soak bench lint fmt lock clean
.NOTPARALLEL:
SHELL := /bin/sh
BIN := .venv/bin
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

export PYTHON
# Compiled modules are kept: without them each process would compile all its libraries at every start.
unexport PYTHONDONTWRITEBYTECODE

help: ## List the targets
	@echo "Opsloom: draw a workflow, see what it would change, have it approved, run it, undo it."
	@echo
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "  make %-7s %s\n", $$1, $$2 }'
	@echo
	@echo "OPSLOOM_PORT chooses another port than 3000, OPSLOOM_HOME another folder for the data."

up: ## Install what is missing, start everything, wait until it is ready
	@tools/environment.sh requirements.lock
	@$(BIN)/opsloom up

down: ## Stop everything; the data is kept
	@if [ -x $(BIN)/opsloom ]; then $(BIN)/opsloom down; else echo "Nothing is installed here, so nothing runs."; fi

test: ## All checks and tests; T="tests/unit -k seal" for some
	@tools/environment.sh requirements-dev.lock
	@tools/debian.sh
	@tools/test.sh $(T)

soak: ## A storm of mishaps over a thousand runs; RUNS=200 for fewer, SEED=… to see one again
	@tools/environment.sh requirements-dev.lock
	@tools/debian.sh
	@OPSLOOM_CHAOS_RUNS=$(or $(RUNS),1000) $(if $(SEED),OPSLOOM_CHAOS_SEED=$(SEED)) $(BIN)/python -m pytest -q -s tests/chaos/test_thousand_runs.py

bench: ## Measure; ONLY=chain_1000 for one workload, RUNS=5 of each, PEERS=1 beside other engines
	@tools/environment.sh requirements.lock
	@$(if $(PEERS),tools/peers.sh,:)
	@$(if $(PEERS),OPSLOOM_BENCH_PEERS=1) $(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(RUNS),--runs $(RUNS))

lint: ## Style, types and import contracts
	@tools/environment.sh requirements-dev.lock
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/oxlint --quiet app && $(BIN)/mypy && $(BIN)/lint-imports

fmt: ## Format the code
	@tools/environment.sh requirements-dev.lock
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

lock: ## Write the lock files anew, Python's and the front end's (newer versions: UPGRADE=1)
	@tools/environment.sh requirements-dev.lock
	@.venv/uv/bin/$(LOCK) $(if $(UPGRADE),--upgrade) requirements-bootstrap.in -o requirements-bootstrap.lock
	@.venv/uv/bin/$(LOCK) $(if $(UPGRADE),--upgrade) --extra embedded pyproject.toml -o requirements.lock
	@.venv/uv/bin/$(LOCK) $(if $(UPGRADE),--upgrade) --extra embedded --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	@$(BIN)/python -m app.embedded.packages

clean: down ## Stop everything and remove the environment and what was built; the data is kept
	@rm -rf .venv .venv-peers .web .states .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
