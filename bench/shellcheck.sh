#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Checks every shell script that git knows.

# A router's scripts run under busybox ash; the nearest shell that shellcheck knows is
# dash. shellcheck does not follow files that these scripts source: the router has them.

set -eu
cd "$(dirname "$0")/.."

# scripts PATTERN: the files known to git whose first line matches the pattern.
scripts() {
	git grep -lIE "$1" | while read -r f; do # few files have such a line at all
		if head -n 1 "$f" | grep -qE "$1"; then
			echo "$f"
		fi
	done
}

scripts '^#!.*bash' | xargs -r shellcheck
scripts '^#!.*/sh( |$)' | xargs -r shellcheck -s dash -e SC1091
