# Needs Python 3.11+, git and make; everything else is installed into .venv from package registries.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo test check soak bench constraints clean

demo: $(VENV)/.installed
	@$(BIN)/tollbook demo

# Two processes, each with a broker of its own; what kills brokers and workers runs alone.
test: check
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not soak and not kafka"
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "kafka and not soak" --ignore tests/chaos
	@$(BIN)/python -m pytest -m "kafka and not soak" tests/chaos

check: $(VENV)/.installed
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

soak: $(VENV)/.installed
	@$(BIN)/python -m pytest -m soak

bench: $(VENV)/.installed
	@$(BIN)/tollbook bench stream

# Lock what is installed now (names and versions, no addresses).
constraints: $(VENV)/.installed
	@$(BIN)/python -m pip freeze --exclude-editable --exclude tollbook > constraints.txt

$(VENV)/.installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all]'
	@touch $@

clean:
	rm -rf $(VENV)
