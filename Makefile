# `make` lists the targets. Recipes are one line; what they do stands in scripts/ and xtask/.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run test check generate bench clean

help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Builds `liteagent`, runs two examples, and starts the platform on http://127.0.0.1:8000
	@scripts/run.sh

test: ## Checks and tests everything: what CI runs
	@scripts/task.sh test

check: ## Format, lints, layers and generated files, without tests
	@scripts/task.sh check

generate: ## Writes the files that are computed from types: schemas and reference pages
	@scripts/task.sh generate

bench: ## Runs the benchmarks
	@scripts/task.sh bench

clean: ## Deletes what was built and downloaded outside this folder, and the local runs
	@scripts/clean.sh
