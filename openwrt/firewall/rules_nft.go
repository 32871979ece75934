// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"strconv"
	"strings"
	"time"

	"github.com/p2pwall/p2pwall/openwrt/config"
)

// RemoveNFT is the nft script that removes our table. It works also if there is none.
const RemoveNFT = "table inet " + TableName + "\ndelete table inet " + TableName + "\n"

// RecreateNFT turns an nft text of Rules into one that starts with an empty table. It loses
// the elements of the sets. But it works if the present table comes from another version and
// does not fit.
func RecreateNFT(text string) string { return RemoveNFT + text }

// The texts for nft. One script is one transaction, so the kernel never has half of it.
// "flush table" removes only rules, so the sets keep their elements and the counters their
// values. A set of another version stays until the table is removed, but no rule names it.
//
// The sets come before "flush table". nft 0.9.8 (Debian 11) crashes if a script names a table
// first and adds its first set in a later block.
const (
	nftNoSets = "table inet p2pwall\n" + nftFlush
	nftFlush  = `flush table inet p2pwall
table inet p2pwall {
`
)

//   - cut4: Kept by the daemon: pairs of client and peer that are cut (of a host with
//     itself: it was found once), clients that are locked, ports of clients that are
//     cut, hosts that are watched, and hosts of which what is cut is marked only.
//   - gone_tcp: What the sets dropped; the daemon reads it and sets it back.
//   - seen4: Kept by the rules: blocked hosts of which a packet was sampled lately.
//   - met4: The same: hosts of which a SYN or a question for a name was queued lately.
//   - talk4: The same for hosts that are answered in their peers' names.
const nftSets = `table inet p2pwall {
	set cut4 {
		type ipv4_addr . ipv4_addr
		flags timeout
	}

	set cut6 {
		type ipv6_addr . ipv6_addr
		flags timeout
	}

	set lock4 {
		type ipv4_addr
		flags timeout
	}

	set lock6 {
		type ipv6_addr
		flags timeout
	}

	set own4 {
		type ipv4_addr . inet_proto . inet_service
		flags timeout
	}

	set own6 {
		type ipv6_addr . inet_proto . inet_service
		flags timeout
	}

	set watch4 {
		type ipv4_addr
		flags timeout
	}

	set watch6 {
		type ipv6_addr
		flags timeout
	}

	set mark4 {
		type ipv4_addr
		flags timeout
	}

	set mark6 {
		type ipv6_addr
		flags timeout
	}

	counter gone_tcp {
	}

	counter gone_udp {
	}

	set seen4 {
		type ipv4_addr
		size 1024
		flags dynamic,timeout
	}

	set seen6 {
		type ipv6_addr
		size 1024
		flags dynamic,timeout
	}

<quick>	set met4 {
<quick>		type ipv4_addr
<quick>		size 1024
<quick>		flags dynamic,timeout
<quick>	}
<quick>
<quick>	set met6 {
<quick>		type ipv6_addr
<quick>		size 1024
<quick>		flags dynamic,timeout
<quick>	}
<quick>
<talk>	set talk4 {
<talk>		type ipv4_addr
<talk>		size 1024
<talk>		flags dynamic,timeout
<talk>	}
<talk>
<talk>	set talk6 {
<talk>		type ipv6_addr
<talk>		size 1024
<talk>		flags dynamic,timeout
<talk>	}
}
` + nftFlush

// nftMarking are the chains that mark a connection and let it go on, for both backends.
//
//   - marking: What would be cut: its connection has the mark from now on.
const nftMarking = `<marks>	chain marking {
<marks>		ct mark set ct mark & <markothers> | <markvalue>
<marks>		goto slow
<marks>	}
<marks>
<marks>	chain slow {
<hasdscp>		ip dscp set <dscp>
<hasdscp>		ip6 dscp set <dscp>
<marks>		accept
<marks>	}
<marks>
`

