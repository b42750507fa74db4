# Odograph. `make demo` shows it, `make test` proves it. Both set up what they need.
VENV ?= .venv
PY = $(VENV)/bin/python
SECONDS ?= 0
HOURS ?= 10000
VEHICLES ?= 10000
CUTS ?= 100000
KILLS ?= 2000
PAYLOADS ?= 10000000
SETUP = VENV=$(VENV) packaging/setup.sh
# where setup.sh puts a Node.js of its own, if the machine has none that is new enough
export PATH := $(abspath $(VENV))/node-bin:$(PATH)

# the pure floors: each branch of them is covered
PURE = tests/wire tests/agent/core tests/hub/core

# two at a time, a file each: most tests of the real parts wait, and those of one file share their parts
TWO = -n 2 --dist loadfile

.PHONY: help demo test lint soak bench lock wheel pages clean

help:
	@echo "make demo            a hub and three vehicles on real drives; SECONDS=60 ends by itself"
	@echo "make test            set up and run the whole suite, with the static checks"
	@echo "make lint            the static checks alone"
	@echo "make soak            the proofs in full, from fresh seeds: HOURS=10000 driven, CUTS=100000, KILLS=2000, PAYLOADS=10000000"
	@echo "make bench           figures, side by side with peers"
	@echo "make wheel           build the wheel, pages included"
	@echo "make lock            resolve the lock files anew"

demo:
	@$(SETUP) env
	@$(SETUP) pages
	@$(PY) -m bench.demo --seconds $(SECONDS)

test:
	@$(SETUP) env-dev
	@$(SETUP) system-test
	@$(SETUP) pages
	@$(MAKE) --no-print-directory static
	$(PY) -m pytest $(PURE) -q $(TWO) --cov --cov-fail-under=100
	$(PY) -m pytest $(PURE:%=--ignore=%) $(TWO) --durations=25

.PHONY: static
static:
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

lint:
	@$(SETUP) env-dev
	@$(MAKE) --no-print-directory static

soak:
	@$(SETUP) env-dev
	@$(SETUP) system-test
	$(PY) -m tests.sim --hours $(HOURS)
	$(PY) -m tests.power --cuts $(CUTS)
	$(PY) -m tests.kills --kills $(KILLS)
	$(PY) -m tests.fuzz --payloads $(PAYLOADS)
	$(PY) -m tests.links --full
	$(PY) -m tests.herd --vehicles $(VEHICLES)

bench:
	@$(SETUP) env-dev
	@$(SETUP) pages
	$(PY) -m bench

pages:
	@$(SETUP) env
	@$(SETUP) pages

wheel:
	@$(SETUP) env-dev
	@$(SETUP) pages
	$(PY) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

lock:
	@$(SETUP) env-dev
	packaging/lock.sh $(PY)

clean:
	rm -rf $(VENV) build dist var hub/pages/dist hub/pages/node_modules
