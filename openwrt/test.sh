#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Run by the feed's CI when the package is installed: test.sh NAME VERSION. There is
# no network and no firewall there; the configuration as installed must be right.

case "$1" in
p2pwall | p2pwall-iptables)
	p2pwall check --config
	;;
esac
