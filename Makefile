# Everything a contributor types. Each target sets up what it needs the first time, and only then.

.PHONY: help demo check coverage test faults fuzz lint docs picture bench wheel release

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## Build examples/hello-world with Nix and make one prediction; nothing but Python has to be there
	@scripts/demo

check: ## Check style, types and unit tests, without Nix, Docker, root or a network
	@scripts/check $(ARGS)

coverage: ## Say which lines the tests of `make check` run; fails below the floor
	@scripts/check --cov --cov-report=term:skip-covered --cov-fail-under=85 $(ARGS)

test: ## Run the whole test suite, the compatibility tests included
	@scripts/test $(ARGS)

faults: ## End commands at 60 moments each, break downloads, fill disks; takes hours
	@scripts/setup dev
	@.venv/bin/python -m tests.faults.harness $(ARGS)

fuzz: ## Break what cog-nix reads, for ARGS=SECONDS (600); further words choose readers
	@scripts/setup dev
	@PYTHONPATH=.:hooks:nix/builders .venv/bin/python -m tests.fuzz $(or $(ARGS),600)

wheel: ## Build dist/*.whl, with the versions of the Nix that it brings pinned
	@scripts/wheel

release: ## Build dist/ for a release and try it; ARGS=--rehearse takes the working tree as it is. Uploads nothing
	@scripts/release $(ARGS)

lint: ## Check style, formatting and types
	@scripts/lint

docs: ## Write what is generated anew: pages of docs/reference, nix/modules.json
	@scripts/setup dev
	@.venv/bin/python scripts/write_reference.py
	@.venv/bin/python scripts/write_modules.py

picture: ## Draw docs/images/explain.png anew, with Chromium
	@scripts/setup test
	@.venv/bin/python scripts/draw_picture.py

bench: ## Measure the targets of docs/design/performance.md
	@scripts/setup dev
	@.venv/bin/python -m benchmarks.run $(ARGS)