// nftQuick are the chains for what most connections begin with, for both backends. It stays
// in the kernel.
//
//   - service: a SYN to a well-known service, of a host that was not found. A repeated one is
//     queued: nobody answers there. So is one with data, and one of each address in a while:
//     the daemon is to know whose it is when it locks a host.
//   - question: for a name, to a server outside. The answer may be queued.
//   - opened: the first data of a connection whose SYN passed.
//   - hello, suites: a hello of a browser's TLS is decided. Two header lengths of TCP are told:
//     without options, and with time stamps. The first cipher suites tell the TLS of browsers
//     and of most phones: a value that they reserve, or the order of Firefox. File sharing
//     programs use other libraries, and some show only in their TLS hello what they are.
//   - begins: the daemon is to know that the connection begins with it. What is no question for
//     a name comes here too, after one in the same flow.
//   - service: What most connections begin with.
const nftQuick = `<quick>	chain service {
<quick>		ip saddr @watch4 <onward>
<quick>		ip6 saddr @watch6 <onward>
<quick>		ip saddr . ip saddr @cut4 <onward>
<quick>		ip6 saddr . ip6 saddr @cut6 <onward>
<quick>		ct mark & <mask> != 0x0 <onward>
<quick>		meta length <= <syn4> ip saddr @met4 <passes>ct mark set ct mark & <others> | <watch> return
<quick>		meta length <= <syn6> ip6 saddr @met6 <passes>ct mark set ct mark & <others> | <watch> return
<quick>		goto meet
<quick>	}
<quick>
<quick>	chain meet {
<quick>		add @met4 { ip saddr timeout <metevery> } <onward>
<quick>		add @met6 { ip6 saddr timeout <metevery> } <onward>
<quick>		<onward>
<quick>	}
<quick>
<quick><names>	chain question {
<quick><names>		ip saddr @met4 <asks>return
<quick><names>		ip6 saddr @met6 <asks>return
<quick><names>		goto meet
<quick><names>	}
<quick><names>
<quick>	chain opened {
<quick>		tcp flags & (syn | rst) != 0x0 return
<quick>		tcp flags & psh == 0x0 meta nfproto ipv4 meta length <= <bare4> return
<quick>		tcp flags & psh == 0x0 meta nfproto ipv6 meta length <= <bare6> return
<quick>		ip saddr @watch4 goto begins
<quick>		ip6 saddr @watch6 goto begins
<quick>		ip saddr . ip saddr @cut4 goto begins
<quick>		ip6 saddr . ip6 saddr @cut6 goto begins
<quick>		tcp dport <tls> goto hello
<quick>		goto begins
<quick>	}
<quick>
<quick>	chain hello {
<quick>		<data>,48 & 0xffff000000ff == 0x160300000001 goto suites
<quick>		goto begins
<quick>	}
<quick>
<quick>	chain suites {
<quick>		<session>,8 != 0x20 goto begins
<quick>		<suites>,16 & 0x0f0f == 0x0a0a goto decided
<quick>		<suites>,64 == 0x130113031302c02b goto decided
<quick>		goto begins
<quick>	}
<quick>
<quick>	chain begins {
<quick>		ct mark set ct mark & <others>
<quick>		meta mark set meta mark & <others> | <begins>
<quick>		<onward>
<quick>	}
<quick>
`

// nftAnswer is the chain that tells listed names, for both backends: only an answer that may be
// about one comes to the daemon.
const nftAnswer = `<listedonly>	chain answer {
<listedonly>		@th,160,64 & 0xdfdfdfdfdfdfdfdf == { <first> } <tolisted>
<listedonly>		@th,<place>,32 & 0xdfdfdfdf == { <parts> } <tolisted>
<listedonly>	}
<listedonly>
`

