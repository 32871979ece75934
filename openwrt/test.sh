#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Run by the feed's CI on the installed package: test.sh NAME VERSION.

case "$1" in
p2pwall | p2pwall-iptables)
	p2pwall --version | grep -F "$2"
	;;
esac
