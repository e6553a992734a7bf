# ARGS is handed on: make run ARGS="--port 30010", make test ARGS="-k adb", make bench BENCH=fanout ARGS=--quick
.DEFAULT_GOAL := help
.PHONY: help run test check bench checklist install uninstall clean

help: ## Show this
	@sed -n 's/^\([a-z]*\): .*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "make %-10s %s\n", $$1, $$2 }'

run: ## Start the service with a demo phone, and print the address to open
	@scripts/bootstrap
	@.venv/bin/media-service run --demo $(ARGS)

test: ## Check and test everything, in real Chromium and through a real adb
	@scripts/bootstrap test
	@$(MAKE) --no-print-directory check
	.venv/bin/pytest $(ARGS)

check: ## Lint, format, types and import directions
	@scripts/bootstrap dev
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: ## Measure: make bench BENCH=fanout ARGS="--quick --json FILE"; without BENCH, list what there is
	@scripts/bootstrap dev
ifdef BENCH
	.venv/bin/python -m benchmarks.$(BENCH) $(ARGS)
else
	@grep -l __main__ benchmarks/*.py | sed 's,.*/\(.*\)\.py,make bench BENCH=\1,'
endif

checklist: ## Verify the deployment guide's checklist on a stack of real parts
	@scripts/bootstrap test
	@.venv/bin/python -m tests.checklist $(ARGS)

install: ## Install on this host: systemd units, user, settings (sudo make install)
	@scripts/install

uninstall: ## Remove what install put there; the settings stay, unless PURGE=1
	@scripts/uninstall

clean: ## Remove what the others made
	rm -rf .venv .tools build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
