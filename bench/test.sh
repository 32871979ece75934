#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs go test on the given packages and prints which tests were skipped. With
# CI=true a skipped test is a failure, unless its reason is allowed ("the kernel lacks",
# "Debian does not have", "not part of the source"): see bench/testlog.

set -u

root=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
log=$dir/log
# The program is built once for all tests. Some tests run it as another user, who must
# be able to read it.
if [ -z "${P2PWALL_BIN:-}" ] && [ "$PWD" = "$root" ]; then
	chmod 755 "$dir"
	P2PWALL_BIN=$dir/p2pwall
	go build -ldflags "-s -w -X main.version=$(cat VERSION)" -o "$P2PWALL_BIN" ./cmd/p2pwall || exit 1
	export P2PWALL_BIN
fi
# The end-to-end tests judge by the order of events. One package runs at a time, so that
# the load of another cannot change that order.
go test -p 1 -count=1 -timeout 30m -json "$@" >"$log"
status=$?
go -C "$root" run ./bench/testlog <"$log" || status=1
exit $status