// nftRules are the chains of the nft backend. Priorities are numbers, because every version
// of nft reads those.
//
//   - heard_watched: a part of what comes to a watched host tells which connections are a
//     client's.
//   - udp_watched: of a host that is watched, what shows sessions of WebRTC, however old they
//     are: STUN, and small application data of DTLS.
//   - watched: all data that a host sends that is watched. When the daemon has answered a
//     connection, connection tracking calls all that follows invalid. A SYN-ACK shows where the
//     host serves others.
//   - forward: Before the firewall's own forward chain: what is accepted here meets
//     every rule of the firewall after it.
//   - answered: What a verdict brings back from the queue. Other values are none of
//     ours. What is of no known connection has none to mark.
//   - after: Where packets come from the queue.
//   - input: Answers to our probes. Requests to be reached from outside (NAT-PMP, PCP,
//     UPnP). Searches for peers in the LAN: the daemon has the router join their
//     groups.
//   - answers: What the router's own name server answers.
//   - output: Packets sent into the LAN in a peer's name leave no trace in the
//     connection table.
//   - heard: Of connections in which the LAN side has spoken. The rest anybody outside
//     can make, and the firewall may drop it: it is never decided.
//   - tcp_data: A bare acknowledgement is no data.
//   - decided: Nothing of this connection will be looked at again; it may be offloaded.
//   - marked: The same by the sets. A packet in a while comes to the daemon all the
//     same, to keep the lock true.
//   - sample: A full queue that fails open lets it pass, but not what answers it.
const nftRules = `	chain forward {
		type filter hook forward priority -10; policy accept;
<marks>		ct mark & <mask> == <marked> goto slow
<fast>		ct mark & <decided> == <decided> accept
<repeat>		meta mark & <mask> != 0x0 jump answered
		iifname <lan> oifname != <lan> goto outbound
		iifname != <lan> oifname <lan> goto inbound
	}

<repeat>	chain answered {
<marks><repeat>		meta mark & <mask> == <marked> goto marking
<repeat>		meta mark & <mask> == <decided> ct mark set ct mark & <others> | <decided> accept
<repeat>		meta mark & <mask> == <decided> ct state invalid accept
<repeat>	}
<after>	chain after {
<after>		type filter hook forward priority -9; policy accept;
<after>		meta mark & <mask> == 0x0 accept
<after><sets>		meta mark & <mask> == <sample> drop
<after><marks>		meta mark & <mask> == <marked> goto marking
<after>		meta mark & <mask> == <decided> goto decided
<after>	}

<input>	chain input {
<input>		type filter hook input priority -10; policy accept;
<probes>		iifname <lan> udp dport <port> <q>
<look>		iifname <lan> udp dport <natpmp> <q>
<look>		iifname <lan> tcp dport <upnp> tcp flags & psh == psh <q>
<groups>		iifname <lan> ip daddr <group4> <q>
<groups>		iifname <lan> ip6 daddr <group6> <q>
<input>	}
<input>
<names>	chain answers {
<names>		type filter hook output priority -10; policy accept;
<unlisted>		udp sport 53 oifname <lan> <q>
<listedonly>		udp sport 53 oifname <lan> goto answer
<names>	}
<names>
	chain output {
		type filter hook output priority -300; policy accept;
		meta mark & <mask> == <own> oifname <lan> notrack
	}

	chain outbound {
		ip saddr <set4> goto decided
		ip6 saddr <set6> goto decided
		ether saddr <setmac> goto decided
<sets>		ip saddr . ip daddr @cut4 goto blocked
<sets>		ip6 saddr . ip6 daddr @cut6 goto blocked
<sets>		ip saddr . meta l4proto . th sport @own4 goto blocked
<sets>		ip6 saddr . meta l4proto . th sport @own6 goto blocked
<route><sets>		ip saddr @mark4 ip daddr . meta l4proto . th dport @own4 goto marked
<route><sets>		ip6 saddr @mark6 ip6 daddr . meta l4proto . th dport @own6 goto marked
		tcp flags & (fin | syn | rst | ack) == syn goto tcp_open
<quick>		meta l4proto tcp ct mark & <mask> == <watch> jump opened
		ct mark & <decided> == <decided> return
		meta l4proto udp goto udp_small
<http><sets>		meta l4proto tcp ip saddr @watch4 goto watched
<http><sets>		meta l4proto tcp ip6 saddr @watch6 goto watched
<http>		tcp flags & (syn | rst) == 0x0 ct original packets > <tcp> ct reply packets > <tcp> goto decided
<http>		meta l4proto tcp goto tcp_first
<plain>		meta l4proto tcp goto decided
	}

	chain inbound {
		ip daddr <set4> goto decided
		ip6 daddr <set6> goto decided
<sets>		ip daddr . ip saddr @cut4 goto gone
<sets>		ip6 daddr . ip6 saddr @cut6 goto gone
<sets>		ip daddr . meta l4proto . th dport @own4 goto gone
<sets>		ip6 daddr . meta l4proto . th dport @own6 goto gone
<sets><repeat>		ct mark & <mask> == <sample> drop
		ct status seen-reply goto heard
	}

	chain heard {
<unlisted>		udp sport 53 <q>
<listedonly>		udp sport 53 goto answer
		ct mark & <decided> == <decided> return
<sets>		ip daddr @watch4 goto heard_watched
<sets>		ip6 daddr @watch6 goto heard_watched
		meta l4proto udp ct reply packets > <udp> goto decided
<http>		tcp flags & (syn | rst) == 0x0 ct original packets > <tcp> ct reply packets > <tcp> goto decided
<plain>		meta l4proto tcp goto decided
	}

	chain tcp_open {
<sets>		ip saddr @lock4 goto blocked
<sets>		ip6 saddr @lock6 goto blocked
<quick>		tcp dport <services> goto service
		<q>
	}

<sets>	chain heard_watched {
<http><sets>		tcp flags & (syn | rst) == 0x0 limit rate <insecond>/second burst <inburst> packets goto tcp_data
<sets>	}
<sets>
	chain udp_small {
<names>		udp dport 53 ct original packets > <udp> return
<look><sets>		ip saddr @watch4 goto udp_watched
<look><sets>		ip6 saddr @watch6 goto udp_watched
<look>		udp dport 443 udp length >= <quiclength> @th,64,40 & 0xc0ffffffff == <quic> goto decided
<quick><names>		udp dport 53 <dns> goto question
		ct original packets > <udp> goto decided
		udp length <= <udplength> <q>
<look>		ct original packets <= 1 <q>
	}

<look><sets>	chain udp_watched {
<look><sets>		ct original packets <= <udp> <q>
<look><sets>		udp length <= <udplength> @th,96,32 0x2112a442 <q>
<look><sets>		udp length <= <udplength> @th,64,24 0x17fefd <q>
<look><sets>	}
<look><sets>
<http>	chain tcp_first {
<http>		tcp flags & (syn | rst) != 0x0 return
<http>		ct direction original ct original packets 1-<tcp> goto tcp_data
<http>		ct direction reply ct reply packets 1-<tcp> goto tcp_data
<http>	}
<http>
<http><sets>	chain watched {
<http><sets>		tcp flags & rst == 0x0 ct state invalid <q>
<http><sets>		tcp flags & (syn | rst) == syn <q>
<http><sets>		tcp flags & (syn | rst) == 0x0 goto tcp_data
<http><sets>	}
<http><sets>
<http>	chain tcp_data {
<http>		tcp flags & psh == psh <q>
<http>		meta nfproto ipv4 meta length > <bare4> <q>
<http>		meta nfproto ipv6 meta length > <bare6> <q>
<http>	}
<http>
	chain decided {
		ct mark & <decided> != <decided> ct mark set ct mark & <others> | <decided>
	}

` + nftAnswer + nftQuick + nftMarking + `<marks><sets>	chain marked {
<marks><sets>		ct mark set ct mark & <markothers> | <markvalue>
<marks><sets>		ip saddr @seen4 goto slow
<marks><sets>		ip6 saddr @seen6 goto slow
<hasdscp><sets>		ip dscp set <dscp>
<hasdscp><sets>		ip6 dscp set <dscp>
<marks><sets>		add @seen4 { ip saddr timeout <every> } <q>
<marks><sets>		add @seen6 { ip6 saddr timeout <every> } <q>
<marks><sets>		goto slow
<marks><sets>	}
<marks><sets>
<sets>	chain sample {
<sets>		meta mark set meta mark & <others> | <sample>
<sets><repeat>		ct original packets <= 1 ct mark set ct mark & <others> | <sample>
<sets>		<samplequeue>
<sets>		meta nfproto ipv4 iifname <lan> jhash ip saddr <tosample>
<sets>		meta nfproto ipv6 iifname <lan> jhash ip6 saddr <tosample>
<sets>	}
<sets>
`

