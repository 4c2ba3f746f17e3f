# `make` lists the verbs. Everything but `help` and `clean` sets the machine up first, which
# takes a second when nothing changed.

PYTHON ?= python3
EMBODIMENT ?= bimanual_trossen
DURATION ?= 20
TESTS ?= test
WORKERS ?= auto
# Not among them: load, which writes a full-size checkpoint where it is told to, recording, which
# writes 50 GB in ten minutes, and soak, which is one long look.
BENCHES ?= control camera_sync sampling infer checkpoint_swap expert boundaries

VENV := .venv
BIN := $(VENV)/bin

# Set by the start-up hook of the ROS wheels for its own children; from another environment it
# would make this one load that one's libraries.
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE

.DEFAULT_GOAL := help
.PHONY: help setup build demo test lint format bench clean

help: ## List the verbs
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

setup: ## Prepare this machine: system packages, .venv, ROS, the three packages
	@$(PYTHON) -m bootstrap

build: setup ## Re-install what changed (the same as setup)

demo: setup ## Drive a simulated robot (EMBODIMENT=bimanual_trossen DURATION=20 seconds)
	@$(VENV)/lib/pi0_bringup/demo --embodiment $(EMBODIMENT) --duration $(DURATION)

test: setup ## Run the fast tests on all cores (TESTS=test/control for some, WORKERS=0 for one process)
	@$(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --maxprocesses 8 --dist worksteal $(TESTS)

lint: setup ## Check style, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python -m mypy

format: setup ## Rewrite to the house format
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format .

bench: setup ## Run the benchmarks; each ends with one line of JSON (BENCHES=control)
	@set -e; for name in $(BENCHES); do echo "== $$name"; $(BIN)/python bench/$$name.py; done

clean: ## Remove build products and outputs; keeps .venv
	@rm -rf build install log out .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -path ./$(VENV) -prune -o -type d \( -name __pycache__ -o -name '*.egg-info' \) -print0 | xargs -0 rm -rf
