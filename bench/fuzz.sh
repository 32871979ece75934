#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs every fuzz target for the given time. The time for minimizing findings is
# bounded, or it would use up the rest.

set -eu
cd "$(dirname "$0")/.."
grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do
	grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | cut -d' ' -f2 | while read -r target; do
		echo "$dir $target"
		# openwrt/package is a module of its own.
		go -C "$dir" test -run xxx -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 5x .
	done
done
