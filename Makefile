# `make` alone prints this help. Everything runs from .venv; nothing is installed elsewhere.
PYTHON ?= python3
WORKERS ?= 2
# `make repro PROFILE=sd2 DATA=photos/` is a study of its own: studies/sd2/, reports/sd2/.
STUDY ?= $(or $(PROFILE),$(notdir $(DATA:/=)))
# What `lr-edit app` is made of. Gradio states bounds below the pinned pillow and tomlkit, on which it
# runs all the same (tests/test_app.py); pip would refuse the two together.
PAGE := gradio gradio_client brotli groovy hf-gradio httpcore httpx pydub python-multipart pytz \
  safehttpx semantic-version
BIN := .venv/bin
STAMP := .venv/.installed
# Stage commands in dvc.yaml say `lr-edit stage ...`: .venv comes first.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup pull push repro study test check benchmark faults deps docs lock pages ui clean

help:  ## print this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## make .venv with the pinned packages (PYTHON=python3.12 picks another Python)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "$(PYTHON) is not Python 3.11 to 3.13: run make with PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "Installing into .venv: some minutes the first time, PyTorch is large"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt --no-deps $(PAGE)
	@touch $@
	@echo "Installed. \`make pull\` fetches data and weights; \`source .venv/bin/activate\` brings lr-edit"

pull: setup  ## fetch the bundled data and weights into data/ and models/
	@$(BIN)/dvc pull --quiet $(wildcard *.dvc)
	@echo "data/ and models/ are here"

repro: $(if $(STUDY),study,pull)  ## regenerate the study: tables, contact sheet, MLflow runs
	$(if $(STUDY),,$(BIN)/dvc repro)
	@$(if $(STUDY),,$(BIN)/lr-edit where)

study: pull  ## the same for another: STUDY=NAME (studies/NAME.yaml), or PROFILE=sd2 DATA=photos/
	$(BIN)/lr-edit study $(STUDY) $(if $(PROFILE),--profile $(PROFILE)) $(if $(DATA),--data $(DATA))
	$(BIN)/dvc repro studies/$(STUDY)/dvc.yaml
	@$(BIN)/lr-edit --root studies/$(STUDY) where

test: pull  ## run the tests; LONG=1: the long ones too, as CI does
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
	  $(if $(LONG),-m "not gpu and not weights and not slow")

check: setup  ## lint, format, types, tests: what must pass before a commit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(MAKE) --no-print-directory test

benchmark: pull  ## measure what an edit costs here: reports/performance.md
	OMP_NUM_THREADS=$(WORKERS) MKL_NUM_THREADS=$(WORKERS) $(BIN)/python -m benchmarks.cost

deps: setup  ## write the code that stages stand on into dvc.yaml and the studies
	@$(BIN)/python -m lr_edit.stages.dependencies

faults: pull  ## try what can go wrong, some tens of minutes: reports/reliability.md
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m tests.faults

docs: setup  ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "site/index.html; with its search: python3 -m http.server -d site"

lock:  ## write requirements.lock, constraints.txt with hashes (uv must be installed)
	uv pip compile pyproject.toml --quiet --extra dev -c constraints.txt --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --custom-compile-command "make lock" -o requirements.lock

pages: setup  ## write README's results and the pages of reports/ from the committed data
	@$(BIN)/lr-edit $(if $(STUDY),--root studies/$(STUDY)) pages

push: setup  ## put the finished study into dvcstore/, and drop what nothing names any more
	@test ! -f artifacts/times.jsonl || cp artifacts/times.jsonl reports/times.jsonl
	$(BIN)/dvc push --quiet
	$(BIN)/dvc gc --quiet --force --workspace --cloud

ui: setup  ## open the comparison of all variants in MLflow; the committed study where none was run
	@test -n "$(STUDY)" -o -d artifacts/scores || $(BIN)/dvc pull --quiet
	@test -n "$(STUDY)" -o -f mlflow.db || $(BIN)/lr-edit stage publish
	$(BIN)/lr-edit $(if $(STUDY),--root studies/$(STUDY)) ui

clean:  ## delete stage outputs, MLflow's store and tool caches (not .venv, cache, data, models)
	rm -rf artifacts site studies/*/artifacts mlruns mlartifacts mlflow.db* build *.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
