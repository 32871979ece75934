# SPDX-License-Identifier: GPL-2.0-or-later
#
# shellcheck shell=dash disable=SC2154 # lib.sh sets $reader
#
# The kernel alone: the native nft queue and iptables NFQUEUE, with the C program that
# accepts every packet.

network

to=198.51.100.7:7000
udp() { lan guestctl udp "$to" 1000; }

check plain-udp udp
check plain-tcp lan guestctl tcp "$to" 3000 1024

nft -f - <<'RULES'
table inet bed {
	chain forward {
		type filter hook forward priority filter - 10; policy accept;
		iifname "br-lan" oifname "wan" meta l4proto { tcp, udp } counter queue num 214 bypass
	}
}
RULES
check nft-bypass-without-reader udp

reader
check nft-queue-udp udp
check nft-queue-tcp lan guestctl tcp "$to" 3000 1024
if [ "$(seen 214)" -gt 2 ]; then pass nft-queue-count; else fail nft-queue-count "the queue saw nothing"; fi
kill "$reader"
wait "$reader"
check nft-bypass-after-reader udp

nft flush chain inet bed forward
nft add rule inet bed forward iifname br-lan udp dport 7000 queue num 214
refuse nft-no-bypass-no-reader udp
nft delete table inet bed

if iptables -w -t mangle -A FORWARD -i br-lan -p udp -j NFQUEUE --queue-num 214 --queue-bypass; then
	reader
	check iptables-queue-udp udp
	if [ "$(seen 214)" -gt 0 ]; then pass iptables-queue-count; else fail iptables-queue-count; fi
	kill "$reader"
	wait "$reader"
	iptables -w -t mangle -F FORWARD
else
	fail iptables-queue "no NFQUEUE target"
fi
