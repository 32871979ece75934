// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"strconv"

	"github.com/p2pwall/p2pwall/openwrt/config"
)

// mangleText is the mangle table's part. With --noflush a chain that is declared is
// emptied, all else stays, and COMMIT puts the whole in place at once. The jumps
// from built-in chains are appended, not inserted: an accept from the queue skips
// the rest of its table, and among what would be skipped is the MSS clamping that
// every PPPoE line needs. What every packet meets is the first rule of p2pwall and
// the condition for p2pwall-post. Only the latter can stand in the jump itself: a
// connection's mark is never unequal where packets are not tracked. That chain drops
// nothing: what the router itself sends comes by there, too. A sampled packet that a
// full queue lets pass goes out, and what answers it is dropped.
//
// The chain p2pwall-heard is for connections in which the LAN side has spoken. The rest
// anybody outside can make, and the firewall may drop it: it is never decided.
//
// With nft sets the nft table has dropped what is blocked before, and decided about UDP
// that goes on longer than it is looked at, but for a watched host's. The chain
// p2pwall-blocked looks twice, because a full set takes no more.
const mangleText = `*mangle
:p2pwall - [0:0]
:p2pwall-out - [0:0]
:p2pwall-in - [0:0]
:p2pwall-heard - [0:0]
:p2pwall-syn - [0:0]
:p2pwall-udp - [0:0]
:p2pwall-decided - [0:0]
:p2pwall-input - [0:0]
:p2pwall-post - [0:0]
<http>:p2pwall-tcp - [0:0]
<http>:p2pwall-data - [0:0]
<names>:p2pwall-output - [0:0]
<http><sets>:p2pwall-watched - [0:0]
<ipset>:p2pwall-blocked - [0:0]
<ipsettalk>:p2pwall-talk - [0:0]
<sets>:p2pwall-sample - [0:0]
<queues>:p2pwall-queue - [0:0]
<fast>-A p2pwall -m connmark --mark <decided>/<decided> -j RETURN
-A p2pwall -i <dev> -g p2pwall-out
-A p2pwall -o <dev> -g p2pwall-in
-A p2pwall-out -o <dev> -j RETURN
-A p2pwall-out -s <exempt> -g p2pwall-decided
-A p2pwall-out -m mac --mac-source <mac> -g p2pwall-decided
<ipset>-A p2pwall-out -m set --match-set p2pwall-cut<6> src,dst -g p2pwall-blocked
<ipset>-A p2pwall-out -m set --match-set p2pwall-own<6> src,src -g p2pwall-blocked
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
<ipset>-A p2pwall-in -m set --match-set p2pwall-cut<6> dst,src -j DROP
<ipset>-A p2pwall-in -m set --match-set p2pwall-own<6> dst,dst -j DROP
<ipset>-A p2pwall-in -m connmark --mark <sample>/<mask> -j DROP
-A p2pwall-in -m conntrack --ctstatus SEEN_REPLY -g p2pwall-heard
<names>-A p2pwall-heard -p udp -m udp --sport 53 <q>
-A p2pwall-heard -m connmark --mark <decided>/<decided> -j RETURN
<nftsets>-A p2pwall-heard -m mark --mark <watch>/<mask> -j RETURN
<ipset>-A p2pwall-heard -m set --match-set p2pwall-watch<6> dst -j RETURN
-A p2pwall-heard -p udp -m connbytes --connbytes <udpmore>: --connbytes-mode packets --connbytes-dir reply -g p2pwall-decided
<http>-A p2pwall-heard -p tcp <longtcp>
<plain>-A p2pwall-heard -p tcp -g p2pwall-decided
<ipset>-A p2pwall-syn -m set --match-set p2pwall-lock<6> src -g p2pwall-blocked
-A p2pwall-syn <q>
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
<ipsetrefuse>-A p2pwall-blocked -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -g p2pwall-sample
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
<look>-A p2pwall-input -i <dev> -p udp -m udp --dport 5351 <q>
<look>-A p2pwall-input -i <dev> -p tcp -m tcp --dport 5000 --tcp-flags PSH PSH <q>
<look>-A p2pwall-input -i <dev> -d <group> -p udp -m udp --dport 6771 <q>
<names>-A p2pwall-output -o <dev> -p udp -m udp --sport 53 <q>
-A p2pwall-post -m mark --mark <decided>/<mask> -g p2pwall-decided
-A FORWARD -j p2pwall
-A INPUT -j p2pwall-input
-A POSTROUTING -m mark --mark <decided>/<decided> -j p2pwall-post
<names>-A OUTPUT -j p2pwall-output
COMMIT
`

// rawText is the raw table's part: packets sent into the LAN in a peer's name leave no
// trace in the connection table.
const rawText = `*raw
:p2pwall - [0:0]
-A p2pwall -o <dev> -j CT --notrack
-A OUTPUT -m mark --mark <own>/<mask> -j p2pwall
COMMIT
`

// ipsetText are the sets. Their sizes are constants, all clients times all their
// peers: a set that is there with another size could not be taken over.
const ipsetText = `create p2pwall-cut4 hash:net,net family inet maxelem 262144 timeout 0
create p2pwall-cut6 hash:net,net family inet6 maxelem 262144 timeout 0
create p2pwall-lock4 hash:ip family inet maxelem 262144 timeout 0
create p2pwall-lock6 hash:ip family inet6 maxelem 262144 timeout 0
create p2pwall-own4 hash:ip,port family inet maxelem 262144 timeout 0
create p2pwall-own6 hash:ip,port family inet6 maxelem 262144 timeout 0
create p2pwall-watch4 hash:ip family inet maxelem 262144 timeout 0
create p2pwall-watch6 hash:ip family inet6 maxelem 262144 timeout 0
create p2pwall-seen4 hash:ip family inet maxelem 1024 timeout 0
create p2pwall-seen6 hash:ip family inet6 maxelem 1024 timeout 0
create p2pwall-talk4 hash:ip family inet maxelem 1024 timeout 0
create p2pwall-talk6 hash:ip family inet6 maxelem 1024 timeout 0
`

// iptables writes the texts for both families.
func (v values) iptables(c *config.Config) Rules {
	return Rules{
		Mangle4: v.family(c, "4", 20, tcpBare4, "0.0.0.", "15"),
		Mangle6: v.family(c, "6", 40, tcpBare6, "::", "f"),
		Raw:     v.expand(rawText),
	}
}

// family writes the mangle table's part for IPv4 or IPv6. Low and mask are the
// address bits that share the hosts out to the queues.
func (v values) family(c *config.Config, digit string, header, bare int, low, mask string) string {
	v.set("6", digit)
	v["group"] = v["group"+digit]
	v["exempt"] = v["exempt"+digit]
	v.number("udplength", header+8+udpPayload)
	v.number("data", bare+1)
	if c.Queues == 1 {
		v.set("q", nfqueue(int(c.Queue), c.FailOpen))
		v.set("onesample", nfqueue(int(c.Queue), false))
		return v.expand(mangleText)
	}
	v.set("q", "-g p2pwall-queue")
	// iptables has no hash of one address.
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

// hostBuckets is how many values the low bits have.
const hostBuckets = 16

// nfqueue is the end of a rule that queues.
func nfqueue(n int, bypass bool) string {
	s := "-j NFQUEUE --queue-num " + strconv.Itoa(n)
	if bypass {
		s += " --queue-bypass"
	}
	return s
}
