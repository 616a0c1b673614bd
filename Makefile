# Every task of the project. `make` alone lists them.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.adyton-stamp
COMPILE := $(BIN)/uv pip compile -q --universal --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-strip-extras --python-version 3.11
# All but `tpm`, whose library is built from its source: requirements/tpm.in.
EXTRAS := --extra server --extra otel --extra aws --extra attest --extra pkcs11 --extra postgres --extra redis --extra reports

.DEFAULT_GOAL := help
.PHONY: help setup run demo test check format lock soak bench clean

help: ## List the tasks
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv from the pinned, hashed lock file (again when lock or pyproject change)

$(STAMP): requirements/dev.lock pyproject.toml scripts/setup.sh
	@scripts/setup.sh $(VENV)
	@touch $@

run: setup ## Start a server on a store in run/, do the main job through it, leave it running
	@scripts/run.sh

demo: setup ## Show the embedded store by the command line, on a store that is thrown away
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/demo.sh

test: setup ## Run the tests, except soak
	@scripts/debian-packages.sh age chromium fuse3 postgresql redis-server rsyslog softhsm2 strace systemd || echo "make test: going on without; tests that need it are skipped" >&2
	@scripts/tpm.sh $(VENV) || echo "make test: going on without a TPM; its tests are skipped" >&2
	$(BIN)/pytest -n 2 --dist loadfile

check: setup ## Format, lint, types, import contract, generated files, scripts/check_*.py
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy --strict
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/generate_faces.py --check
	$(BIN)/python scripts/generate_configuration.py --check
	$(BIN)/python scripts/generate_openapi.py --check
	$(BIN)/python scripts/generate_metrics.py --check
	@set -e; for script in scripts/check_*.py; do \
		echo "$(BIN)/python $$script"; $(BIN)/python "$$script"; \
	done

format: setup ## Format, and mend what the linter can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	$(BIN)/python scripts/generate_faces.py
	$(BIN)/python scripts/generate_configuration.py
	$(BIN)/python scripts/generate_openapi.py
	$(BIN)/python scripts/generate_metrics.py

lock: setup ## Pin what pyproject.toml asks for (UPGRADE=--upgrade: the newest it allows)
	$(COMPILE) $(UPGRADE) $(EXTRAS) -o requirements/runtime.lock pyproject.toml
	$(COMPILE) $(UPGRADE) $(EXTRAS) --group build --group test --group dev -o requirements/dev.lock pyproject.toml
	$(COMPILE) -c requirements/dev.lock --extra server --extra otel --extra aws --extra postgres --extra redis -o requirements/image.lock pyproject.toml
	$(COMPILE) -c requirements/dev.lock --group build -o requirements/build.lock
	$(COMPILE) $(UPGRADE) -o requirements/ansible.lock requirements/ansible.in
	$(COMPILE) $(UPGRADE) -c requirements/dev.lock -o requirements/tpm.lock requirements/tpm.in

soak: setup ## Run the long campaigns
	$(BIN)/pytest -m soak

bench: setup ## Run the benchmarks
	$(BIN)/python -m benchmarks

clean: ## Remove caches and build results; .venv stays
	rm -rf dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
