# Everything here makes its own environment in .venv first. `make` alone lists what there is.

PYTHON ?= python3
LESSON ?= $(shell find lessons book -name '*.ipynb' -not -path '*/.*' | sort)
JOBS   ?= 2

BIN   := .venv/bin
# `make test CONSTRAINTS=` takes the newest version of everything.
CONSTRAINTS ?= constraints.txt
PIP   := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(addprefix --constraint ,$(CONSTRAINTS))
PAGES := _build/html
SCRIPTS := $(filter-out %.min.js,$(wildcard book/_static/*.js book/_static/*/*.js))
NBVAL := $(if $(filter-out cpu,$(POSEMB_DEVICE)),--nbval-lax,--nbval)

.PHONY: help book site test verify mutants lab refresh lint bench pdf clean
.DEFAULT_GOAL := help

help:
	@echo "make book      build the site, print where it is, and open it where there is a screen"
	@echo "make test      run every test: code, lessons, exercises, site (POSEMB_DEVICE=cuda: on a GPU)"
	@echo "make verify    run the tests of the code, and write down what they have shown"
	@echo "make mutants   plant small mistakes in the code one at a time, and see which ones the tests miss"
	@echo "make lab       open the lessons in JupyterLab"
	@echo "make refresh   run the lessons again and store their outputs (LESSON=path for one)"
	@echo "make lint      check style and formatting, notebooks and scripts of the figures included"
	@echo "make pdf       print the whole book as one PDF (needs Chromium)"
	@echo "make bench     measure the rotation and linear attention against others, and how fast pages appear"
	@echo "make clean     remove what was built (the environment stays)"

book: site
	@echo "The book is at $(CURDIR)/$(PAGES)/index.html"
	@page="$(CURDIR)/$(PAGES)/index.html"; \
	if [ "$$(uname)" = Darwin ]; then open "$$page" || true; \
	elif [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] && command -v xdg-open >/dev/null; then \
	  xdg-open "$$page" >/dev/null 2>&1 || true; \
	fi

site: .venv/book.stamp
	@mkdir -p _build
	@$(BIN)/jupyter-book build . --quiet --warningiserror --keep-going >_build/build.log 2>&1 || { cat _build/build.log; exit 1; }
	@test -s $(PAGES)/book/welcome.html \
	  || { cat _build/build.log; echo "The build made no pages: is this jupyter-book 1.x?"; exit 1; }

# One thread each: as many processes as cores already run side by side.
test: site .venv/all.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile -rs \
	  $(NBVAL) --nbval-current-env --nbval-cell-timeout=300 \
	  --nbval-sanitize-with tests/notebooks/sanitize.cfg tests lessons book

verify: site .venv/all.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --write-verification tests

# A second run tries only what is new: `make clean` to begin again.
mutants: .venv/all.stamp
	OMP_NUM_THREADS=1 $(BIN)/mutmut run --max-children $(JOBS)
	$(BIN)/python -m tests.mutants

lab: .venv/all.stamp
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) lessons

refresh: .venv/all.stamp
	@export SOURCE_DATE_EPOCH=0; set -e; set -- $(LESSON); total=$$#; done=0; \
	for lesson in "$$@"; do \
	  done=$$((done + 1)); echo "[$$done/$$total] $$lesson"; \
	  $(BIN)/jupyter nbconvert --to notebook --execute --inplace --log-level=WARN \
	    --ExecutePreprocessor.kernel_name=python3 --ExecutePreprocessor.record_timing=False "$$lesson"; \
	  $(BIN)/jupyter nbconvert --to notebook --inplace --log-level=WARN \
	    --CoalesceStreamsPreprocessor.enabled=True "$$lesson"; \
	done

lint: .venv/all.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/oxlint --deny-warnings $(SCRIPTS)

pdf: site .venv/all.stamp
	@$(BIN)/python book/pdf.py

bench: site .venv/all.stamp
	$(BIN)/python -m bench.rotary.rope
	$(BIN)/python -m bench.rotary.compiled
	$(BIN)/python -m bench.rotary.linear_attention
	$(BIN)/python -m bench.site.page

clean:
	rm -rf _build mutants .pytest_cache .hypothesis
	find . -name .ruff_cache -not -path './.venv/*' -prune -exec rm -rf {} +

.venv/python.stamp:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "This book needs Python 3.11 or newer, and '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1)." \
	    "Name another with: make book PYTHON=python3.12"; exit 1; }
	@echo "Making the environment in .venv"
	@"$(PYTHON)" -m venv .venv
	@touch $@

.venv/book.stamp: .venv/python.stamp requirements/book.txt constraints.txt
	@echo "Installing what the site needs (under a minute, once)"
	@$(PIP) --requirement requirements/book.txt
	@touch $@

.venv/all.stamp: .venv/book.stamp pyproject.toml requirements/lessons.txt requirements/test.txt requirements/oracles.txt
	@echo "Installing what the lessons and tests need (a few minutes, once; PyTorch is large)"
	@$(PIP) --editable '.[book,lessons,test,oracles]'
	@touch $@
