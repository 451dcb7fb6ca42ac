# Two commands do everything: `make grid` and `make test`. A second run adds nothing to the environment.
# torch comes from pip's default index, where its Linux build brings CUDA along (gigabytes). On a machine without a GPU
# take the CPU build of the same version instead:
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make grid
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BUILD ?= build
NAME ?= fashion_mnist_400M
FASHION_MNIST := /usr/share/datasets/fashion-mnist

.PHONY: audit sbom fuzz grid test test-all faults check format data clean

grid: $(VENV)/.installed data
	$(BIN)/scalesearch grid --target-flops 400M --data fashion_mnist --name $(NAME)

test: $(VENV)/.installed
	$(BIN)/python -m pytest

test-all: $(VENV)/.installed
	$(BIN)/python -m pytest -m "slow or not slow"

# every fault of docs/reliability.md, for real and several times each; writes docs/faults.json (35 minutes on 2 cores)
faults: $(VENV)/.installed
	$(BIN)/python tests/faults/count_faults.py

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Fashion-MNIST from Debian where that is possible; elsewhere scalesearch downloads it (docs/data.md)
data:
	@if [ -d $(FASHION_MNIST) ]; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -q && apt-get install -q -y --no-install-recommends dataset-fashion-mnist; \
	else echo "Fashion-MNIST will be looked for and downloaded by scalesearch"; fi

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@

# every parser on 100,000 spoilt inputs, about 40 minutes (half of them Hydra composing overrides)
fuzz: $(VENV)/.installed
	@mkdir -p $(BUILD)
	FUZZ_INPUTS=100000 FUZZ_REPORT=$(BUILD)/fuzz.jsonl $(BIN)/python -m pytest tests/fuzz

# known weaknesses of the pinned versions; asks a service on the network, and says so where there is none
audit: $(BUILD)/audit/.installed
	$(PYTHON) tests/security/audit.py $(BUILD)/audit/bin/pip-audit constraints.txt

# what is installed, as CycloneDX
sbom: $(BUILD)/audit/.installed $(VENV)/.installed
	$(BUILD)/audit/bin/cyclonedx-py environment --output-format JSON --output-file $(BUILD)/sbom.json $(BIN)/python

# in an environment of their own, because they must not change what they look at
$(BUILD)/audit/.installed:
	$(PYTHON) -m venv $(BUILD)/audit
	$(BUILD)/audit/bin/python -m pip install --quiet --constraint constraints.txt pip-audit==2.10.1 cyclonedx-bom==7.5.0
	@touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
