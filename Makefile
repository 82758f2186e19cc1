# Two commands are all that a newcomer needs: make demo, make test.

CARGO ?= cargo
TARGET = $(or $(CARGO_TARGET_DIR),target)

.PHONY: help demo test deps lint bench dist

help:
	@echo "make demo    from nothing to a function with its own database, and new credentials under load"
	@echo "make test    everything: real PostgreSQL, real sandboxes, brokers that misbehave"
	@echo "make lint    formatting, clippy, the shape of the code"
	@echo "make dist    a tarball and a Debian package, in $(TARGET)/dist"
	@echo "make bench   the figures, written to $(TARGET)/bench/figures.json"

# What the machine lacks, installed where that is possible, named with its fix where it is not.
deps:
	@scripts/deps

demo: deps
	@scripts/build-demo $(TARGET)
	@scripts/python demo/walkthrough.py $(TARGET)/demo

test: deps
	@scripts/test $(TARGET)

lint: deps
	@scripts/lint

# First what is measured, without what only measures.
bench: deps
	$(CARGO) build --release --quiet -p dispatch-cli -p dispatch-bench --no-default-features
	$(CARGO) build --release --quiet -p dispatch-bench
	$(TARGET)/release/dispatch-bench --dispatch $(TARGET)/release/dispatch --demo --from-source --out $(TARGET)/bench/figures.json

dist: deps
	@scripts/dist $(TARGET)
