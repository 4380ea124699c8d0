# Everything is set up on first use: packages (asked for), a virtual environment, the guests' kernel.
PYTHON ?= python3
VENV := .venv/bin
SETUP := PYTHONPATH=src $(PYTHON) -m haven.lab.setup
# Whole files, in the order of tests/conftest.py: the tests of a file share lab hosts.
JOBS ?= 2
PYTEST := $(VENV)/pytest tests -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: help demo test quick lint conformance bench docs clean search setup setup-dev

help:
	@echo "make demo    set up and show the main job on real VMs   (KEEP=1 leaves the lab host up, YES=1 does not ask)"
	@echo "make test    set up and run every check and test   (JOBS=2 at a time)"
	@echo "make quick   the tests that need no VM"
	@echo "make lint    style, types, rooms"
	@echo "make conformance   hold the brain against the cases of the hand-over (SHARED=path)"
	@echo "make search  look for a broken promise in random clusters for MINUTES=3, in both pacings"
	@echo "make bench   measure; writes bench/latest.json"
	@echo "make docs    write the program's tables into docs/"
	@echo "make clean   remove what make made (packages stay installed)"

setup:
	@$(SETUP)

setup-dev:
	@$(SETUP) --dev

demo: setup
	@$(VENV)/python -m haven.lab.demo

test: setup-dev lint
	$(PYTEST) --cov --cov-report=term --cov-fail-under=98

quick: setup-dev
	$(PYTEST) -m "not lab"

lint: setup-dev
	$(VENV)/ruff check src tests bench tools
	$(VENV)/ruff format --check src tests bench tools
	$(VENV)/mypy
	$(VENV)/lint-imports --no-cache

SHARED ?= ../shared
CASES := $(SHARED)/conformance

conformance: setup-dev
	PATH="$(CURDIR)/$(VENV):$$PATH" $(VENV)/python $(CASES)/compare.py --diff $(CASES)/cases/*.json
	$(VENV)/haven sim cases $(CASES)/rules_cases/*.json $(CASES)/selection_cases/*.json \
	  $(CASES)/bundle_cases/*.json $(CASES)/scheduler_cases/*.json $(CASES)/fence_cases/*.json

MINUTES ?= 3
SEEDS ?= 1..100000000

search: setup-dev
	$(VENV)/haven sim search --seeds $(SEEDS) --minutes $(MINUTES)
	$(VENV)/haven sim search --pacing pve --seconds 3000 --seeds $(SEEDS) --minutes $$(( ($(MINUTES) + 5) / 6 ))

bench: setup-dev
	$(VENV)/python -m bench

docs: setup-dev
	PYTHONPATH=. $(VENV)/python tools/generate_docs.py

clean:
	rm -rf build .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
