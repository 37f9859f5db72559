# What one does with this repository. `make` alone lists it.

SERVERS ?= auto
S3 ?= auto
PYTHON ?= auto
JAVASCRIPT ?= auto
GO ?= auto
C ?= auto
SEEDS ?= 50000
KILLS ?= 200
EVENTS ?= 2000000
DOCUMENTS ?= 1000000
SECONDS ?= 60
CARGO ?= cargo
BENCHES ?= border lane states checkpoints isolation drain sink delivery reload dev
# The plugins are a workspace of their own; a shared target folder is divided between the two.
PLUGIN_TARGET := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),$(CURDIR)/plugins/target)$(if $(CARGO_TARGET_DIR),/plugins)
TARGET := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),$(CURDIR)/target)

.PHONY: help setup test check demo bench soak soak-sim fuzz mutants components build prerequisites clean

help:
	@echo 'make setup    install what is missing (root on Debian), else say how'
	@echo 'make test     every test; SERVERS=auto|required|none: those on a real Kafka and Elasticsearch; S3, PYTHON, JAVASCRIPT, GO, C likewise'
	@echo 'make check    clippy, rustfmt, cargo deny'
	@echo 'make demo     see it work, without servers; SERVERS=real: on a real Kafka and Elasticsearch'
	@echo 'make bench    what it costs, in ratios taken in one run, on a real Kafka: docs/performance.md'
	@echo 'make mutants  takes one rule of the protocol out at a time: does the simulation find it?'
	@echo 'make soak     the simulation with SEEDS=50000; two to three instances on real servers, struck KILLS=200 times in EVENTS=2000000; what befalls an index, with DOCUMENTS=1000000 each'
	@echo 'make soak-sim the simulation alone, until it is stopped'
	@echo 'make fuzz     components and what they give back, made of bytes at random, for SECONDS=60 each'
	@echo 'make build    the program, target/release/tidegate, and the reference plugins, target/plugins'

setup:
	@scripts/prerequisites.sh --install build python servers lint
	@cd plugins && ../scripts/wasm-target.sh >/dev/null

prerequisites:
	@scripts/prerequisites.sh --install build

components: prerequisites
	@scripts/components.sh
	@scripts/components.sh tests/guests target/guests
	@scripts/components.sh tests/guests-next target/guests-next

build: components
	@$(CARGO) build --release --workspace --bins

# One call builds all that the tests need, the program included, so that both runs below find it fresh.
test: export TIDEGATE_CACHE = $(TARGET)/code-cache
test: components
	@cd plugins && CARGO_TARGET_DIR=$(PLUGIN_TARGET) $(CARGO) test --quiet
	@$(CARGO) build --workspace --bins --tests
	@$(CARGO) test --workspace
	@scripts/language-tests.sh python $(PYTHON)
	@scripts/language-tests.sh javascript $(JAVASCRIPT)
	@scripts/language-tests.sh go $(GO)
	@scripts/language-tests.sh c $(C)
	@SERVERS=$(SERVERS) S3=$(S3) scripts/server-tests.sh

check:
	@scripts/prerequisites.sh lint
	@$(CARGO) fmt --all --check
	@cd plugins && $(CARGO) fmt --all --check
	@$(CARGO) clippy --quiet --workspace --all-targets -- -D warnings
	@cd plugins && CARGO_TARGET_DIR=$(PLUGIN_TARGET) $(CARGO) clippy --quiet --all-targets -- -D warnings
	@scripts/deny.sh

mutants: components
	@$(CARGO) build --quiet --workspace --bins
	@$(TARGET)/debug/mutants

soak-sim: components
	@$(CARGO) build --quiet --workspace --bins
	@$(TARGET)/debug/tidegate-sim

soak: components
	@$(CARGO) build --quiet --workspace --bins
	@$(TARGET)/debug/tidegate-sim --seeds $(SEEDS)
	@SERVERS=required S3=$(S3) SUITES=kills KILLS=$(KILLS) EVENTS=$(EVENTS) scripts/server-tests.sh --nocapture
	@SERVERS=required S3=none SUITES=faults DOCUMENTS=$(DOCUMENTS) PAUSE_SECONDS=90 scripts/server-tests.sh --nocapture

fuzz: components
	@scripts/prerequisites.sh --install fuzz
	@scripts/fuzz.sh $(SECONDS)

bench: build
	@scripts/prerequisites.sh --install servers
	@scripts/python.sh tests/guests/python target/guests || [ $$? = 3 ] # bench-border says what it leaves out
	@scripts/javascript.sh tests/guests/javascript target/guests || [ $$? = 3 ]
	@scripts/go.sh tests/guests/go target/guests || [ $$? = 3 ]
	@for name in $(BENCHES); do $(TARGET)/release/bench-$$name || exit 1; done

demo: build
	@TIDEGATE=$(TARGET)/release/tidegate SERVERS=$(SERVERS) scripts/demo.sh

clean:
	@scripts/servers/pair.sh test clean
	@scripts/servers/pair.sh demo clean
	@$(CARGO) clean
	@cd plugins && CARGO_TARGET_DIR=$(PLUGIN_TARGET) $(CARGO) clean
