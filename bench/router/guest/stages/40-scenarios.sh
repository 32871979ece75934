# SPDX-License-Identifier: GPL-2.0-or-later
#
# shellcheck shell=dash
#
# Runs the end-to-end scenarios of bench/e2e with the installed program, one after
# another: the machine has one processor. With the wall off each must fail.

[ "$BARE" = 0 ] || exit 0
no_network
IPKG_NO_SCRIPT=1 ipk install /p2pwall.ipk
# At a workstation's pace the innocent host would use up the whole processor.
export P2PWALL_BIN=/usr/sbin/p2pwall TMPDIR=/tmp P2PWALL_E2E_PACE=50
[ "$OFF" = 0 ] || export P2PWALL_E2E=off

# scenarios BACKEND: prints one line for each result, and a scenario's own lines, which
# say why it failed.
scenarios() {
	P2PWALL_BACKEND="$1" e2e.test -test.v -test.parallel 1 -test.timeout 60m \
		-test.run "${TESTS:-^TestWall\$}" 2>&1 | awk -v backend="$1" -v off="$OFF" '
		/^ *=== (PAUSE|NAME|RUN)/ { next }
		{ print }
		/--- (PASS|FAIL|SKIP): [^ ]*\// {
			name = $3
			sub(/^[^\/]*\//, "", name)
			verdict = $2
			if (verdict == "SKIP:") { print "@@ skip " backend "/" name; next }
			good = (verdict == "PASS:") != (off == 1)
			print "@@ " (good ? "pass " : "fail ") backend "/" name (off == 1 ? " without the wall: " verdict : "")
			count++
			if (!good) bad++
		}
		END {
			if (!count) print "@@ fail " backend "/scenarios none ran"
			print "@@ fact scenarios_" backend " " count - bad " of " count + 0
			exit bad || !count
		}' || : >/tmp/failed
}

for filter in $FILTERS; do
	scenarios "$filter"
done
# Many page faults show that the machine read its programs again and again.
sed -n 's/^pgmajfault /@@ fact page_faults /p' /proc/vmstat
