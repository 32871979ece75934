#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Installs the missing Debian packages for demo, clients, test, lint, bench or an
# emulated router. Does nothing if none is missing.

set -eu

# want PROGRAM PACKAGE: notes PACKAGE if PROGRAM (a name or a path) is missing.
missing=""
want() {
	case "$1" in
	/*) [ -e "$1" ] ;;
	*) PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1 ;;
	esac || missing="$missing $2"
}

# cross TRIPLET LIBC: the C compiler for an architecture, and its static library.
cross() {
	want "$1-gcc" "gcc-$(echo "$1" | tr _ -)"
	want "/usr/$1/include/stdio.h" "$2"
}

# emulated ARCH: what bench/router needs for one machine.
emulated() {
	want depmod kmod
	want mksquashfs squashfs-tools
	want xz xz-utils
	want bzip2 bzip2
	want make make
	want gcc gcc
	want /usr/include/stdio.h libc6-dev
	case "$1" in
	mips)
		want qemu-system-mips qemu-system-mips
		want /usr/share/seabios/vgabios-cirrus.bin seabios
		want qemu-s390x qemu-user
		cross mips-linux-gnu libc6-dev-mips-cross
		cross s390x-linux-gnu libc6-dev-s390x-cross
		want bison bison
		want flex flex
		;;
	mips-kernel)
		want bison bison
		want flex flex
		want bc bc
		cross mips-linux-gnu libc6-dev-mips-cross
		want /usr/src/linux-source-6.1.tar.xz linux-source-6.1
		;;
	mipsel)
		want qemu-system-mipsel qemu-system-mips
		want /usr/share/seabios/vgabios-cirrus.bin seabios
		cross mipsel-linux-gnu libc6-dev-mipsel-cross
		;;
	arm)
		want qemu-system-arm qemu-system-arm
		cross arm-linux-gnueabihf libc6-dev-armhf-cross
		;;
	arm64)
		want qemu-system-aarch64 qemu-system-arm
		cross aarch64-linux-gnu libc6-dev-arm64-cross
		;;
	x86_64 | x86_64-*)
		want qemu-system-x86_64 qemu-system-x86
		;;
	*)
		echo "no machine $1" >&2
		exit 2
		;;
	esac
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
	want amuled amule-daemon
	want deluged deluged
	want eiskaltdcpp-daemon eiskaltdcpp-daemon
	want ncdc ncdc
	want uhub uhub
	want script bsdutils
	want openssl openssl
	want mmdebstrap mmdebstrap
	want /usr/lib/python3/dist-packages/libtorrent.egg-info python3-libtorrent
	want sshd openssh-server
	want ssh openssh-client
	want curl curl
	want node nodejs
	want npm npm
	want /usr/bin/python3 python3
	want wg wireguard-tools
	want wireguard-go wireguard-go
}

# programs: what bench/e2e runs beside a torrent on the same host.
programs() {
	want busybox busybox-static
	want curl curl
	want fastd fastd
	want git git
	want gtlsclient ngtcp2-client
	want gtlsserver ngtcp2-server
	want iperf3 iperf3
	want mariadb-dump mariadb-client
	want mariadbd mariadb-server
	want microsocks microsocks
	want /usr/games/minetest minetest
	want /usr/lib/minetest/minetestserver minetest-server
	want mosh-server mosh
	want mosquitto mosquitto
	want mosquitto_pub mosquitto-clients
	want mumble mumble
	want murmurd mumble-server
	want ngircd ngircd
	want node nodejs
	want npm npm
	want obfs4proxy obfs4proxy
	want openssl openssl
	want openvpn openvpn
	want /usr/bin/python3 python3
	want quakestat qstat
	want redis-server redis-server
	want rsync rsync
	want script bsdutils
	want sic sic
	want snmpd snmpd
	want snmpwalk snmp
	want ss-server shadowsocks-libev
	want syncthing syncthing
	want tincd tinc
	want tinyproxy tinyproxy
	want vsftpd vsftpd
	want wg wireguard-tools
	want wireguard-go wireguard-go
	want xl2tpd xl2tpd
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
	programs
	want shellcheck shellcheck
	want mksquashfs squashfs-tools
	want xz xz-utils
	want qemu-mips qemu-user
	want capsh libcap2-bin
	want setpriv util-linux
	want signify-openbsd signify-openbsd
	want unshare util-linux
	want man man-db
	want mandoc mandoc
	want systemd-analyze systemd
	want systemd-nspawn systemd-container
	want nsenter util-linux
	want pgrep procps
	want chromium chromium
	want lua5.1 lua5.1
	want collectd collectd-core
	want /usr/share/doc/liblua5.3-0 liblua5.3-0
	;;
bench)
	common
	want qemu-mips qemu-user
	emulated x86_64
	;;
router)
	emulated "${2:-}"
	;;
*)
	echo "usage: $0 demo|clients|test|lint|bench|router ARCH" >&2
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
# Some of the packages have services, which must not start.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi
apt-get update -q >/dev/null
# shellcheck disable=SC2086 # a list of packages
apt-get install -q -y --no-install-recommends $missing >/dev/null
