# SPDX-License-Identifier: GPL-2.0-or-later
#
# A stub of OpenWrt's network.sh. /up has the devices of the networks that are up.

network_flush_cache() {
	:
}

network_get_device() {
	eval "$1=\"$(sed -n "s/^$2 //p" /up)\""
	grep -q "^$2 " /up
}
