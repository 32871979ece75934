#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The first process of the first root. It mounts the disk as OpenWrt mounts its flash:
# squashfs, with an overlay for writes. Then it starts the real init.
#
# shellcheck shell=dash

b() { /bin/busybox "$@"; }

b mkdir -p /proc /rom /over /root
b mount -t proc proc /proc
if [ -f /early/order ]; then
	while read -r module; do
		b insmod "/early/$module" || echo "early: $module"
	done </early/order
fi
b mkdir -p /dev
b mount -t devtmpfs dev /dev
n=0
until [ -b /dev/vda ]; do
	n=$((n + 1))
	if [ $n -gt 50 ]; then
		echo "@@ fail disk there is none"
		echo "@@ end 1"
		b reboot -f
	fi
	b sleep 0.1
done
b mount -t squashfs -o ro /dev/vda /rom
b mount -t tmpfs over /over
b mkdir /over/upper /over/work
b mount -t overlay -o lowerdir=/rom,upperdir=/over/upper,workdir=/over/work overlay /root
b umount /dev /proc
exec /bin/busybox switch_root /root /init
