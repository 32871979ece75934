# SPDX-License-Identifier: GPL-2.0-or-later
#
# shellcheck shell=dash
#
# Measures bulk traffic through a firewall like OpenWrt's, with and without the wall in
# turn. The connections are decided soon. What remains is the cost of the wall's rules
# for every packet.

[ "$OFF$BARE" = 00 ] || exit 0
network
check forward-install ipk install /p2pwall.ipk || exit 0
/etc/init.d/p2pwall stop

UDP_PACKETS=8000
TCP_BYTES=33554432
net guestctl sink 7002 >/dev/null &
sink=$!

# bulk: measures the nanoseconds for a datagram of 1400 bytes and for 1400 bytes of a
# connection.
bulk() {
	lan guestctl bulk udp 198.51.100.8:20000 $UDP_PACKETS >>"/tmp/udp-$1" &&
		lan guestctl bulk tcp 198.51.100.8:7002 $TCP_BYTES >>"/tmp/tcp-$1"
}

# forward SETTING BACKEND
forward() {
	local setting="$1" backend="$2" turns=3 queued what wall
	sed -i "s/option backend .*/option backend '$backend'/" /etc/config/p2pwall
	rm -f /tmp/udp-* /tmp/tcp-*
	check "forward-$setting-firewall" firewall "$setting" || return
	while [ $turns -gt 0 ]; do
		bulk off || break
		/etc/init.d/p2pwall start
		soon p2pwall status || break
		queued=$(seen 214)
		bulk on || break
		queued=$(($(seen 214) - queued))
		/etc/init.d/p2pwall stop
		turns=$((turns - 1))
	done
	if [ $turns -gt 0 ]; then
		fail "forward-$setting" "the traffic ended"
	elif [ "$queued" -lt 4 ] || [ "$queued" -gt 400 ]; then
		fail "forward-$setting" "$queued packets came to the queue"
	else
		pass "forward-$setting" "$queued packets came to the queue"
	fi
	for what in udp tcp; do
		for wall in off on; do
			fact "${what}_ns_${wall}_$setting" "$(tr '\n' ' ' <"/tmp/$what-$wall")"
		done
	done
	no_firewall
}

forward nft nft
forward offload nft
forward iptables iptables

kill $sink
ipk remove p2pwall >/dev/null
:
