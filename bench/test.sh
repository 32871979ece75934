#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs go test on the given packages and says which tests were skipped. With
# CI=true a test that was skipped for want of something that could be there
# is a failure: what is allowed to be missing says so ("the kernel lacks", "Debian does
# not have", or traffic
# that is not part of the source).

set -u

root=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
log=$dir/log
# The program is built once for all tests that run it; some run it as another user.
if [ -z "${P2PWALL_BIN:-}" ] && [ "$PWD" = "$root" ]; then
	chmod 755 "$dir"
	P2PWALL_BIN=$dir/p2pwall
	go build -ldflags "-s -w -X main.version=$(cat VERSION)" -o "$P2PWALL_BIN" ./cmd/p2pwall || exit 1
	export P2PWALL_BIN
fi
# The end-to-end tests share the machine: one package at a time keeps the order
# of events, which they judge by, clear of each other's load.
go test -p 1 -count=1 -timeout 30m -json "$@" >"$log"
status=$?
go -C "$root" run ./bench/testlog <"$log" || status=1
exit $status
