#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Installs what demo, clients, test or lint need and the machine does not have. Debian's
# packages only; nothing is touched when all is there.

set -eu

# want PROGRAM PACKAGE: notes PACKAGE when PROGRAM is missing.
missing=""
want() {
	PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

common() {
	want ip iproute2
	want iptables-restore iptables
	want nft nftables
	want ipset ipset
	want conntrack conntrack
	want ping iputils-ping
}

clients() {
	common
	want transmission-daemon transmission-daemon
	want qbittorrent-nox qbittorrent-nox
	want aria2c aria2
	want rtorrent rtorrent
	want sshd openssh-server
	want ssh openssh-client
	want curl curl
}

case "${1:-}" in
demo)
	common
	;;
clients)
	clients
	;;
lint)
	want shellcheck shellcheck
	;;
test)
	clients
	want shellcheck shellcheck
	want busybox busybox-static
	want mksquashfs squashfs-tools
	want xz xz-utils
	want capsh libcap2-bin
	want setpriv util-linux
	want unshare util-linux
	want man man-db
	want mandoc mandoc
	want systemd-analyze systemd
	want chromium chromium
	want node nodejs
	want npm npm
	;;
*)
	echo "usage: $0 demo|clients|test|lint" >&2
	exit 2
	;;
esac

[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "missing:$missing; run as root, or install them" >&2
	exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
# Some of the packages are services: nobody wants them started.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi
apt-get update -q >/dev/null
# shellcheck disable=SC2086 # a list of packages
apt-get install -q -y --no-install-recommends $missing >/dev/null
