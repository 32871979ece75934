// SPDX-License-Identifier: GPL-2.0-or-later

package openwrt

import (
	"fmt"
	"strings"
	"time"
)

// RemoveNFT is the nft script that removes our table, there or not.
const RemoveNFT = "table inet " + tableName + "\ndelete table inet " + tableName + "\n"

// RecreateNFT turns an nft text of Rules into one that begins with an empty
// table. It loses the sets' elements, but works when the table that is there does
// not fit, as one of another version may.
func RecreateNFT(text string) string { return RemoveNFT + text }

// nft writes the whole table for the nft backend. One script is one transaction:
// at no time is there a half of it, and the sets keep their elements, because
// "flush table" takes rules only.
func (w *writer) nft() string {
	w.nftHead()
	lan, notLAN := w.nftDevices("=="), w.nftDevices("!=")
	tcp := "decided"
	if w.c.ReadsTCP() {
		tcp = "tcp_first"
	}

	w.line("	# Before the firewall's own forward chain: what is accepted here meets")
	w.line("	# every rule of the firewall after it.")
	w.line("	chain forward {")
	w.line("		type filter hook forward priority -10; policy accept;")
	w.line("		iifname %s oifname %s goto outbound", lan, notLAN)
	w.line("		iifname %s oifname %s goto inbound", notLAN, lan)
	w.line("	}")
	w.line("")
	w.nftAfter(true)
	if ports := w.probePorts(); len(ports) > 0 {
		w.line("	# Answers to our probes.")
		w.line("	chain input {")
		w.line("		type filter hook input priority -10; policy accept;")
		for _, p := range ports {
			w.line("		iifname %s udp dport %d %s", lan, p, w.nftQueue())
		}
		w.line("	}")
		w.line("")
	}
	w.line("	# Packets sent in a peer's name leave no trace in the connection table.")
	w.line("	chain output {")
	w.line("		type filter hook output priority -300; policy accept;")
	w.line("		meta mark & %s != 0x0 notrack", own)
	w.line("	}")
	w.line("")

	w.line("	chain outbound {")
	w.nftExempt("saddr", "goto decided")
	if w.sets() {
		w.line("		ip saddr . ip daddr @cut4 goto blocked")
		w.line("		ip6 saddr . ip6 daddr @cut6 goto blocked")
	}
	w.line("		tcp flags & (fin | syn | rst | ack) == syn goto tcp_open")
	w.line("		ct mark & %s != 0x0 return", decided)
	w.line("		meta l4proto udp goto udp_small")
	w.line("		meta l4proto tcp goto %s", tcp)
	w.line("	}")
	w.line("")
	w.line("	chain inbound {")
	w.nftExempt("daddr", "goto decided")
	if w.sets() {
		w.line("		ip daddr . ip saddr @cut4 drop")
		w.line("		ip6 daddr . ip6 saddr @cut6 drop")
	}
	w.line("		ct mark & %s != 0x0 return", decided)
	w.line("		meta l4proto udp ct reply packets > %d goto decided", udpPackets)
	w.line("		meta l4proto tcp goto %s", tcp)
	w.line("	}")
	w.line("")
	w.line("	chain tcp_open {")
	w.nftLocked()
	w.line("		%s", w.nftQueue())
	w.line("	}")
	w.line("")
	w.line("	chain udp_small {")
	w.line("		ct original packets > %d goto decided", udpPackets)
	w.line("		udp length <= %d %s", udpPayload+8, w.nftQueue())
	w.line("	}")
	w.line("")
	if w.c.ReadsTCP() {
		w.line("	chain tcp_first {")
		w.line("		tcp flags & (syn | rst) != 0x0 return")
		w.line("		ct original packets > %d ct reply packets > %d goto decided", tcpPackets, tcpPackets)
		w.line("		ct direction original ct original packets 1-%d goto tcp_data", tcpPackets)
		w.line("		ct direction reply ct reply packets 1-%d goto tcp_data", tcpPackets)
		w.line("	}")
		w.line("")
		w.line("	# A bare acknowledgement is no data.")
		w.line("	chain tcp_data {")
		w.line("		tcp flags & psh == psh %s", w.nftQueue())
		w.line("		meta nfproto ipv4 meta length > %d %s", tcpBare4, w.nftQueue())
		w.line("		meta nfproto ipv6 meta length > %d %s", tcpBare6, w.nftQueue())
		w.line("	}")
		w.line("")
	}
	w.line("	# Nothing of this connection will be looked at again; it may be offloaded.")
	w.line("	chain decided {")
	w.line("		ct mark & %s == 0x0 ct mark set ct mark | %s", decided, decided)
	w.line("	}")
	if w.sets() {
		w.nftBlocked()
		w.line("	chain sample {")
		w.line("		meta mark set meta mark | %s", sample)
		if w.c.Queues == 1 {
			w.line("		queue num %d", w.c.Queue)
		} else {
			w.nftByHost("sample")
		}
		w.line("	}")
	}
	w.nftQueues()
	w.line("}")
	return w.take()
}

