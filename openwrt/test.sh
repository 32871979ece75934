#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The feed's CI runs this after the installation of the package: test.sh NAME VERSION. It has
# no network and no firewall. The installed configuration must be valid.

case "$1" in
p2pwall | p2pwall-iptables)
	p2pwall check --config
	;;
esac
