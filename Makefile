# SPDX-License-Identifier: Apache-2.0
BIN := .venv/bin
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'
BUILD_REQUIRES := import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")

.PHONY: check lint format test unit faults docs lock

check: lint test

lint:
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	shellcheck bootstrap .ci/run

format:
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

test:
	$(BIN)/python -m pytest

unit:
	$(BIN)/python -m pytest tests/unit

# Every point of every fault; `make test` takes a sample.
faults:
	BIGTOP_FAULTS=all $(BIN)/python -m pytest tests/integration/faults tests/unit/test_hostile_debs.py \
		tests/unit/test_control_properties.py

# docs/formats.md, docs/settings.md and docs/schemas/ come from the models.
docs:
	$(BIN)/python -m bigtop_builder.reference docs

# Keeps the versions that are there; `make lock UPGRADE=--upgrade` takes the newest. The build backend is in the
# runtime lock since bootstrap installs the checkout without build isolation.
lock: | $(BIN)/uv
	$(BIN)/python -c '$(BUILD_REQUIRES)' | $(COMPILE) $(UPGRADE) pyproject.toml - -o requirements.txt
	$(COMPILE) $(UPGRADE) --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt

$(BIN)/uv:
	$(BIN)/pip install --quiet uv