// nftRoute is for the owner's mark that policy routing uses.
//
//   - prerouting: Before routing: a marked connection goes the way that its mark has.
//     What is new gets it here, because its first packet chooses the way.
const nftRoute = `<route>	chain prerouting {
<route>		type filter hook prerouting priority -149; policy accept;
<route>		iifname <lan> ct mark & <mask> == <marked> meta mark set meta mark & <routeothers> | <routevalue>
<route><sets>		ct mark & <decided> == <decided> accept
<route><sets>		iifname <lan> ip saddr @mark4 goto pre
<route><sets>		iifname <lan> ip6 saddr @mark6 goto pre
<route>	}
<route>
<route><sets>	chain pre {
<route><sets>		fib daddr type != unicast return
<route><sets>		fib daddr oifname <lan> return
<route><sets>		ip saddr . meta l4proto . th sport @own4 goto reroute
<route><sets>		ip6 saddr . meta l4proto . th sport @own6 goto reroute
<route><sets>		ip daddr . meta l4proto . th dport @own4 goto reroute
<route><sets>		ip6 daddr . meta l4proto . th dport @own6 goto reroute
<route><sets>		ip saddr . ip daddr @cut4 goto reroute
<route><sets>		ip6 saddr . ip6 daddr @cut6 goto reroute
<route><sets>		tcp flags & (fin | syn | rst | ack) != syn return
<route><sets>		ip saddr @lock4 goto reroute
<route><sets>		ip6 saddr @lock6 goto reroute
<route><sets>	}
<route><sets>
<route><sets>	chain reroute {
<route><sets>		meta mark set meta mark & <routeothers> | <routevalue>
<route><sets>	}
<route><sets>
`

