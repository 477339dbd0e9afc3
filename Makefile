# make train: a trained, tracked model.  make help: everything else.
PYTHON ?= python3
BIN := .venv/bin
# Extra arguments for a command: make train ARGS="model=lenet5 training.epochs=3"
ARGS ?=
# Which model is served, and where the server listens: 5000 for the MLflow UI, 5001 for a model.
MODEL ?= models:/mnist@champion
PORT ?=
# A variable as it was typed after `make`; one of that name in the environment does not count.
typed = $(if $(findstring command line,$(origin $(1))),$(value $(1)))
# make setup GPU=1 adds NVIDIA's libraries, RAY=1 adds Ray, EXPORT=1 what writes and runs ONNX and LiteRT files.
EXTRAS := $(if $(call typed,GPU),.venv/.installed-gpu) $(if $(call typed,RAY),.venv/.installed-ray) \
	$(if $(call typed,EXPORT),.venv/.installed-export)

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev train test test-fast test-services test-slow check ui serve pictures results screenshots lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.installed $(EXTRAS) ## Build .venv from the locked requirements (GPU=1 RAY=1 EXPORT=1: with NVIDIA's libraries, Ray, ONNX and LiteRT)

setup-dev: .venv/.installed-dev $(EXTRAS) ## The same with the tools for developing and testing

train: setup ## Train LeNot on MNIST, tracked in MLflow (ARGS=... adds overrides)
	$(BIN)/python -m src.train $(ARGS)

test: setup-dev ## Run every test that takes seconds
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not browser and not services and not fault" $(ARGS)

# Folders and files whose tests neither train nor start processes.
FAST := tests/schema tests/console tests/reports/test_markdown.py tests/study/test_numbers.py tests/test_conf.py \
	tests/test_language.py tests/test_links.py tests/test_places.py tests/test_redact.py tests/test_tables.py tests/cli/test_compose.py \
	tests/cli/test_mistakes.py tests/cli/test_strings.py tests/cli/test_files.py

test-fast: setup-dev ## Run the tests that need no training and no process: under a minute, for every save
	$(BIN)/python -m pytest -n 2 -q -m "not slow and not browser and not services and not fault" $(FAST) $(ARGS)

test-services: setup-dev ## Run the tests that start servers, run whole pipelines or kill processes
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "(browser or services or fault) and not slow" $(ARGS)

test-slow: setup-dev ## Run the tests that take minutes
	$(BIN)/python -m pytest -m slow $(ARGS)

check: setup-dev ## All that must hold before a commit: style, types, architecture, tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

# The address is passed on in the environment, where neither make nor the shell interprets it.
unexport URI
ifneq ($(call typed,URI),)
ui: export MLFLOW_TRACKING_URI := $(call typed,URI)
endif

ui: setup ## Show the tracked runs in the MLflow UI on http://127.0.0.1:5000 (PORT=5001 URI=sqlite:////FOLDER/mlflow.db OPEN=1)
	@$(BIN)/python -m src.ui $(addprefix port=,$(call typed,PORT)) $(addprefix open=,$(call typed,OPEN))

serve: setup ## Serve a model on http://127.0.0.1:5001 (MODEL=models:/mnist@champion)
	@$(BIN)/python -m src.serve "model_uri=$(MODEL)" $(addprefix port=,$(call typed,PORT))

pictures: setup ## Draw the pictures of the documents that need no training
	$(BIN)/python -m docs.drawings

results: setup ## Write the tables of README.md and docs/results.md, and the picture of the README, from benchmarks/results/*.json
	$(BIN)/python -m benchmarks.report

screenshots: setup-dev ## Test the MLflow UI in a browser and keep its screenshots in SCREENSHOTS=docs/images
	SCREENSHOTS=$${SCREENSHOTS:-docs/images} $(BIN)/python -m pytest tests/browser $(ARGS)

COMPILE := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-header
LOCK := $(COMPILE) pyproject.toml --extra postgres --extra server

lock: ## Compile the locked requirements anew (needs uv)
	$(LOCK) -o requirements.lock
	$(LOCK) --extra gpu -c requirements.lock -o requirements-gpu.lock
	$(LOCK) --group dev -c requirements.lock -o requirements-dev.lock
	$(LOCK) --extra ray -c requirements-dev.lock -o requirements-ray.lock
	$(LOCK) --extra export -c requirements-dev.lock -o requirements-export.lock
	$(COMPILE) benchmarks/peers/requirements.txt -c requirements-ray.lock -o benchmarks/peers/requirements.lock

clean: ## Remove caches and debug runs; tracked runs, data and .venv stay
	rm -rf .debug .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

# Both pip and uv compile bytecode here: without it every start imports TensorFlow in 8 s instead of 4.
define install
	if command -v uv >/dev/null; then uv pip install -q --python $(BIN)/python --compile-bytecode --require-hashes -r $(1); \
	else $(BIN)/python -m pip install -q --disable-pip-version-check --compile --require-hashes -r $(1); fi
	touch $@
endef

.venv/.installed: requirements.lock | .venv/bin/python
	@echo "installing the locked requirements into .venv (a minute or two)"
	@$(call install,requirements.lock)

.venv/.installed-gpu: requirements-gpu.lock .venv/.installed
	@echo "installing NVIDIA's libraries into .venv (about 3 GB to download)"
	@$(call install,requirements-gpu.lock)

.venv/.installed-%: requirements-%.lock .venv/.installed
	@$(call install,$<)
