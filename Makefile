# `make sync` on a fresh machine with Python 3.11 does everything; each target sets up what it needs, once.

PYTHON ?= python3
PIP = .venv/bin/pip --disable-pip-version-check --quiet
export DAGSTER_HOME ?= $(CURDIR)/.dagster
# Images for containers often set it; each of the many processes of a test run would compile our modules anew.
export PYTHONDONTWRITEBYTECODE =

.PHONY: setup sync ui test long postgres chaos mutants matrix docs check lock clean bench

setup: .venv/ready

sync: .venv/ready
	@.venv/bin/cashpay sync

ui: .venv/ready
	@mkdir -p -m 700 "$(DAGSTER_HOME)" && test -e "$(DAGSTER_HOME)/dagster.yaml" || cp deploy/dagster.yaml "$(DAGSTER_HOME)/"
	@echo "The interface: http://localhost:3000 (Ctrl-C ends it)"
	@.venv/bin/python -W ignore -m dagster dev --workspace workspace.yaml --log-level warning

test: .venv/ready-dev
	.venv/bin/pytest --numprocesses auto --dist worksteal

# What `make test` leaves out: the marker `long`.
long: .venv/ready-dev
	.venv/bin/pytest -m "long and not repeats" --numprocesses auto --dist worksteal

# Orders out of a PostgreSQL server. The extension comes from the package index, with the DuckDB that it is made for.
postgres: .venv/ready-dev .matrix/postgres/ready
	PYTHONPATH=.matrix/postgres .venv/bin/pytest -rs tests/test_postgres.py

.matrix/postgres/ready: Makefile
	@rm -rf .matrix/postgres
	@$(PIP) install --no-deps --target .matrix/postgres duckdb==1.5.5 duckdb-extension-postgres-scanner==1.5.5
	@touch $@

# The long tests are described in docs/testing.md.
# Random contracts, worlds, faults and kills; a failing seed again: make chaos SEEDS=1 FIRST=1234
SEEDS ?= 1000
FIRST ?= 1
chaos: .venv/ready-dev
	@.venv/bin/python tests/chaos --seeds $(SEEDS) --first $(FIRST)

mutants: .venv/ready-dev
	@.venv/bin/python tests/mutants/mutate.py $(ONLY)

matrix: .venv/ready-dev
	@.venv/bin/python tests/matrix.py $(ONLY)

# The data dictionary and sql/catalog.json, from the SQL and its comments.
docs: .venv/ready
	.venv/bin/python -m cashpay_pipeline.dictionary

check: .venv/ready-dev
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/sqlfluff lint sql/marts sql/checks sql/queries

# Exact versions, without the name of any registry: one lock for running, one for working on the code.
lock: pyproject.toml
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet --editable .
	.venv-lock/bin/pip freeze --exclude-editable > requirements.lock
	.venv-lock/bin/pip install --quiet --editable '.[dev]'
	.venv-lock/bin/pip freeze --exclude-editable > requirements-dev.lock
	rm -rf .venv-lock

clean:
	rm -rf .venv .venv-lock .matrix .pytest_cache .mypy_cache .ruff_cache .hypothesis dist

.venv/ready: requirements.lock pyproject.toml
	@echo "Setting up .venv (once; a few minutes on a slow line)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@$(PIP) install --requirement requirements.lock
	@$(PIP) install --no-deps --editable .
	@touch $@

.venv/ready-dev: .venv/ready requirements-dev.lock
	@$(PIP) install --requirement requirements-dev.lock
	@touch $@

# Against what people would use instead: minutes to hours. QUICK=1 for a look, CASE=full for one case, TOOLS=ours,script for some.
bench: .venv/ready
	.venv/bin/python benchmarks/bench.py $(if $(CASE),--case $(CASE)) $(if $(QUICK),--quick) $(if $(PAIRS),--pairs $(PAIRS)) $(if $(TOOLS),--tools "$(TOOLS)")
