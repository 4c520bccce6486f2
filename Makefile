# Everything also works as plain cargo; these targets only put the commands together.
CARGO ?= cargo
ARGS ?=
PROGRAMS = -p farmgate -p weather -p ndvi -p replay
# How long each of these is fuzzed.
SECONDS ?= 60
FUZZ_TARGETS ?= canonical_query config explain headers key_set signature token

.PHONY: help demo test bench bench-tokens bench-store bench-warmth bench-pools check fmt lint unit doc deny fuzz tools test-tools clean

help:            ## Show what there is
	@sed -n 's/^\([a-z-]*\):.*##/\1\t/p' $(MAKEFILE_LIST)

demo: tools      ## Run the whole system on loopback and tell its story (ARGS=--once to stop after it)
	$(CARGO) build $(PROGRAMS) -p demo
	target/debug/demo $(ARGS)

test: test-tools fmt lint unit doc deny   ## Formats, lints, tests, documentation

bench: tools     ## Load the gateway beside nginx and Caddy, write bench/results/
	$(CARGO) build --release -p farmgate -p bench
	target/release/bench $(ARGS)

bench-tokens: tools ## Time token issue, cold and warm, beside the same flow without its memory
	$(CARGO) build --release -p farmgate -p bench
	target/release/tokens $(ARGS)

bench-store: tools ## Hit ratios of the store beside other policies, and the memory it takes
	$(CARGO) build --release -p bench --bin store
	target/release/store $(ARGS)

bench-warmth: tools ## Count who waits, and which calls are made, while answers are kept fresh
	$(CARGO) build --release -p farmgate -p bench
	target/release/warmth $(ARGS)

bench-pools: test-tools ## Who waits when a service's database has stopped
	$(CARGO) build --release -p ndvi -p bench --bin ndvi --bin pools
	target/release/pools $(ARGS)

fmt:             ## Is everything formatted?
	$(CARGO) fmt --all -- --check

lint:            ## Does clippy agree?
	$(CARGO) clippy --workspace --all-targets -- -D warnings

# Many tests wait for servers of their own, so half as many more than processors run at once.
unit:            ## Unit and black-box tests, with nextest where it is installed
	$(CARGO) build --workspace --bins
	@if $(CARGO) nextest --version >/dev/null 2>&1; \
	then $(CARGO) nextest run --workspace --no-fail-fast --test-threads $$(( $$(nproc) * 3 / 2 )); \
	else $(CARGO) test --workspace --lib --bins --tests --no-fail-fast; fi
	$(CARGO) test --workspace --doc

doc:             ## Documentation without warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

deny:            ## Licences, duplicates and sources, where cargo-deny is installed
	@if $(CARGO) deny --version >/dev/null 2>&1; \
	then $(CARGO) deny --workspace check bans licenses sources; \
	else echo "cargo-deny is not installed: skipped (cargo install cargo-deny --locked)"; fi

fuzz:            ## Fuzz every parser, one after the other (SECONDS=600 for a full run)
	@$(CARGO) fuzz --version >/dev/null 2>&1 \
	|| { echo "cargo-fuzz is not installed: cargo install cargo-fuzz --locked" >&2; exit 1; }
	@set -e; for target in $(FUZZ_TARGETS); do \
		mkdir -p fuzz/corpus/$$target; \
		$(CARGO) fuzz run --sanitizer none --no-cfg-fuzzing $$target \
			fuzz/corpus/$$target fuzz/seeds/$$target -- -dict=fuzz/dictionaries/$$target.dict \
			-max_total_time=$(SECONDS) -rss_limit_mb=2048 -timeout=10 -print_final_stats=1; \
	done

tools:           ## Install what building needs, or say what to install
	@scripts/tools.sh

test-tools:      ## The same, and the servers that the tests run
	@scripts/tools.sh tests

clean:           ## Remove what was built
	$(CARGO) clean
