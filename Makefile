SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Where install puts things. DESTDIR stages everything below a folder instead.
PREFIX  ?= /usr/local
DESTDIR ?=
BINARY  ?= bin/btcwatch
# systemd looks into /usr/lib and /usr/local/lib only.
LIBDIR  := $(if $(filter /usr,$(PREFIX)),/usr,/usr/local)/lib

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# --git-dir keeps git from describing a repository around an unpacked archive,
# and works in a clone that belongs to another user.
VERSION ?= $(shell git --git-dir=.git --work-tree=. describe --tags --always --dirty 2>/dev/null || echo dev)

# Go asks git for the revision and stops where git refuses to answer.
override GOFLAGS := $(strip $(shell go env GOFLAGS 2>/dev/null) -buildvcs=false)
export GOFLAGS

.PHONY: help deps build test check demo bench run install uninstall fmt clean need-go

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

deps: need-go ## install what is missing: Postgres' programs, systemd's tools, a C compiler
	@sh deploy/dependencies.sh

build: need-go ## build bin/btcwatch
	CGO_ENABLED=0 go build -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/btcwatch .

test: deps check ## everything: format, vet, staticcheck, all tests with the race detector
	@sh deploy/promtool.sh
	@sh deploy/receivers.sh
	go test -race -timeout 15m ./...

check: need-go
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then \
		echo "make fmt would change:" >&2; echo "$$unformatted" >&2; exit 1; \
	fi
	go vet ./...
	go run $(STATICCHECK) ./...

demo: deps build ## show the whole job at work, in about a minute
	@CGO_ENABLED=0 go run ./chain/chaintest/demo

bench: deps ## measure speed and memory, and say which promises are kept
	@mkdir -p bin
	go test -run '^$$' -bench . -benchmem -timeout 30m ./... | tee bin/bench.txt
	@echo; echo "What was promised:"; sed -n 's/^.*_test\.go:[0-9]*: \(.* goal: .*\)$$/  \1/p' bin/bench.txt

run: build config.toml ## run here, with ./config.toml and ./data
	@exec ./bin/btcwatch run --config config.toml

# Made once: it may come to hold secrets, and what a person wrote there stays.
config.toml:
	@umask 077; sed 's|^#\? *data_dir *=.*|data_dir = "./data"|' config.example.toml >$@.new
	@grep -q '^data_dir = "./data"$$' $@.new || { echo "config.example.toml sets no data_dir" >&2; exit 1; }
	@mv $@.new $@; echo "Wrote $@ after config.example.toml; the database will be in ./data."

install: ## install the service below PREFIX (/usr/local); starts nothing
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' BINARY='$(BINARY)' sh deploy/install.sh

uninstall: ## remove what install put there; configuration and data stay
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' sh deploy/uninstall.sh

fmt: need-go ## format the source
	gofmt -w .

clean: ## remove what was built; configuration and data stay
	rm -rf bin

need-go:
	@command -v go >/dev/null || { echo "Go 1.26 or newer is needed, and there is no go in PATH: see https://go.dev/doc/install" >&2; exit 1; }
