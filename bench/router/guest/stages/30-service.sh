# SPDX-License-Identifier: GPL-2.0-or-later
#
# shellcheck shell=dash disable=SC2154 # lib.sh sets $reader
#
# Installs the package, starts the service by its init script, measures it, and removes
# the package, with each backend.

[ "$OFF$BARE" = 00 ] || exit 0
network
check package-install ipk install /p2pwall.ipk || exit 0
/etc/init.d/p2pwall stop
fact version "$(p2pwall --version)"

pid() { cat /var/run/procd/p2pwall.pid 2>/dev/null; }
log() { sed '1,5s/^/  /p;d' /var/run/procd/p2pwall.log; tail -n 15 /var/run/procd/p2pwall.log | sed 's/^/  /'; }
empty() { [ -z "$(nft list tables)" ] && ! iptables-save | grep -qi p2pw && ! ipset list -n | grep -q p2pw; }
protected() { [ "$(seen 214)" -gt "$1" ]; }
knock() { lan guestctl udp 198.51.100.7:7000 500; }

# back: succeeds if the rules are back within the promised two seconds.
back() {
	local n=0 before
	while [ $n -lt 8 ]; do
		before=$(seen 214)
		knock
		protected "$before" && return 0
		n=$((n + 1))
		sleep 0.25
	done
	return 1
}

# switches PID: prints how often the threads of a process have slept so far.
switches() { cat "/proc/$1"/task/*/status | awk '/^voluntary_ctxt/ { n += $2 } END { print n }'; }

# sleeps NAME: checks that an idle service leaves the processor alone. Go's runtime once
# woke 9000 times a second (see overlay.go in openwrt/package). Normal is a few hundred
# times in these three seconds.
sleeps() {
	local before after
	before=$(switches "$(pid)")
	sleep 3
	after=$(($(switches "$(pid)") - before))
	if [ "$after" -lt 4000 ]; then pass "$1" "woke $after times"; else fail "$1" "woke $after times"; fi
}

measure() {
	local backend="$1" start rss knocking
	sed -i "s/option backend .*/option backend '$backend'/" /etc/config/p2pwall
	# The queue gets packets from the start on. Their flows are new each time.
	# The function lan is not used here: then $! would be a shell.
	ip netns exec lan guestctl flood 198.51.100.8 6000 6000 1 10000 >/dev/null &
	knocking=$!
	start=$(guestctl first 214 -- /etc/init.d/p2pwall start) || {
		kill $knocking
		log
		fail "$backend-start" "no verdict"
		return 1
	}
	kill $knocking
	wait $knocking
	pass "$backend-start" "$start ms"
	fact "start_ms_$backend" "$start"
	check "$backend-status" p2pwall status
	cat /tmp/said
	fact "rss_idle_$backend" "$(rss "$(pid)")"
	sleeps "$backend-sleeps"
	check "$backend-udp-passes" lan guestctl udp 198.51.100.7:7000 1000
	check "$backend-tcp-passes" lan guestctl tcp 198.51.100.7:7000 3000 4096

	(
		sleep 2
		rss "$(pid)" >/tmp/rss
	) &
	cost "$backend-wall" "$(pid)" 214 198.51.100.9
	wait $!
	rss=$(cat /tmp/rss)
	fact "rss_load_$backend" "$rss"
	sleep 2
	fact "rss_after_$backend" "$(rss "$(pid)")"
	fact "own_after_$backend" "$(own "$(pid)")"

	case "$backend" in
	nft)
		nft flush ruleset
		check nft-back-after-flush back
		nft -f /testdata/fw4.nft
		check nft-beside-fw4 back
		nft -f /testdata/fw4.nft
		check nft-after-fw4-reload back
		refuse nft-fw4-rule-still-holds lan guestctl tcp 198.51.100.7:7001 2000 1024
		check nft-offload-flow lan guestctl tcp 198.51.100.7:7000 10000 65536
		nft delete table inet fw4
		;;
	iptables)
		iptables -w -t mangle -F
		iptables -w -t mangle -X
		check iptables-back-after-flush back
		;;
	esac

	check "$backend-reload" /etc/init.d/p2pwall reload
	check "$backend-restart" /etc/init.d/p2pwall restart
	check "$backend-back-after-restart" back
	# `rules` prints what `run` loads, so the C program can take p2pwall's place with
	# the same rules.
	p2pwall rules -backend "$backend" >"/tmp/rules-$backend"
	/etc/init.d/p2pwall stop
	check "$backend-stop-leaves-nothing" empty || {
		nft list ruleset
		iptables-save
		ipset list -n
	}
	log
	reference "$backend"
}

# load_rules FILE: loads the output of `p2pwall rules`, without the part for a flow
# table. Each part follows a comment with the commands that load it.
load_rules() {
	local part tool options
	rm -f /tmp/part.*
	awk '/^# (nft|ipset|ip6?tables-restore) / { n++; sub(/^# /, "") } n { print > ("/tmp/part." n) }' "$1"
	for part in /tmp/part.*; do
		! head -n 1 "$part" | grep -q 'only while' || continue
		head -n 1 "$part" | tr ';' '\n' | while read -r tool options; do
			# shellcheck disable=SC2086 # split into words on purpose
			sed 1d "$part" | "$tool" $options || return 1
		done || return 1
	done
}

# reference NAME: measures the C program with the rules that the wall had.
reference() {
	load_rules "/tmp/rules-$1" || {
		fail "$1-reference" "the rules do not load"
		return 1
	}
	reader
	cost "$1-c" "$reader" 214 198.51.100.7
	kill "$reader"
	wait "$reader"
	nft flush ruleset
	for table in raw mangle; do
		for tool in iptables ip6tables; do
			$tool -w -t $table -F
			$tool -w -t $table -X
		done
	done
	for set in $(ipset list -n); do
		ipset destroy "$set"
	done
	net iptables -w -t raw -C PREROUTING -p udp --dport 20000:65535 -j DROP ||
		net iptables -w -t raw -A PREROUTING -p udp --dport 20000:65535 -j DROP
}

measure nft
measure iptables

check package-remove ipk remove p2pwall
refuse package-gone test -e /usr/sbin/p2pwall
check package-keeps-config test -f /etc/config/p2pwall
check package-leaves-nothing empty
:
