# SPDX-License-Identifier: GPL-2.0-or-later
#
# shellcheck shell=dash
#
# Measures what usual connections cost past a firewall like OpenWrt's, with and without the
# wall in turn: short ones with HTTP and with TLS, and pages. The machine has one processor, and somebody always waits
# for it. So the time that a page takes is the CPU time of all that takes part: both ends,
# the kernel, and the program.

[ "$OFF$BARE" = 00 ] || exit 0
network
check everyday-install ipk install /p2pwall.ipk || exit 0
/etc/init.d/p2pwall stop

net guestctl web >/dev/null &
web=$!
to=198.51.100.7
# Closed connections stay in the table for two minutes.
echo 16384 >/proc/sys/net/netfilter/nf_conntrack_max

# visits SETTING PID: measures each kind, and with a program what it saw of each.
visits() {
	local kind count cpu queued
	for kind in http https page; do
		count=400
		[ $kind != page ] || count=10
		queued=$(seen 214)
		[ -z "$2" ] || cpu=$(guestctl cpu "$2")
		lan guestctl visits $kind $to $count >>"/tmp/$kind-$1" || return
		[ -z "$2" ] || echo $((($(guestctl cpu "$2") - cpu) / count)) >>"/tmp/$kind-cpu"
		echo $((($(seen 214) - queued + count / 2) / count)) >>"/tmp/$kind-queued"
	done
}

# everyday BACKEND
everyday() {
	local turns=3 kind what
	sed -i "s/option backend .*/option backend '$1'/" /etc/config/p2pwall
	rm -f /tmp/http* /tmp/page*
	check "everyday-$1-firewall" firewall "$1" || return
	while [ $turns -gt 0 ]; do
		visits off "" || break
		rm -f /tmp/*-queued
		/etc/init.d/p2pwall start
		soon p2pwall status || break
		# The program reads the connection table at its start; what it finds there is looked
		# at more closely.
		sleep 5
		lan guestctl visits https $to 1 >/dev/null || break
		visits on "$(cat /var/run/procd/p2pwall.pid)" || break
		/etc/init.d/p2pwall stop
		turns=$((turns - 1))
	done
	if [ $turns -gt 0 ]; then
		fail "everyday-$1" "the traffic ended"
	else
		pass "everyday-$1"
	fi
	for kind in http https page; do
		for what in off on cpu queued; do
			fact "${kind}_${what}_$1" "$(tr '\n' ' ' <"/tmp/$kind-$what")"
		done
	done
	no_firewall
}

everyday nft
everyday iptables

kill $web
ipk remove p2pwall >/dev/null
:
