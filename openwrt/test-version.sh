#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Run by the feed's CI in place of its own check of the version, which would run the
# scripts of the package too: test-version.sh NAME VERSION.

case "$1" in
p2pwall | p2pwall-iptables)
	p2pwall --version | grep -F "p2pwall $2 "
	;;
esac