// nftDrops are the chains that the iptables rules use where there is no ipset. Sampled
// packets go on to the mangle table, where iptables queues them. Of UDP of a watched host, what
// shows sessions of WebRTC is queued, however old they are: STUN, and small application data of
// DTLS. Other UDP is not decided.
//
//   - drops: Before the mangle table of iptables.
//   - watched: iptables is to know what is from or to a watched host, or about a listed
//     name.
//   - decided: Nothing of this flow will be looked at again; it may be offloaded.
//   - marked: The same by the sets. A packet in a while goes on to the daemon, to keep
//     the lock true: it is for the daemon to have its connection marked.
//   - sample: A full queue that fails open lets it pass, but not what answers it.
const nftDrops = `	chain drops {
		type filter hook forward priority -160; policy accept;
<marks>		ct mark & <mask> == <marked> goto slow
<fast>		ct mark & <decided> == <decided> accept
		iifname <lan> oifname != <lan> goto outbound
		iifname != <lan> oifname <lan> goto inbound
	}

	chain outbound {
		ip saddr <set4> return
		ip6 saddr <set6> return
		ether saddr <setmac> return
		ip saddr . ip daddr @cut4 goto blocked
		ip6 saddr . ip6 daddr @cut6 goto blocked
		ip saddr . meta l4proto . th sport @own4 goto blocked
		ip6 saddr . meta l4proto . th sport @own6 goto blocked
<route>		ip saddr @mark4 ip daddr . meta l4proto . th dport @own4 goto marked
<route>		ip6 saddr @mark6 ip6 daddr . meta l4proto . th dport @own6 goto marked
		tcp flags & (fin | syn | rst | ack) == syn goto tcp_open
<quick><names>		udp dport 53 <dns> goto question
<quick>		ct mark & <mask> == <watch> goto opened
<http>		meta l4proto tcp ip saddr @watch4 goto watched
<http>		meta l4proto tcp ip6 saddr @watch6 goto watched
<look>		meta l4proto udp ip saddr @watch4 goto udp_watched
<look>		meta l4proto udp ip6 saddr @watch6 goto udp_watched
<look><names>		udp dport 53 return
<look>		udp dport 443 udp length >= <quiclength> @th,64,40 & 0xc0ffffffff == <quic> goto decided
<look>		meta l4proto udp ct original packets > <udp> goto decided
	}

	chain inbound {
		ip daddr <set4> return
		ip6 daddr <set6> return
		ip daddr . ip saddr @cut4 goto gone
		ip6 daddr . ip6 saddr @cut6 goto gone
		ip daddr . meta l4proto . th dport @own4 goto gone
		ip6 daddr . meta l4proto . th dport @own6 goto gone
		ct mark & <mask> == <sample> drop
<listedonly>		udp sport 53 goto answer
		ip daddr @watch4 goto watched
		ip6 daddr @watch6 goto watched
	}

<listedonly>	chain answers {
<listedonly>		type filter hook output priority -160; policy accept;
<listedonly>		udp sport 53 oifname <lan> goto answer
<listedonly>	}
<listedonly>
	chain watched {
		meta mark set meta mark & <others> | <watch>
	}

<look>	chain udp_watched {
<look><names>		udp dport 53 return
<look>		ct original packets <= <udp> goto watched
<look>		udp length <= <udplength> @th,96,32 0x2112a442 goto watched
<look>		udp length <= <udplength> @th,64,24 0x17fefd goto watched
<look>	}
<look>
<decides>	chain decided {
<decides>		ct mark & <decided> != <decided> ct mark set ct mark & <others> | <decided>
<decides>	}
<decides>
	chain tcp_open {
		ip saddr @lock4 goto blocked
		ip6 saddr @lock6 goto blocked
<quick>		tcp dport <services> goto service
	}

` + nftAnswer + nftQuick + nftMarking + `<marks>	chain marked {
<marks>		ip saddr @seen4 goto marking
<marks>		ip6 saddr @seen6 goto marking
<marks>		add @seen4 { ip saddr timeout <every> } return
<marks>		add @seen6 { ip6 saddr timeout <every> } return
<marks>		goto marking
<marks>	}
<marks>
	chain sample {
		meta mark set meta mark & <others> | <sample>
		ct original packets <= 1 ct mark set ct mark & <others> | <sample>
	}

`

