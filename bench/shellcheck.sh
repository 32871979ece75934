#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Checks every shell script that git knows.

set -eu
cd "$(dirname "$0")/.."
git ls-files | while read -r f; do
	[ -f "$f" ] || continue
	case "$(head -n 1 "$f" 2>/dev/null | tr -d '\0')" in
	'#!'*bash*) echo "$f" ;;
	'#!'*sh*) echo "$f" ;;
	esac
done | xargs shellcheck
