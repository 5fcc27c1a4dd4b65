# `make demo` shows the main job and `make test` passes the tests, each as the first command in a fresh clone.
# Both need Python 3.10+ and git, and install what they use into folders of this clone.
PYTHON ?= python3
VENV := .venv
DIFFUSERS_VENV := .venv-diffusers
BIN := $(VENV)/bin

.PHONY: help demo test quality bench bench-map matrix examples clean

help:
	@echo "make demo      the main job in a practice checkout, shown step by step"
	@echo "make test      set up and run all tests"
	@echo "make quality   ruff and mypy"
	@echo "make bench     speed and memory, as ratios of one run"
	@echo "make matrix    every pair of options, scaffolded and verified; a report in .matrix/"
	@echo "make examples  write examples/ anew from the template"

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

# The environment of the checkout: torch, transformers and the tools that diffusers pins. scaffold-model is not in it.
$(DIFFUSERS_VENV)/.installed: requirements-verify.txt
	$(PYTHON) -m venv $(DIFFUSERS_VENV)
	$(DIFFUSERS_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(DIFFUSERS_VENV)/bin/python -m pip install --quiet --requirement requirements-verify.txt
	@touch $@

demo: $(VENV)/.installed
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tools/demo.py

# The two workers share the cores: threads of torch would take them from each other.
test: $(VENV)/.installed $(DIFFUSERS_VENV)/.installed
	SCAFFOLD_MODEL_PYTHON="$(CURDIR)/$(DIFFUSERS_VENV)/bin/python" PATH="$(CURDIR)/$(BIN):$$PATH" \
		OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -q -n 2 $(PYTEST_ARGS)

quality: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tools/bench.py

bench-map: $(VENV)/.installed $(DIFFUSERS_VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tools/bench_map.py --python "$(CURDIR)/$(DIFFUSERS_VENV)/bin/python"

matrix: $(VENV)/.installed $(DIFFUSERS_VENV)/.installed
	SCAFFOLD_MODEL_PYTHON="$(CURDIR)/$(DIFFUSERS_VENV)/bin/python" PATH="$(CURDIR)/$(BIN):$$PATH" \
		$(BIN)/python tools/matrix.py $(MATRIX_ARGS)

examples: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tools/examples.py

clean:
	rm -rf $(VENV) $(DIFFUSERS_VENV) .demo .matrix
