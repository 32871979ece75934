#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The feed's CI runs this instead of its own version check: test-version.sh NAME VERSION. The
# CI's own check would also run the scripts of the package.

case "$1" in
p2pwall | p2pwall-iptables)
	p2pwall --version | grep -F "p2pwall $2 "
	;;
esac
