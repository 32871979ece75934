# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two commands need nothing prepared but a Debian machine with Go:
#   make demo   watch it work
#   make test   run the tests

GO      ?= go
# The version is that of the commit's tag, and without one that of the file VERSION.
VERSION := $(shell git describe --exact-match --tags --match 'v[0-9]*' 2>/dev/null | sed 's/^v//' | grep . || cat VERSION)
COMMIT  := $(shell git describe --always --dirty --abbrev=12 --exclude '*' 2>/dev/null)
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false \
	-ldflags "-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)"
ARCH    ?= x86_64
# A folder of recorded traffic: a large collection beside the checkout, or the few captures
# that the checkout has.
CORPUS  ?= $(firstword $(wildcard ../shared/corpus) bench/corpus/captures)
# How long each fuzz target runs.
FUZZTIME ?= 30s

.PHONY: all build bin/p2pwall bin/p2pwall-replay tools demo clients test test-go test-rest test-quiet \
	test-packages lint fuzz packages deb release routers router router-off routers-prepare routers-ci \
	routers-nft routers-debian bench bench-compare corpus screenshots clean

all: build

build: bin/p2pwall bin/p2pwall-replay

bin/p2pwall bin/p2pwall-replay:
	$(BUILD) -o $@ ./cmd/$(@F)

# What the demo needs on the machine, installed when it is missing.
tools:
	@sh bench/tools.sh demo

demo: tools
	$(GO) run ./bench/demo

# Real clients, without the wall and with it: every client in every
# situation, of which "test" runs a part. The table of the runs with the wall is in
# dist/clients.txt.
clients:
	@sh bench/tools.sh clients
	@mkdir -p dist
	P2PWALL_RESULTS=$(CURDIR)/dist/clients.txt bash bench/test.sh ./bench/clients -timeout 90m -all; \
		status=$$?; cat dist/clients.txt; exit $$status
	bash bench/test.sh ./bench/soulseek -timeout 30m -all
	bash bench/test.sh ./bench/directconnect -timeout 60m -all
	bash bench/test.sh ./bench/gnutella ./bench/libp2p

test:
	@sh bench/tools.sh test
	$(MAKE) lint
	$(MAKE) -k test-go test-rest

# The clients of these mostly wait. So these packages run beside each other, and while
# the packages for routers are built and judged.
QUIET := soulseek|directconnect|gnutella|libp2p
test-go:
	bash bench/test.sh $$($(GO) list ./... | grep -vE '/bench/($(QUIET))$$')

test-rest:
	$(MAKE) -k -j2 test-quiet test-packages

test-quiet:
	bash bench/test.sh -p 4 $$($(GO) list ./... | grep -E '/bench/($(QUIET))$$')

test-packages:
	cd openwrt/lean && nice bash ../../bench/test.sh ./...
	cd openwrt/package && nice bash ../../bench/test.sh ./...

lint:
	@sh bench/tools.sh lint
	@test -z "$$($(GO) tool gofumpt -l .)" || \
		{ $(GO) tool gofumpt -l .; echo "run \"go tool gofumpt -w\" on these"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	cd openwrt/lean && $(GO) vet ./...
	cd openwrt/package && $(GO) vet ./...
	cd bench/webrtc/pion && $(GO) vet ./...
	cd bench/libp2p/node && $(GO) vet ./...
	cd bench/e2e/random && $(GO) vet ./...
	bash bench/shellcheck.sh

fuzz:
	bash bench/fuzz.sh $(FUZZTIME)

packages:
	cd openwrt/package && $(GO) run . -out ../../dist

deb:
	cd openwrt/package && $(GO) run . -deb -out ../../dist

# All that a person installs from, in dist/release-VERSION, for any web server to
# offer: make release VERSION=1.2.3. The commit gets the tag v1.2.3 if it does not
# have it.
release:
	@test "$(origin VERSION)" = "command line" || { echo "say which version: make release VERSION=1.2.3"; exit 1; }
	@git diff --quiet HEAD || { echo "files of the checkout are changed: commit them, or put them away with git stash"; exit 1; }
	@git rev-parse -q --verify "refs/tags/v$(VERSION)" >/dev/null || git tag "v$(VERSION)"
	cd openwrt/package && $(GO) run . -release "$(VERSION)" -out ../../dist

# The table of benchmarks and its JSON; against another revision with BASE=rev.
bench: tools
	@sh bench/tools.sh bench
	$(GO) run ./bench/measure

bench-compare: tools
	$(GO) run ./bench/measure -base $(BASE)

# What is recognised in recorded traffic; fails on any false positive.
corpus:
	$(GO) run ./bench/corpus -dir $(CORPUS)

# Emulated routers, with the packages installed: make router ARCH=mips
routers: packages
	$(GO) run ./bench/router -arch all

router: packages
	$(GO) run ./bench/router -arch $(ARCH)

# With the wall switched off: each scenario has to fail.
router-off: packages
	$(GO) run ./bench/router -arch $(ARCH) -off -stages scenarios

# Two machines with the scenarios that .ci/run has time for, one of them also
# with the wall switched off.
# The stage "everyday" only measures. "make routers" has it.
ROUTERS_CI_STAGES := queue,offload,service,forward,scenarios
ROUTERS_CI := TestWall/(kazaa_network_KaZaA|transfer_in_pieces|browse)$$
routers-prepare: packages
	$(GO) run ./bench/router -arch x86_64,x86_64-trixie,mips -prepare

routers-ci: packages
	$(GO) run ./bench/router -arch x86_64,x86_64-off,mips -stages $(ROUTERS_CI_STAGES) -run '$(ROUTERS_CI)' -timeout 12m -silence 4m

# The whole list of scenarios with nft's own queue, on two of Debian's suites.
routers-nft: packages
	$(GO) run ./bench/router -arch x86_64,x86_64-trixie -memory 256 -stages scenarios -filters nft -timeout 12m -silence 4m

# Other kernels and other versions of nft.
routers-debian: packages
	$(GO) run ./bench/router -arch x86_64-bullseye,x86_64-trixie -stages queue,service -timeout 6m -silence 4m

# The pictures in docs/screenshots, taken in the lab.
screenshots:
	@sh bench/tools.sh test
	$(GO) run ./bench/luci/screenshots -warm 70s

clean:
	rm -rf bin dist
