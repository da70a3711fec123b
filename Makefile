# The front door of Argon: `make` lists what can be done here, with what it takes.
# The recipes are one line each; the work is in scripts/.

export PATH := $(PATH):$(HOME)/.cargo/bin

.DEFAULT_GOAL := help
.PHONY: help setup setup-to-build build wheel test test-versions demo chaos stored-payloads bench bench-peers compare-peers soak mutants lint fmt perl-dist perl-client docs doc clean

help: ## show this list
	@echo 'Argon: the machines you have, as one pool that you call like a function.'
	@echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1 \2/p' Makefile | awk '{ \
	  name = $$1 " " $$2; $$1 = $$2 = ""; printf "  %-14s %s\n", name, $$0 }'
	@echo
	@echo 'First time here? make demo'

setup: ## install what this machine lacks to build and test (quick when it lacks nothing)
	@scripts/setup test

setup-to-build:
	@scripts/setup build

build: setup-to-build ## compile the binary: target/release/argon
	@cargo build --release -p argon-node

wheel: build ## pack the Python package with the program: dist/argon_pool-*.whl, for `pip install`
	@scripts/wheel

test: setup ## run every check and test; ends with what failed
	@scripts/check

test-versions: ## run the Perl and Python tests with perl 5.32 and 5.40, Python 3.9 and 3.13, and between them (root; 20 minutes)
	@scripts/setup versions && scripts/test-versions $(PARTS)

demo: setup-to-build ## see a manager and two workers do real work
	@scripts/demo

chaos: setup-to-build ## kill everything at random while 10,000 tasks run, and count: CHAOS='--seed 7 --seconds 20'
	@scripts/chaos $(CHAOS)

stored-payloads: setup-to-build ## keep 100,000 detached tasks of 1 MiB in a manager of 512 MiB; needs 110 GB here: TASKS=n BYTES=n MIB=n
	@cargo build --release -q -p argon-node
	@cargo run --release -q -p argon-tests --example stored-payloads $(or $(TASKS),100000) $(or $(BYTES),1048576) $(or $(MIB),512)

bench: setup-to-build ## measure what a task costs, print a table and write docs/benchmarks.md
	@scripts/bench

bench-peers: ## measure what others cost on this machine, side by side (installs them)
	@benches/peers/run

compare-peers: setup-to-build ## give the same inputs to Argon and its peers, and write docs/peers.md (installs them)
	@cargo build --quiet -p argon-node && benches/peers/right_or_loud.py

soak: setup-to-build ## a minute of the simulator, of each fuzzer and of each liar under new seeds, 100 kills of the manager, a million real tasks: SECONDS=n TASKS=n
	@scripts/soak $(or $(SECONDS),60) $(or $(TASKS),1000000)

mutants: setup-to-build ## plant faults in a copy of the core, one at a time, and count the seeds until the simulator finds each: SEEDS=n
	@scripts/mutants.py --seeds $(or $(SEEDS),20000)

lint: setup ## run the checks that need no test: format, house rules, clippy, perlcritic, ruff, mypy, shellcheck
	@scripts/check fmt tidy kinds shellcheck perlcritic pod ruff mypy clippy dependencies

fmt: ## format the Rust code
	@cargo fmt --all

perl-dist: build ## build the Perl distribution with the program in it: dist/Argon-Pool-VERSION.tar.gz, for cpanm
	@scripts/perl-dist

perl-client: ## write the Perl client as one file that can be copied: target/perl/Argon.pm
	@mkdir -p target/perl && perl perl/maint/fatpack.pl --module --out target/perl/Argon.pm

docs: setup ## build the documentation site, with search: target/site/index.html
	@scripts/docs

doc: setup ## build the Rust documentation: target/doc
	@scripts/check rustdoc

clean: ## remove what was built
	@cargo clean
