// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"strconv"

	"github.com/p2pwall/p2pwall/openwrt/config"
)

// mangleText is the part of the mangle table. With --noflush, iptables-restore empties a
// declared chain and leaves all others. COMMIT makes all changes at once.
//
// The jumps from built-in chains are appended, not inserted. A packet that the queue accepts
// skips the rest of its table. If the jumps came first, it would skip the MSS clamping that
// every PPPoE line needs.
//
// Every packet meets the first rule of p2pwall and the condition for p2pwall-post. Only
// p2pwall-post can have its condition in the jump itself, because an unequal comparison with
// a connection's mark never matches untracked packets. p2pwall-post drops nothing, because
// the router's own packets pass it too. If a full queue lets a sampled packet pass, the
// packet goes out, and the rules drop the answers to it.
//
// The chain p2pwall-heard is for connections in which the LAN side has sent a packet. Anybody
// outside can make the others, and the firewall may drop them, so the rules never decide
// them.
//
// With nft sets, the nft table has already dropped the blocked packets. It has also decided
// the UDP flows that are longer than udpPackets, except those of watched hosts. The chain
// p2pwall-blocked looks twice, because a full set takes no more elements.
const mangleText = `*mangle
:p2pwall - [0:0]
:p2pwall-out - [0:0]
:p2pwall-in - [0:0]
:p2pwall-heard - [0:0]
<sets>:p2pwall-heard-watched - [0:0]
:p2pwall-syn - [0:0]
:p2pwall-udp - [0:0]
:p2pwall-decided - [0:0]
:p2pwall-input - [0:0]
:p2pwall-post - [0:0]
<marks>:p2pwall-mark - [0:0]
<marks>:p2pwall-slow - [0:0]
<marks><ipset>:p2pwall-marked - [0:0]
<marks><ipset>:p2pwall-gone - [0:0]
<routeipt>:p2pwall-pre - [0:0]
<route><ipset>:p2pwall-route - [0:0]
<http>:p2pwall-tcp - [0:0]
<http>:p2pwall-data - [0:0]
<names>:p2pwall-output - [0:0]
<http><sets>:p2pwall-watched - [0:0]
<ipset>:p2pwall-blocked - [0:0]
<ipsettalk>:p2pwall-talk - [0:0]
<sets>:p2pwall-sample - [0:0]
<queues>:p2pwall-queue - [0:0]
<marks>-A p2pwall -m connmark --mark <marked>/<mask> -g p2pwall-slow
<fast>-A p2pwall -m connmark --mark <decided>/<decided> -j RETURN
-A p2pwall -i <dev> -g p2pwall-out
-A p2pwall -o <dev> -g p2pwall-in
-A p2pwall-out -o <dev> -j RETURN
-A p2pwall-out -s <exempt> -g p2pwall-decided
-A p2pwall-out -m mac --mac-source <mac> -g p2pwall-decided
<ipset>-A p2pwall-out -m set --match-set p2pwall-cut<6> src,dst -g p2pwall-blocked
<ipset>-A p2pwall-out -m set --match-set p2pwall-own<6> src,src -g p2pwall-blocked
<route><ipset>-A p2pwall-out -m set --match-set p2pwall-mark<6> src -m set --match-set p2pwall-own<6> dst,dst -g p2pwall-marked
<nftsets>-A p2pwall-out -m mark --mark <sample>/<mask> -g p2pwall-sample
-A p2pwall-out -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -g p2pwall-syn
-A p2pwall-out -m connmark --mark <decided>/<decided> -j RETURN
-A p2pwall-out -p udp -g p2pwall-udp
<http><nftsets>-A p2pwall-out -p tcp -m mark --mark <watch>/<mask> -g p2pwall-watched
<http><ipset>-A p2pwall-out -p tcp -m set --match-set p2pwall-watch<6> src -g p2pwall-watched
<http>-A p2pwall-out -p tcp <longtcp>
<http>-A p2pwall-out -p tcp -g p2pwall-tcp
<plain>-A p2pwall-out -p tcp -g p2pwall-decided
-A p2pwall-in -d <exempt> -g p2pwall-decided
<ipset><nomarks>-A p2pwall-in -m set --match-set p2pwall-cut<6> dst,src -j DROP
<ipset><nomarks>-A p2pwall-in -m set --match-set p2pwall-own<6> dst,dst -j DROP
<ipset><marks>-A p2pwall-in -m set --match-set p2pwall-cut<6> dst,src -g p2pwall-gone
<ipset><marks>-A p2pwall-in -m set --match-set p2pwall-own<6> dst,dst -g p2pwall-gone
<ipset>-A p2pwall-in -m connmark --mark <sample>/<mask> -j DROP
-A p2pwall-in -m conntrack --ctstatus SEEN_REPLY -g p2pwall-heard
<unlisted>-A p2pwall-heard -p udp -m udp --sport 53 <q>
<listedonly>-A p2pwall-heard -p udp -m udp --sport 53 -m mark --mark <watch>/<mask> <q>
<listedonly>-A p2pwall-heard -p udp -m udp --sport 53 -j RETURN
-A p2pwall-heard -m connmark --mark <decided>/<decided> -j RETURN
<nftsets>-A p2pwall-heard -m mark --mark <watch>/<mask> -g p2pwall-heard-watched
<ipset>-A p2pwall-heard -m set --match-set p2pwall-watch<6> dst -g p2pwall-heard-watched
-A p2pwall-heard -p udp -m connbytes --connbytes <udpmore>: --connbytes-mode packets --connbytes-dir reply -g p2pwall-decided
<http>-A p2pwall-heard -p tcp <longtcp>
<plain>-A p2pwall-heard -p tcp -g p2pwall-decided
<http><sets>-A p2pwall-heard-watched -p tcp -m tcp --tcp-flags SYN,RST NONE -m limit --limit <insecond>/sec --limit-burst <inburst> -g p2pwall-data
<ipset>-A p2pwall-syn -m set --match-set p2pwall-lock<6> src -g p2pwall-blocked
<quick>-A p2pwall-syn -m mark --mark <watch>/<mask> -j RETURN
-A p2pwall-syn <q>
<quick><names>-A p2pwall-udp -m connmark --mark <watch>/<mask> -j RETURN
<names>-A p2pwall-udp -p udp -m udp --dport 53 -m connbytes --connbytes <udpmore>: --connbytes-mode packets --connbytes-dir original -j RETURN
<look><nftsets>-A p2pwall-udp -m mark --mark <watch>/<mask> <q>
<look><nftsets>-A p2pwall-udp -m connbytes --connbytes <udpmore>: --connbytes-mode packets --connbytes-dir original -j RETURN
<counts>-A p2pwall-udp -m connbytes --connbytes <udpmore>: --connbytes-mode packets --connbytes-dir original -g p2pwall-decided
<look><ipset>-A p2pwall-udp -m set --match-set p2pwall-watch<6> src <q>
-A p2pwall-udp -m length --length 0:<udplength> <q>
<look>-A p2pwall-udp -m connbytes --connbytes 1:1 --connbytes-mode packets --connbytes-dir original <q>
<http>-A p2pwall-tcp -p tcp -m tcp ! --tcp-flags SYN,RST NONE -j RETURN
<http>-A p2pwall-tcp -m conntrack --ctdir ORIGINAL -m connbytes --connbytes 1:<tcp> --connbytes-mode packets --connbytes-dir original -g p2pwall-data
<http>-A p2pwall-tcp -m conntrack --ctdir REPLY -m connbytes --connbytes 1:<tcp> --connbytes-mode packets --connbytes-dir reply -g p2pwall-data
<http>-A p2pwall-data -p tcp -m tcp --tcp-flags PSH PSH <q>
<http>-A p2pwall-data -m length --length <data>:65535 <q>
<http><sets>-A p2pwall-watched -p tcp -m tcp --tcp-flags RST NONE -m conntrack --ctstate INVALID <q>
<http><sets>-A p2pwall-watched -p tcp -m tcp --tcp-flags SYN,RST SYN <q>
<http><sets>-A p2pwall-watched -p tcp -m tcp --tcp-flags SYN,RST NONE -g p2pwall-data
-A p2pwall-decided -j CONNMARK --set-xmark <decided>/<mask>
<ipset><marks>-A p2pwall-blocked -m set --match-set p2pwall-mark<6> src -g p2pwall-marked
<ipset><marks>-A p2pwall-marked -m set --match-set p2pwall-seen<6> src -g p2pwall-mark
<ipset><marks>-A p2pwall-marked -j CONNMARK --set-xmark <markvalue>/<markmask>
<ipset><marks>-A p2pwall-marked -j SET --add-set p2pwall-seen<6> src --exist --timeout <seconds>
<ipset><marks>-A p2pwall-marked <q>
<ipset><marks>-A p2pwall-gone -m set --match-set p2pwall-mark<6> dst -g p2pwall-mark
<ipset><marks>-A p2pwall-gone -j DROP
<marks>-A p2pwall-mark -j CONNMARK --set-xmark <markvalue>/<markmask>
<marks>-A p2pwall-mark -g p2pwall-slow
<hasdscp>-A p2pwall-slow -j DSCP --set-dscp <dscp>
<ipsetrefuse>-A p2pwall-blocked -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m limit --limit <refusals>/sec --limit-burst <refusals> -g p2pwall-sample
<ipsettalk>-A p2pwall-blocked -p udp -m length --length 0:<udplength> -g p2pwall-talk
<ipset>-A p2pwall-blocked -m set --match-set p2pwall-seen<6> src -j DROP
<ipset>-A p2pwall-blocked -j SET --add-set p2pwall-seen<6> src --exist --timeout <seconds>
<ipset>-A p2pwall-blocked -m set ! --match-set p2pwall-seen<6> src -j DROP
<ipset>-A p2pwall-blocked -g p2pwall-sample
<ipsettalk>-A p2pwall-talk -m set --match-set p2pwall-talk<6> src -j DROP
<ipsettalk>-A p2pwall-talk -j SET --add-set p2pwall-talk<6> src --exist --timeout 1
<ipsettalk>-A p2pwall-talk -m set ! --match-set p2pwall-talk<6> src -j DROP
<ipsettalk>-A p2pwall-talk -g p2pwall-sample
<sets>-A p2pwall-sample -j MARK --set-xmark <sample>/<mask>
<ipset>-A p2pwall-sample -m connbytes --connbytes 1:1 --connbytes-mode packets --connbytes-dir original -j CONNMARK --set-xmark <sample>/<mask>
<sets>-A p2pwall-sample <onesample>
<sets>-A p2pwall-sample -i <dev> -s <hostsample>
<queues>-A p2pwall-queue -i <dev> -s <hostqueue>
<queues>-A p2pwall-queue -d <hostqueue>
<probes>-A p2pwall-input -i <dev> -p udp -m udp --dport <port> <q>
<look>-A p2pwall-input -i <dev> -p udp -m udp --dport <natpmp> <q>
<look>-A p2pwall-input -i <dev> -p tcp -m tcp --dport <upnp> --tcp-flags PSH PSH <q>
-A p2pwall-input -i <dev> -d <group> <q>
<unlisted>-A p2pwall-output -o <dev> -p udp -m udp --sport 53 <q>
<listedonly>-A p2pwall-output -o <dev> -p udp -m udp --sport 53 -m mark --mark <watch>/<mask> <q>
<marks>-A p2pwall-post -m mark --mark <marked>/<mask> -g p2pwall-mark
-A p2pwall-post -m mark --mark <decided>/<mask> -g p2pwall-decided
<routeipt>-A p2pwall-pre -m connmark --mark <marked>/<mask> -j MARK --set-xmark <routevalue>/<routemask>
<routeipt>-A p2pwall-pre -m connmark --mark <decided>/<decided> -j RETURN
<route><ipset>-A p2pwall-pre -d <private> -j RETURN
<route><ipset>-A p2pwall-pre -m set ! --match-set p2pwall-mark<6> src -j RETURN
<route><ipset>-A p2pwall-pre -m set --match-set p2pwall-own<6> src,src -g p2pwall-route
<route><ipset>-A p2pwall-pre -m set --match-set p2pwall-own<6> dst,dst -g p2pwall-route
<route><ipset>-A p2pwall-pre -m set --match-set p2pwall-cut<6> src,dst -g p2pwall-route
<route><ipset>-A p2pwall-pre -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m set --match-set p2pwall-lock<6> src -g p2pwall-route
<route><ipset>-A p2pwall-route -j MARK --set-xmark <routevalue>/<routemask>
-A FORWARD -j p2pwall
-A INPUT -j p2pwall-input
<routeipt>-A PREROUTING -i <dev> -j p2pwall-pre
-A POSTROUTING -m mark --mark <decided>/<decided> -j p2pwall-post
<names>-A OUTPUT -j p2pwall-output
COMMIT
`