// nftBlocked is the chain that drops blocked packets. Now and then it lets one packet of each
// host through to the queue as a sample. If its set is full, it drops too. Small UDP is
// sampled more often, because a client stays in its UDP mode only as long as it gets answers.
// With another action than drop, the kernel refuses connections itself: a program that tries
// again at once would keep the daemon busy. The daemon counts the sampled packets, and these
// chains count the others.
//
//   - blocked: A packet of each blocked host in a while keeps its lock alive.
//   - refused: What opens a connection is refused at once.
//   - talk: A client that is answered goes on talking.
const nftBlocked = `	chain blocked {
<marks>		ip saddr @mark4 goto marked
<marks>		ip6 saddr @mark6 goto marked
<talk>		udp length <= <udplength> goto talk
		ip saddr @seen4 goto <gone>
		ip6 saddr @seen6 goto <gone>
		add @seen4 { ip saddr timeout <every> } goto sample
		add @seen6 { ip6 saddr timeout <every> } goto sample
		goto <gone>
	}
<refuse>
<refuse>	chain refused {
<refuse>		tcp flags & (fin | syn | rst | ack) == syn counter name gone_tcp reject with <refusal>
<refuse>		goto gone
<refuse>	}
<talk>
<talk>	chain talk {
<talk>		ip saddr @talk4 goto gone
<talk>		ip6 saddr @talk6 goto gone
<talk>		add @talk4 { ip saddr timeout <talkevery> } goto sample
<talk>		add @talk6 { ip6 saddr timeout <talkevery> } goto sample
<talk>		goto gone
<talk>	}

	chain gone {
<marks>		ip daddr @mark4 goto marking
<marks>		ip6 daddr @mark6 goto marking
		meta l4proto tcp counter name gone_tcp drop
		counter name gone_udp drop
	}
`

// nftQueues spreads the hosts over several queues and ends the table.
//
//   - queues: All packets of a LAN host come to the same queue.
const nftQueues = `<queues>
<queues>	chain queues {
<queues>		meta nfproto ipv4 iifname <lan> jhash ip saddr <toqueue>
<queues>		meta nfproto ipv4 jhash ip daddr <toqueue>
<queues>		meta nfproto ipv6 iifname <lan> jhash ip6 saddr <toqueue>
<queues>		meta nfproto ipv6 jhash ip6 daddr <toqueue>
<queues>	}
<queuechain>
<sets><samplechain>
}
`

// nftHold keeps undecided connections out of fw4's flow table: it accepts them before the
// rule that offloads. The rules are in fw4's own chain, and a reload of fw4 deletes them.
const nftHold = `<hold><marks>insert rule inet fw4 forward ct mark & <mask> == <marked> ct state established,related accept comment "` + HoldComment + `"
<hold>insert rule inet fw4 forward meta l4proto { tcp, udp } iifname <lan> oifname != <lan> ct state established,related ct mark & <decided> != <decided> accept comment "` + HoldComment + `"
<hold>insert rule inet fw4 forward meta l4proto { tcp, udp } iifname != <lan> oifname <lan> ct state established,related ct mark & <decided> != <decided> accept comment "` + HoldComment + `"
`

