# Everything sets itself up: Python 3.11+, make and (for the Kokoro voices) npm are all a machine needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PAGE := api/web/node_modules/.ready
TO ?= pt-BR
VIDEO ?=
ARGS ?=

.PHONY: setup dub run test test-slow chaos check bench quality bench-edit bench-service reference screenshots clean help

help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Dubline needs Python 3.11 or newer")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing (a few minutes the first time)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[app,embedded,dev]'
	@touch $(READY)

# The page works only with its libraries, everything else without: no npm, or no way to reach it, stops nothing.
$(PAGE): api/web/package.json
	@if command -v npm > /dev/null; then \
	  npm install --prefix api/web --silent --no-audit --no-fund --no-package-lock && touch $@ \
	    || echo "The page's libraries could not be installed; everything else works. Try make setup again."; \
	else echo "No npm: the web page stays away, everything else works."; fi

setup: $(READY) $(PAGE)  ## Install everything and prepare the weights
	@$(BIN)/dubline setup
	@command -v dubline > /dev/null || echo "The command is $(BIN)/dubline; for plain dubline: . $(BIN)/activate"

dub: setup  ## Dub the sample clip, or VIDEO=talk.mp4 TO=pt-BR ARGS="--background mute"
ifeq ($(VIDEO),)
	@mkdir -p build/sample
	@test -f build/sample/sample.mp4 || $(BIN)/dubline sample build/sample/sample.mp4
	@$(BIN)/dubline dub build/sample/sample.mp4 --to $(TO) $(ARGS)
else
	@$(BIN)/dubline dub '$(subst ','\'',$(VIDEO))' --to $(TO) $(ARGS)
endif

run: setup  ## Run the service: API, page, Prefect, engines and worker (ARGS="--port 9000")
	@$(BIN)/dubline up $(ARGS)

check: $(READY)  ## Format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check --no-cache .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/pyright

test: setup check  ## The whole test suite but the slow tables
	@$(BIN)/pytest -m "not slow and not chaos"

test-slow: setup  ## What takes longer: every file of the media folder, fuzzing, all odd names, thousands of requests
	@$(BIN)/pytest -m slow

chaos: setup  ## Kill every part of a running stack at every stage boundary, and at random
	@$(BIN)/pytest -m chaos -s tests/chaos

bench: setup  ## Measure against the plain reference script and print the figures
	@$(BIN)/python -m bench $(ARGS)

quality: setup  ## Dub real talks and print how good the results are
	@$(BIN)/python -m bench.quality $(ARGS)

bench-edit: setup  ## Measure when a dub can first be watched, and what a changed line and a second language cost
	@$(BIN)/python -m bench.edit $(ARGS)

bench-service: setup  ## Measure the running service: start, memory, latencies, many clients
	@$(BIN)/python -m bench.service $(ARGS)

screenshots: setup  ## Write the pictures of the page under docs/images
	@$(BIN)/python -m tests.web.screenshots docs/images

reference: $(READY)  ## Write docs/reference.md from the settings
	@$(BIN)/python -m dubline.settings_page > docs/reference.md

clean:  ## Remove what was built here (not the state folder)
	rm -rf $(VENV) api/web/node_modules build dist .pytest_cache .ruff_cache .hypothesis
