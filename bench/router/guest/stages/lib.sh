# SPDX-License-Identifier: GPL-2.0-or-later
#
# shellcheck shell=dash
#
# What the stages share: printing of results, and the router's network. The machine's
# first namespace is the router; `lan` and `net` are a host on either side:
#
#	lan 192.168.1.50 -- br-lan [router] wan -- net 198.51.100.7 and others

fact() { echo "@@ fact $*"; }
pass() { echo "@@ pass $*"; }
skip() { echo "@@ skip $*"; }
fail() {
	echo "@@ fail $*"
	: >/tmp/failed
}

# check NAME COMMAND ...: passes when the command succeeds.
check() {
	local name="$1"
	shift
	if "$@" >/tmp/said 2>&1; then
		pass "$name"
		return 0
	fi
	sed 's/^/  /' /tmp/said
	fail "$name" "$*"
	return 1
}

# refuse NAME COMMAND ...: passes when the command fails.
refuse() {
	local name="$1"
	shift
	if "$@" >/tmp/said 2>&1; then
		fail "$name" "succeeded: $*"
		return 1
	fi
	pass "$name"
}

lan() { ip netns exec lan "$@"; }
net() { ip netns exec net "$@"; }

# network: makes the router's network, which stays until no_network.
network() {
	[ -e /run/netns/lan ] && return 0
	ip link set lo up
	ip netns add lan
	ip netns add net
	ip link add br-lan address 02:00:00:00:00:01 type bridge forward_delay 0
	ip link add lan0 type veth peer name eth0 netns lan
	ip link add wan type veth peer name eth0 netns net
	ip link set lan0 master br-lan
	ip addr add 192.168.1.1/24 dev br-lan
	ip addr add 198.51.100.1/24 dev wan
	ip addr add 2001:db8:1::1/64 dev br-lan nodad
	ip addr add 2001:db8:ff::1/64 dev wan nodad
	for dev in lan0 br-lan wan; do ip link set "$dev" up; done
	for space in lan net; do
		ip -n "$space" link set lo up
		ip -n "$space" link set eth0 up
	done
	ip -n lan addr add 192.168.1.50/24 dev eth0
	ip -n lan addr add 2001:db8:1::50/64 dev eth0 nodad
	ip -n lan route add default via 192.168.1.1
	ip -n lan -6 route add default via 2001:db8:1::1
	for last in 7 8 9; do
		ip -n net addr add 198.51.100.$last/24 dev eth0
	done
	ip -n net addr add 2001:db8:ff::7/64 dev eth0 nodad
	ip -n net route add 192.168.1.0/24 via 198.51.100.1
	ip -n net -6 route add 2001:db8:1::/64 via 2001:db8:ff::1
	echo 1 >/proc/sys/net/ipv4/ip_forward
	echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
	echo 1 >/proc/sys/net/netfilter/nf_conntrack_acct
	# The load goes to ports where nobody listens. Drop it, so that no answers come.
	# iptables needs no tool from outside the machine.
	net iptables -w -t raw -A PREROUTING -p udp --dport 20000:65535 -j DROP
	net guestctl echo 7000 >/dev/null &
	net guestctl echo 7001 >/dev/null &
	soon lan guestctl tcp 198.51.100.7:7000 1000 1024
	soon lan guestctl tcp 198.51.100.7:7001 1000 1024
}

# no_network: removes the network and all processes in it: a scenario needs the memory.
no_network() {
	local space
	for space in lan net; do
		[ -e "/run/netns/$space" ] || continue
		ip netns pids "$space" | xargs -r kill
		ip netns del "$space"
	done
	ip link del br-lan 2>/dev/null
	:
}

# soon COMMAND ...: waits until the command succeeds, at most a minute.
soon() {
	local n=0
	until "$@" >/dev/null 2>&1; do
		n=$((n + 1))
		[ $n -lt 200 ] || return 1
		sleep 0.3
	done
}

# reader: starts the C program on queue 214 and sets $reader to its process id.
reader() {
	nfqref 214 >/tmp/nfqref &
	# shellcheck disable=SC2034 # the stages read it
	reader=$!
	soon grep -q ready /tmp/nfqref
}

# firewall SETTING: loads a firewall like fw4's, without or with flow offload, or fw3's.
firewall() {
	case "$1" in
	offload)
		nft -f /testdata/fw4.nft
		;;
	nft)
		sed '/flow add/d; /flowtable/,/^\t}/d' /testdata/fw4.nft | nft -f -
		;;
	iptables)
		iptables -w -t nat -A POSTROUTING -o wan -j MASQUERADE
		iptables -w -t mangle -A FORWARD -o wan -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
		iptables -w -P FORWARD DROP
		iptables -w -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
		iptables -w -A FORWARD -i br-lan -o wan -j ACCEPT
		;;
	esac
}

no_firewall() {
	nft flush ruleset
	iptables -w -P FORWARD ACCEPT
	for table in nat mangle filter; do
		iptables -w -t $table -F
	done
}

own() { sed -n 's/^RssAnon:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$1/status"; }
rss() { sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$1/status"; }

# seen QUEUE: prints how many packets the queue has taken so far.
seen() {
	awk -v q="$1" '$1 == q { print $8; found = 1 } END { if (!found) print 0 }' \
		/proc/net/netfilter/nfnetlink_queue
}

# load ADDR: sends small datagrams from the LAN to the internet. Each flow stays below
# the 20 packets of a flow that the rules queue.
LOAD_PACKETS=10000
load() { lan guestctl flood "$1" $LOAD_PACKETS 1000 64 2000 >/dev/null; }

# cost NAME PID QUEUE ADDR: measures the CPU time per packet of a process under load.
cost() {
	local before packets after
	before=$(guestctl cpu "$2")
	packets=$(seen "$3")
	load "$4"
	sleep 0.3
	after=$(guestctl cpu "$2")
	packets=$(($(seen "$3") - packets))
	if [ "$packets" -lt $((LOAD_PACKETS / 2)) ]; then
		fail "load-$1" "only $packets of $LOAD_PACKETS packets came to the queue"
		return 1
	fi
	pass "load-$1" "$packets packets"
	fact "cpu_ns_$1" $(((after - before) / packets))
}
