# Needs Python 3.11 or newer with venv, and make. `make` alone lists what there is to do.
.DEFAULT_GOAL := help
.SUFFIXES:
.DELETE_ON_ERROR:

BIN := .venv/bin
JOBS ?= 2# test processes
ARGS ?=# passed on: make test ARGS="-k cursor", make serve ARGS="--port 9000"
PYTEST := $(BIN)/python -m pytest -n $(JOBS)
NO_BROWSER := --ignore tests/browser# make test-browser runs them
CODE := agent_api handlers db migrations benchmarks tests
export PYTHON
unexport PYTHONDONTWRITEBYTECODE # container images set it; pytest then rewrites 650 modules in each run
bench clients contract test-browser test-clients vendor: export PATH := $(CURDIR)/$(BIN):$(PATH)
bench clients contract test-browser test-clients vendor: export npm_config_cache := $(CURDIR)/.venv/.npm# a home may be read-only

# A .venv that was moved, or whose Python is gone, is made again.
ifneq ($(shell [ -x $(BIN)/python ] && [ "$$(cat .venv/.place 2>/dev/null)" = "$$(pwd -P)" ] && echo good),good)
stale := FORCE
endif

SETUP := .ci/setup .ci/setup.py pyproject.toml

.PHONY: help
help:
	@echo 'make <target>, where the target is one of'
	@while IFS= read -r line; do case $$line in \
	    [a-z]*': '*'## '*) printf '  %-14s %s\n' "$${line%%:*}" "$${line##*'## '}" ;; \
	esac; done <Makefile

.PHONY: setup
setup: .venv/.runtime ## make .venv, with the agent-api command in it

.PHONY: serve
serve: .venv/.runtime ## serve on http://127.0.0.1:8000, with a PostgreSQL and a fake agent
	@$(BIN)/agent-api serve --echo $(ARGS)

.PHONY: test
test: .venv/.dev ## run the tests on a PostgreSQL that they start
	$(PYTEST) --dist loadfile -m 'smoke or not (slow or process)' --ignore tests/test_schemathesis_thorough.py $(NO_BROWSER) $(ARGS)

.PHONY: test-all
test-all: .venv/.dev ## run all tests, also those that are slow or start processes
	$(PYTEST) --dist loadfile --timeout 1200 $(NO_BROWSER) $(ARGS)

.PHONY: coverage
coverage: .venv/.dev ## run all tests but the slow ones, and show which branches they miss
	$(PYTEST) --dist loadfile -m 'not slow' --cov $(NO_BROWSER) $(ARGS)

.PHONY: test-browser
test-browser: .venv/.browser .ci/vendor/node_modules/.package-lock.json ## use the web page in a real Chromium, which must be installed
	$(BIN)/python .ci/vendor/vendor.py --check
	$(PYTEST) --dist loadfile tests/browser $(ARGS)

FUZZ_EXAMPLES ?= 1000# requests that Schemathesis draws for an operation
FUZZ_SECONDS ?= 300# of atheris, over all of its targets
FUZZ_SEED ?= 0# a new one each time

.PHONY: fuzz
fuzz: .venv/.fuzz ## look for requests and tokens that break the server: FUZZ_EXAMPLES, FUZZ_SECONDS
	TEST_EXAMPLES=$(FUZZ_EXAMPLES) $(PYTEST) tests/test_schemathesis_thorough.py $(ARGS)
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED)

.PHONY: lint
lint: .venv/.dev ## check style, formatting, types, layers and spelling
	@failed=0; for tool in 'ruff check .' 'ruff format --check .' mypy lint-imports codespell 'python .ci/forgotten.py'; do \
	    echo "$$tool"; $(BIN)/$$tool || failed=1; \
	done; exit $$failed

.PHONY: lint-contract
lint-contract: .venv/.dev ## check the version and style of the contract, without Node
	@$(BIN)/python .ci/contract openapi/released.yaml openapi/agent-api.yaml
	@$(BIN)/python .ci/forgotten.py
	@$(BIN)/python -m pytest -q tests/test_contract_style*.py