// nftSetsOnly writes the table that an iptables rule set uses where there is no
// ipset: the sets, and the drops before mangle. What is sampled goes on to
// mangle, where iptables queues it.
func (w *writer) nftSetsOnly() string {
	w.nftHead()
	lan, notLAN := w.nftDevices("=="), w.nftDevices("!=")
	w.line("	# Before the mangle table of iptables.")
	w.line("	chain drops {")
	w.line("		type filter hook forward priority -160; policy accept;")
	w.line("		iifname %s oifname %s goto outbound", lan, notLAN)
	w.line("		iifname %s oifname %s goto inbound", notLAN, lan)
	w.line("	}")
	w.line("")
	w.nftAfter(false)
	w.line("	chain outbound {")
	w.nftExempt("saddr", "return")
	w.line("		ip saddr . ip daddr @cut4 goto blocked")
	w.line("		ip6 saddr . ip6 daddr @cut6 goto blocked")
	w.line("		tcp flags & (fin | syn | rst | ack) == syn goto tcp_open")
	w.line("	}")
	w.line("")
	w.line("	chain inbound {")
	w.nftExempt("daddr", "return")
	w.line("		ip daddr . ip saddr @cut4 drop")
	w.line("		ip6 daddr . ip6 saddr @cut6 drop")
	w.line("	}")
	w.line("")
	w.line("	chain tcp_open {")
	w.nftLocked()
	w.line("	}")
	w.nftBlocked()
	w.line("	chain sample {")
	w.line("		meta mark set meta mark | %s", sample)
	w.line("	}")
	w.line("}")
	return w.take()
}

// nftHead opens the table and declares the sets.
func (w *writer) nftHead() {
	w.line("table inet %s", tableName)
	w.line("flush table inet %s", tableName)
	w.line("table inet %s {", tableName)
	if !w.sets() {
		return
	}
	w.line("	# Kept by the daemon: pairs of client and peer that are cut, and clients")
	w.line("	# that are locked.")
	for _, s := range [][2]string{
		{"cut4", "ipv4_addr . ipv4_addr"},
		{"cut6", "ipv6_addr . ipv6_addr"},
		{"lockmac", "ether_addr"},
		{"lock4", "ipv4_addr"},
		{"lock6", "ipv6_addr"},
	} {
		w.line("	set %s {", s[0])
		w.line("		type %s", s[1])
		w.line("		flags timeout")
		w.line("	}")
		w.line("")
	}
	w.line("	# Kept by the rules: blocked hosts of which a packet was sampled lately.")
	for _, s := range [][2]string{{"seen4", "ipv4_addr"}, {"seen6", "ipv6_addr"}} {
		w.line("	set %s {", s[0])
		w.line("		type %s", s[1])
		w.line("		size 1024")
		w.line("		flags dynamic,timeout")
		w.line("	}")
		w.line("")
	}
}

// nftAfter writes the chain behind the queue. An accept from the queue goes on
// with the next chain, so that what it decided has to be noted here.
func (w *writer) nftAfter(save bool) {
	if !save && !w.sets() {
		return
	}
	w.line("	# Where packets come from the queue.")
	w.line("	chain after {")
	w.line("		type filter hook forward priority -9; policy accept;")
	if w.sets() {
		w.line("		meta mark & %s != 0x0 drop", sample)
	}
	if save {
		w.line("		meta mark & %s != 0x0 goto decided", decided)
	}
	w.line("	}")
	w.line("")
}

// nftLocked writes the rules for the locked clients' connection attempts.
func (w *writer) nftLocked() {
	if !w.sets() {
		return
	}
	w.line("		ether saddr @lockmac goto blocked")
	w.line("		ip saddr @lock4 goto blocked")
	w.line("		ip6 saddr @lock6 goto blocked")
}

