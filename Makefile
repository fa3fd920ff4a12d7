# Needs Python 3.11 or newer and make; everything else is set up in .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: run test lint types unit soak bench docs lock secrets clean

run: $(READY)
	$(BIN)/hpsearch run book-rounds

test: lint types unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

unit: $(READY)
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# What `make test` leaves out, then ten minutes of random input, and then every fault of tests/faults
# on both kinds of store, again and again: make soak MINUTES=60
MINUTES ?= 20
soak: $(READY)
	$(BIN)/pytest -m soak --numprocesses 2 --dist loadfile --no-loadscope-reorder
	$(BIN)/python -m tests.fuzz.soak --minutes 10
	$(BIN)/python -m tests.faults.soak --minutes $(MINUTES)

bench: $(READY)
	$(BIN)/python -m benchmarks

# The pages and figures that follow from the code, and then the site, in build/site.
docs: $(READY)
	$(BIN)/python -m docs.make
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

# The hashed lock is the whole environment, the build backend included.
$(READY): requirements-dev.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(READY)

COMPILE := pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --quiet \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header --extra postgres

lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv==0.13.9
	$(VENV)-lock/bin/uv $(COMPILE) --group dev --output-file requirements-dev.lock
	$(VENV)-lock/bin/uv $(COMPILE) --group build --constraint requirements-dev.lock --output-file requirements.lock
	rm -rf $(VENV)-lock

# Passwords for docker-compose.yml; those that are there stay. The folder is closed to others, and
# its files are not: a container's user is another than yours, and sees the files alone.
SECRET := $(PYTHON) -c 'import secrets; print(secrets.token_hex(24))'
secrets:
	@mkdir -p -m 700 secrets; cd secrets; for name in postgres ledger mlflow; do \
		test -s $$name || $(SECRET) > $$name; \
	done; \
	test -s storage || \
	echo "postgresql+psycopg://hpsearch:$$(cat ledger)@postgres:5432/hpsearch" > storage; \
	chmod 444 *

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
