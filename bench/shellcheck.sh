#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Checks every shell script that git knows.

# What runs on a router runs under busybox ash: dash is the
# nearest that shellcheck knows. Its files that are sourced are not followed: they
# are the router's own.

set -eu
cd "$(dirname "$0")/.."

# scripts PATTERN: files that git knows whose first line names such a shell.
scripts() {
	git ls-files | while read -r f; do
		[ -f "$f" ] || continue
		if head -n 1 "$f" | tr -d '\0' | grep -qE "$1"; then
			echo "$f"
		fi
	done
}

scripts '^#!.*bash' | xargs -r shellcheck
scripts '^#!.*/sh( |$)' | xargs -r shellcheck -s dash -e SC1091