// rawText is the part of the raw table: the kernel does not track packets that the daemon
// sends into the LAN in a peer's name.
const rawText = `*raw
:p2pwall - [0:0]
-A p2pwall -o <dev> -j CT --notrack
-A OUTPUT -m mark --mark <own>/<mask> -j p2pwall
COMMIT
`

// ipsetText creates the sets. Their sizes are constants: all clients times all their peers.
// ipset does not take over an existing set of another size.
const ipsetText = `create p2pwall-cut4 hash:net,net family inet maxelem 262144 timeout 0
create p2pwall-cut6 hash:net,net family inet6 maxelem 262144 timeout 0
create p2pwall-lock4 hash:ip family inet maxelem 262144 timeout 0
create p2pwall-lock6 hash:ip family inet6 maxelem 262144 timeout 0
create p2pwall-own4 hash:ip,port family inet maxelem 262144 timeout 0
create p2pwall-own6 hash:ip,port family inet6 maxelem 262144 timeout 0
create p2pwall-watch4 hash:ip family inet maxelem 262144 timeout 0
create p2pwall-watch6 hash:ip family inet6 maxelem 262144 timeout 0
create p2pwall-mark4 hash:ip family inet maxelem 262144 timeout 0
create p2pwall-mark6 hash:ip family inet6 maxelem 262144 timeout 0
create p2pwall-seen4 hash:ip family inet maxelem 1024 timeout 0
create p2pwall-seen6 hash:ip family inet6 maxelem 1024 timeout 0
create p2pwall-talk4 hash:ip family inet maxelem 1024 timeout 0
create p2pwall-talk6 hash:ip family inet6 maxelem 1024 timeout 0
`

