# SPDX-License-Identifier: GPL-2.0-or-later
#
# shellcheck shell=dash disable=SC2154 # lib.sh sets $reader
#
# The wall's rules depend on these facts about the kernel, tested with a ruleset like
# fw4's: an accepted packet still meets the firewall's rules; a flowtable hides packets;
# the mark method makes them visible again; `ct packets` keeps a long flow out of the
# queue; a foreign table survives a reload of fw4 but not a flush.

network
kernel_has_flowtables() { nft -f /testdata/fw4.nft; }
check fw4-loads kernel_has_flowtables || exit 0

to=198.51.100.7:7000
# 64 blocks each way: well over 100 packets in each direction.
talk() { lan guestctl tcp "$to" 10000 65536; }
packets() { nft list chain inet bed "$1" | sed -n 's/.*counter packets \([0-9]*\) .*/\1/p' | head -n 1; }
bed() { nft -f - <<RULES
table inet bed
delete table inet bed
table inet bed {
	chain forward {
		type filter hook forward priority filter - 10; policy accept
		$1
	}
}
RULES
}
between() {
	if [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; then pass "$1" "$2 packets"; else fail "$1" "$2 packets, $3 to $4 expected"; fi
}

bed 'iifname "br-lan" tcp dport 7000 counter'
check offload-flow talk
between offload-hides "$(packets forward)" 1 20

nft insert rule inet fw4 forward ct state established,related ct mark and 0x01000000 == 0 accept
bed 'iifname "br-lan" tcp dport 7000 counter'
check hold-flow talk
all=$(packets forward)
between hold-shows "$all" 60 1000

bed 'iifname "br-lan" tcp dport 7000 counter
		tcp dport 7000 ct original packets > 20 ct mark set ct mark or 0x01000000'
check mark-flow talk
between mark-releases "$(packets forward)" 20 40

bed 'iifname "br-lan" tcp dport 7000 ct original packets <= 20 counter'
check prefilter-flow talk
between prefilter "$(packets forward)" 20 20

bed 'iifname "br-lan" meta l4proto { tcp, udp } counter queue num 214 bypass'
reader
refuse fw4-rule-still-holds lan guestctl tcp 198.51.100.7:7001 2000 1024
check fw4-passes-others talk
kill "$reader"
wait "$reader"

nft -f /testdata/fw4.nft
check fw4-reload-keeps-others nft list table inet bed
nft flush ruleset
refuse flush-takes-others nft list table inet bed
:
