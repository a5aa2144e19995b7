# `make help` lists the verbs. Each works from a bare clone; what is missing on the machine is said in words.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run run-postgres test test-frameworks test-stores quick check format lock venv bench curves load faults clean screenshots lighthouse

HOST ?= 127.0.0.1
PORT ?= 8000
BIN := .venv/bin
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo $$p; break; }; done)

help: ## list the verbs
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run: .venv/.run ## the dashboard on http://127.0.0.1:8000 (HOST=, PORT=) with demo data, or with a framework's file (OPEN=)
	@if [ -n "$(OPEN)" ]; then exec $(BIN)/python manage.py open $(OPEN) --host $(HOST) --port $(PORT); \
	else exec $(BIN)/python manage.py serve --demo --host $(HOST) --port $(PORT); fi

run-postgres: .venv/.run ## the same on a PostgreSQL cluster of its own, which is gone when it ends
	@exec $(BIN)/python -m descartes_site.run_postgres --host $(HOST) --port $(PORT)

test: .venv/.dev ## the whole suite, on SQLite, in the browser and on PostgreSQL
	@PATH="$(CURDIR)/$(BIN):$$PATH" tests/run $(ARGS)

quick: .venv/.dev ## the suite without browser, faults, PostgreSQL and stores that are migrated anew, with fewer random examples
	@FAULTS=quick $(BIN)/pytest -n 2 -m "not browser and not faults and not alone and not slow" $(ARGS)

test-stores: .venv/.dev ## the suite with its store as one of two, each below /stores/NAME/
	@$(BIN)/pytest -n 2 --below-a-store -m "django_db and not browser and not faults and not alone and not slow" $(ARGS)

faults: .venv/.dev ## the fault and fuzz tests, at random and for longer than CI has time
	@FAULTS=long $(BIN)/pytest -m "faults or alone or thorough" $(ARGS)

test-frameworks: .venv/.dev .venv-frameworks/.installed .venv-crewai/.installed .venv-agno-2/.installed ## prove mirrors and restores with the real packages of other frameworks
	@FRAMEWORKS_PYTHON="$(CURDIR)/.venv-frameworks/bin/python" CREWAI_PYTHON="$(CURDIR)/.venv-crewai/bin/python" \
	AGNO_2_PYTHON="$(CURDIR)/.venv-agno-2/bin/python" \
	$(BIN)/pytest -m frameworks tests/frameworks $(ARGS)

.venv-%/.installed: requirements/%.in
	@$(PYTHON) -m venv .venv-$*
	@.venv-$*/bin/pip install -q -r $<
	@touch $@

check: .venv/.dev ## formats, lint, types, imports, migrations, deployment settings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/djangofmt --check templates
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	HTTPS=1 TRUSTED_PROXIES=127.0.0.1 SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))') $(BIN)/python manage.py check --deploy --fail-level WARNING

format: .venv/.dev ## rewrite Python and templates in the house's form
	$(BIN)/ruff check --fix-only -q .
	$(BIN)/ruff format .
	$(BIN)/djangofmt templates

bench: .venv/.dev ## measure the figures of docs/operations.md on generated data (CHECK=1 fails out of bounds)
	CHECK=$(CHECK) $(BIN)/python -m tests.bench

curves: .venv/.dev ## measure what pages and verbs cost on stores of 1,000 to 1,000,000 events
	@$(BIN)/python -m tests.bench.curves

load: .venv/.dev ## reads and saves over HTTP, on SQLite and PostgreSQL, with 1, 2 and 4 processes; needs wrk
	@$(BIN)/python -m tests.load

lighthouse: .venv/.dev ## load the demo's pages with Lighthouse, and fail below the bounds; needs Node.js, npm and Chromium
	@$(BIN)/python -m tests.lighthouse

screenshots: .venv/.dev ## make the pictures of README and docs anew
	$(BIN)/python -m tests.screenshots

lock: .venv/.dev ## resolve the hashed requirements anew
	$(BIN)/pip install -q uv
	for what in "run" "dev --group dev"; do set -- $$what; name=$$1; shift; \
	  $(BIN)/uv pip compile --universal -p 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q \
	  --extra postgres $$@ pyproject.toml -o requirements/$$name.txt; done

venv: .venv/.dev ## the locked environment in .venv

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is missing. On Debian: apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python's venv module is missing. On Debian: apt-get install python3-venv"; exit 1; }

.venv/.run: requirements/run.txt | .venv/bin/python
	@echo "Installing what the dashboard needs into .venv …"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/run.txt
	@touch $@

.venv/.dev: requirements/dev.txt requirements/run.txt | .venv/bin/python
	@echo "Installing what the tests need into .venv …"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch .venv/.run $@

clean: ## take away what was built; the data in var/ stays
	rm -rf .venv staticfiles .mypy_cache .ruff_cache .pytest_cache .hypothesis