// nftBlocked writes the chain that drops, but for one packet of each host in a
// while. A full set drops too.
func (w *writer) nftBlocked() {
	every := nftTime(w.sampleEvery())
	w.line("")
	w.line("	# A packet of each blocked host in a while keeps its lock alive.")
	w.line("	chain blocked {")
	w.line("		ip saddr @seen4 drop")
	w.line("		ip6 saddr @seen6 drop")
	w.line("		add @seen4 { ip saddr timeout %s } goto sample", every)
	w.line("		add @seen6 { ip6 saddr timeout %s } goto sample", every)
	w.line("		drop")
	w.line("	}")
	w.line("")
}

// nftExempt writes the rules for the exempt hosts. Only what they send has their
// MAC.
func (w *writer) nftExempt(addr, verdict string) {
	if a := w.exempt(false); len(a) > 0 {
		w.line("		ip %s { %s } %s", addr, strings.Join(a, ", "), verdict)
	}
	if a := w.exempt(true); len(a) > 0 {
		w.line("		ip6 %s { %s } %s", addr, strings.Join(a, ", "), verdict)
	}
	if m := w.c.Exempt.MACs; len(m) > 0 && addr == "saddr" {
		var a []string
		for _, x := range m {
			a = append(a, x.String())
		}
		w.line("		ether saddr { %s } %s", strings.Join(a, ", "), verdict)
	}
}

// nftDevices writes the LAN devices behind "iifname", by name, because a bridge
// that is taken down and made again has another index.
func (w *writer) nftDevices(op string) string {
	var names []string
	for _, d := range w.t.Devices {
		names = append(names, "\""+d+"\"")
	}
	s := names[0]
	if len(names) > 1 {
		s = "{ " + strings.Join(names, ", ") + " }"
	}
	if op == "!=" {
		s = "!= " + s
	}
	return s
}

// nftQueue is the statement that queues a packet. The form with "num" is the one
// that every version of nft reads.
func (w *writer) nftQueue() string {
	if w.c.Queues > 1 {
		return "goto queues"
	}
	return nftQueueNum(int(w.c.Queue), w.c.FailOpen)
}

func nftQueueNum(n int, bypass bool) string {
	if bypass {
		return fmt.Sprintf("queue num %d bypass", n)
	}
	return fmt.Sprintf("queue num %d", n)
}

// nftQueues writes the chains that share the hosts out to several queues: all
// packets of a LAN host come to the same one, whichever way they go.
func (w *writer) nftQueues() {
	if w.c.Queues == 1 {
		return
	}
	w.line("")
	w.line("	# All packets of a LAN host come to the same queue.")
	w.line("	chain queues {")
	w.nftByHost("queue")
	w.line("	}")
	for i := 0; i < w.c.Queues; i++ {
		w.line("	chain queue%d {", i)
		w.line("		%s", nftQueueNum(int(w.c.Queue)+i, w.c.FailOpen))
		w.line("	}")
	}
	if !w.sets() {
		return
	}
	for i := 0; i < w.c.Queues; i++ {
		w.line("	chain sample%d {", i)
		w.line("		%s", nftQueueNum(int(w.c.Queue)+i, false))
		w.line("	}")
	}
}

// nftByHost writes the rules that go to chain0, chain1, ... by the LAN host.
func (w *writer) nftByHost(chain string) {
	var targets []string
	for i := 0; i < w.c.Queues; i++ {
		targets = append(targets, fmt.Sprintf("%d : goto %s%d", i, chain, i))
	}
	to := fmt.Sprintf("mod %d seed 0x%x vmap { %s }", w.c.Queues, hashSeed, strings.Join(targets, ", "))
	for _, f := range [][2]string{{"ipv4", "ip"}, {"ipv6", "ip6"}} {
		w.line("		meta nfproto %s iifname %s jhash %s saddr %s", f[0], w.nftDevices("=="), f[1], to)
		w.line("		meta nfproto %s jhash %s daddr %s", f[0], f[1], to)
	}
}

// nftTime writes a duration for nft.
func nftTime(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%ds", int64(d/time.Second))
	}
	return fmt.Sprintf("%dms", int64(d/time.Millisecond))
}

// hold writes the rules that keep undecided connections out of fw4's flow table:
// they are accepted before the rule that offloads. They stand in fw4's chain,
// which a reload of fw4 empties.
func (w *writer) hold() string {
	lan, notLAN := w.nftDevices("=="), w.nftDevices("!=")
	for _, dir := range [][2]string{{lan, notLAN}, {notLAN, lan}} {
		w.line("insert rule inet fw4 forward meta l4proto { tcp, udp } iifname %s oifname %s "+
			"ct state established,related ct mark & %s == 0x0 accept comment \"%s\"",
			dir[0], dir[1], decided, holdComment)
	}
	return w.take()
}