// nft adds the values for the nft texts.
func (v values) nft(c *config.Config, t Target) {
	// Devices by name: a bridge that is created anew has another index.
	lan := "\"" + strings.Join(t.Devices, "\", \"") + "\""
	if len(t.Devices) > 1 {
		lan = "{ " + lan + " }"
	}
	v.set("lan", lan)
	v.nftSet("set4", "exempt4")
	v.nftSet("set6", "exempt6")
	v.nftSet("setmac", "mac")
	v.number("udplength", udpPayload+8)
	v.quick(t)
	v.number("bare4", tcpBare4)
	v.number("bare6", tcpBare6)
	if c.Queues == 1 {
		v.set("q", nftQueue(int(c.Queue), c.FailOpen))
		v.set("samplequeue", nftQueue(int(c.Queue), false))
	} else {
		v.set("q", "goto queues")
		v.nftByHost(c, "queue", c.FailOpen)
		v.nftByHost(c, "sample", false)
	}
}

// quick adds the values for what stays in the kernel.
func (v values) quick(t Target) {
	v.set("services", "{ 21, 22, 25, 80, 110, 143, 443, 465, 587, 853, 993, 995 }")
	v.set("tls", "{ 443, 465, 853, 993, 995 }")
	v.number("syn4", 20+maxTCP)
	v.number("syn6", 40+maxTCP)
	v.set("metevery", nftTime(metEvery))
	// What is 0, 43 and 78 bytes behind a TCP header of 20 or 32 bytes.
	v["data"] = []string{"tcp doff 5 @th,160", "tcp doff 8 @th,256"}
	v["session"] = []string{"tcp doff 5 @th,504", "tcp doff 8 @th,600"}
	v["suites"] = []string{"tcp doff 5 @th,784", "tcp doff 8 @th,880"}
	// A query with one question and nothing else, but for what EDNS adds.
	v.set("dns", "@th,80,64 & 0xffcfffffffffffff == 0x0100000100000000")
	v.number("quiclength", 8+quicInitial)
	v["quic"] = []string{"0xc000000001", "0xc06b3343cf"} // versions 1 and 2
	if t.Backend == config.BackendNFT {
		v.set("onward", "<q>")
		v.set("passes", "")
		v.set("asks", "")
		v.set("tolisted", "<q>")
	} else {
		v.set("onward", "return")
		v.set("passes", "meta mark set meta mark & <others> | <watch> ")
		v.set("asks", "ct mark set ct mark & <others> | <watch> ")
		v.set("tolisted", "goto watched")
	}
	v.set("begins", "<decided>")
	if t.Repeats() {
		v.set("begins", "<watch>")
	}
}

// nftByHost adds the end of a rule that jumps to one of several chains by a hash of the LAN
// host's address. It adds those chains too.
func (v values) nftByHost(c *config.Config, chain string, bypass bool) {
	var targets []string
	for i := range c.Queues {
		n := strconv.Itoa(i)
		targets = append(targets, n+" : goto "+chain+n)
		v.add(chain+"chain", "\tchain "+chain+n+" {\n\t\t"+nftQueue(int(c.Queue)+i, bypass)+"\n\t}")
	}
	v.set("to"+chain, "mod "+strconv.Itoa(c.Queues)+" seed "+hashSeed+" vmap { "+strings.Join(targets, ", ")+" }")
}

// nftSet gives a name the values of another name, written as a set. If that has no values,
// the name gets none.
func (v values) nftSet(name, of string) {
	if list := v[of]; list != nil {
		v.set(name, "{ "+strings.Join(list, ", ")+" }")
	}
}

// nftQueue is the statement that queues a packet. Every version of nft reads the form with
// "num".
func nftQueue(n int, bypass bool) string {
	s := "queue num " + strconv.Itoa(n)
	if bypass {
		s += " bypass"
	}
	return s
}

// nftTime writes a duration for nft.
func nftTime(d time.Duration) string {
	if d >= time.Second {
		return strconv.Itoa(int(d/time.Second)) + "s"
	}
	return strconv.Itoa(int(d/time.Millisecond)) + "ms"
}