// iptables writes the rules for both families.
func (v values) iptables(c *config.Config) Rules {
	return Rules{
		Mangle4: v.family(c, "4", 20, tcpBare4, "0.0.0.", "15"),
		Mangle6: v.family(c, "6", 40, tcpBare6, "::", "f"),
		Raw:     v.expand(rawText),
	}
}

// family writes the part of the mangle table for IPv4 or IPv6. Low and mask are the address
// bits that spread the hosts over the queues.
func (v values) family(c *config.Config, digit string, header, bare int, low, mask string) string {
	v.set("6", digit)
	v["group"] = v["group"+digit]
	v["exempt"] = v["exempt"+digit]
	v["private"] = private[digit]
	v.number("udplength", header+8+udpPayload)
	v.number("data", bare+1)
	if c.Queues == 1 {
		v.set("q", nfqueue(int(c.Queue), c.FailOpen))
		v.set("onesample", nfqueue(int(c.Queue), false))
		return v.expand(mangleText)
	}
	v.set("q", "-g p2pwall-queue")
	// iptables cannot hash a single address.
	v["hostqueue"], v["hostsample"] = nil, nil
	base := 10
	if digit == "6" {
		base = 16
	}
	for i := range hostBuckets {
		host := low + strconv.FormatInt(int64(i), base) + "/" + low + mask + " "
		n := int(c.Queue) + i%c.Queues
		v.add("hostqueue", host+nfqueue(n, c.FailOpen))
		v.add("hostsample", host+nfqueue(n, false))
	}
	return v.expand(mangleText)
}

// private are networks that are not reached over another uplink.
var private = map[string][]string{
	"4": {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "224.0.0.0/3"},
	"6": {"fc00::/7", "fe80::/10", "ff00::/8"},
}

// hostBuckets is the number of values of the low address bits.
const hostBuckets = 16

// nfqueue is the end of a rule that queues.
func nfqueue(n int, bypass bool) string {
	s := "-j NFQUEUE --queue-num " + strconv.Itoa(n)
	if bypass {
		s += " --queue-bypass"
	}
	return s
}
