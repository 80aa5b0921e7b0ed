# Everything a developer or a visitor types. `make demo` and `make test` work on a fresh machine with python3 and
# nothing else of ours.
SHELL := /bin/sh
PORT ?= 8000
OUT ?= demo.mp4
UV := .uv/bin/uv

.PHONY: help demo setup test lint web web-check bench eval-lips eval-face clean

help:
	@echo "make demo                      start the server and its playground"
	@echo "make demo ONCE=1 OUT=demo.mp4  perform one whole session unattended, record and check it"
	@echo "make test                      all the tests, the browser's too"
	@echo "make lint | bench | web        static checks | benchmarks | rebuild the pages"
	@echo "make eval-lips                 measure the lips with the voices and recordings that are here"
	@echo "make eval-face                 measure the faces of the public avatars on rendered frames"

demo: setup
ifdef ONCE
	@.venv/bin/visavis demo --once --out "$(OUT)"
else
	@.venv/bin/visavis demo --port "$(PORT)"
endif

setup: .venv/.ready

# uv in an environment of its own; the locked dependencies and, where the system has no Python 3.11 or 3.12, a Python
# too. An environment knows where it stands: a checkout that was moved gets a new one.
ifneq ($(shell cat .venv/.ready 2>/dev/null),$(CURDIR))
.PHONY: .venv/.ready
endif
.venv/.ready: uv.lock pyproject.toml NOTICE scripts/setup scripts/build_native.py \
		$(wildcard src/visavis/engine/native/*.[ch])
	@sh scripts/setup

test: setup
	@sh scripts/test

lint: setup
	$(UV) sync --quiet --frozen --group dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/python scripts/check_columns.py

web:
	cd web && npm ci && npm run build

bench: setup
	.venv/bin/visavis bench render
	.venv/bin/visavis bench pipeline

# Where synthesisers or ../shared are missing it says so and measures the rest. PAGE=docs puts the tables into
# docs/lips.md, and the figures and picture beside.
eval-lips: setup
	OPENBLAS_NUM_THREADS=1 PYTHONPATH=. .venv/bin/python -m training.eval_lips $(if $(PAGE),--write $(PAGE)) $(ARGS)

# Every public avatar, on rendered frames. PAGE=docs/face.md puts the table into that page; fails when a figure is
# out of its bounds.
eval-face: setup
	OPENBLAS_NUM_THREADS=1 PYTHONPATH=. .venv/bin/python -m tools.faces.evaluate $(if $(PAGE),--write $(PAGE))

clean:
	rm -rf .venv .uv web/node_modules