.PHONY: audit
audit: .venv/.dev ## ask whether the locked packages have known vulnerabilities
	$(BIN)/python .ci/audit.py $(filter-out requirements/constraints.txt,$(wildcard requirements/*.txt))

.PHONY: format
format: .venv/.dev ## sort imports, apply the safe fixes, format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: contract
contract: .venv/.clients .ci/contract/node_modules/.package-lock.json ## check the contract, also against its last release, and render it
	.ci/contract/check

.PHONY: clients
clients: .venv/.clients clients/typescript/node_modules/.package-lock.json ## generate the clients, and check their types
	clients/generate

.PHONY: test-clients
test-clients: clients .venv/.generators clients/generators/node_modules/.package-lock.json ## play a story through each client, run examples/, try other generators
	$(PYTEST) -p tests.conftest clients $(ARGS)

.PHONY: vendor
vendor: .ci/vendor/node_modules/.package-lock.json ## copy the libraries of the web page from npm into the package
	$(BIN)/python .ci/vendor/vendor.py

.PHONY: bench
bench: .venv/.clients benchmarks/peers/fastify/node_modules/.package-lock.json ## compare a request's CPU with other servers'
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: bench-growth
bench-growth: .venv/.dev ## measure what grows: pages, writers, memory, start-up
	$(BIN)/python -m benchmarks.growth $(ARGS)

.PHONY: bench-live
bench-live: .venv/.clients ## measure streams: waiting, latency, throughput, cost
	$(BIN)/python -m benchmarks.live $(ARGS)

NAME ?=
.PHONY: migration
migration: .venv/.dev ## write a migration for what changed in db/models.py: NAME="Add archived"
	@$(BIN)/python .ci/new_migration.py "$(NAME)"

.PHONY: wheel
wheel: .venv/.dev ## build the wheel and try it in a clean environment
	rm -rf dist
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .
	cp requirements/constraints.txt dist/
	$(BIN)/python .ci/check_wheel.py dist

.PHONY: lock
lock: ## renew requirements/ where pyproject.toml asks for it; UPGRADE=1: to the newest versions
	.ci/lock $(if $(UPGRADE),--upgrade)

.PHONY: clean
clean: ## remove .venv, caches and what was built
	rm -rf .venv build dist .coverage .coverage.* .fuzz .hypothesis .mypy_cache .pytest_cache .ruff_cache .schemathesis
	find $(CODE) -name __pycache__ -prune -exec rm -rf {} +
	rm -rf .ci/contract/node_modules .ci/vendor/node_modules benchmarks/peers/fastify/node_modules clients/generators/node_modules clients/python/agent_api_client
	rm -rf $(addprefix clients/typescript/,dist node_modules package src)

.venv/.runtime: $(SETUP) requirements/embedded.txt requirements/build.txt $(stale)
	@.ci/setup runtime
	@touch $@

# dev.txt holds the others' packages too, in the same versions.
.venv/.dev: $(SETUP) requirements/dev.txt $(stale)
	@.ci/setup dev
	@touch .venv/.runtime $@

# fuzz.txt adds to dev.txt what has no wheel for some platforms, where it is left out.
.venv/.fuzz: $(SETUP) requirements/dev.txt requirements/fuzz.txt $(stale)
	@.ci/setup fuzz
	@touch .venv/.runtime .venv/.dev $@

# clients.txt holds the others' packages as well, and Node.
.venv/.clients: $(SETUP) requirements/clients.txt $(stale)
	@.ci/setup clients
	@touch .venv/.runtime .venv/.dev $@

# browser.txt adds to clients.txt what starts the browser of test-browser.
.venv/.browser: $(SETUP) requirements/clients.txt requirements/browser.txt $(stale)
	@.ci/setup browser
	@touch .venv/.runtime .venv/.dev .venv/.clients $@

# generators.txt adds to clients.txt the generators of test-clients, and Java.
.venv/.generators: $(SETUP) requirements/clients.txt requirements/generators.txt $(stale)
	@.ci/setup generators
	@touch .venv/.runtime .venv/.dev .venv/.clients $@

%/node_modules/.package-lock.json: %/package.json %/package-lock.json .venv/.clients
	cd $* && npm ci --ignore-scripts
	@touch $@

.PHONY: FORCE
FORCE:
