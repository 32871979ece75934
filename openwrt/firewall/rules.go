// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
)

// Target is what the rules are written for. No value in it is "auto".
type Target struct {
	Backend config.Backend
	Sets    config.SetsKind
	Devices []string // the LAN
	// CutsFlows says that the daemon can delete connections from the connection table in
	// order to cut them later. Then the rules can let decided connections pass first.
	CutsFlows bool
}

// udpTo returns the part of a rule, after the address, that matches UDP to the port.
func (t Target) udpTo(port uint16) string {
	if t.Backend == config.BackendNFT {
		return " udp dport " + strconv.Itoa(int(port))
	}
	return " -p udp -m udp --dport " + strconv.Itoa(int(port))
}

// Repeats reports whether the rules expect that a verdict with a mark sends the packet
// through them again (nfq.Queue.SetRepeat). Only the nft chain is ours alone: in the chains of
// iptables the packet would meet the rules of others twice. Decided connections must also
// pass first. Else a packet whose mark another program restored would skip the sets.
func (t Target) Repeats() bool { return t.Backend == config.BackendNFT && t.CutsFlows }

// Rules are the rules of the wall, one text for each program that loads them. All are empty
// if the daemon looks for no protocol.
type Rules struct {
	NFT     string // nft -f -
	IPSet   string // ipset -exist restore
	Mangle4 string // iptables-restore --noflush
	Mangle6 string // ip6tables-restore --noflush
	Raw     string // for both programs; the wall works without it
	Hold    string // nft -f -, only while fw4's table has a flow table
}

// Names of our objects in the kernel.
const (
	TableName = "p2pwall"
	// chainName is the iptables chain; the further ones are chainName-SOMETHING.
	chainName = "p2pwall"
	// HoldComment marks the rules put into fw4's chain, to find them again.
	HoldComment = "p2pwall: undecided, not offloaded yet"
)

// Limits on the packets that the rules queue.
const (
	// udpPayload is the longest UDP payload that is queued, in bytes. FastTrack messages are
	// shorter. Packets of streams and downloads are longer.
	udpPayload = 160
	// udpPackets is the number of packets of a UDP flow that are queued, counted in the
	// direction of its first packet. A longer flow is no search for peers.
	udpPackets = 20
	// tcpPackets is the same for each direction of a TCP connection. It is enough for the
	// handshake and the first 4 KiB, even in small segments and with some retransmissions.
	tcpPackets = 24
	// inPackets is how many packets a second are queued of what comes to watched hosts in
	// connections that are not decided, all hosts together. inBurst is how many more may
	// be queued at once.
	inPackets = 500
	inBurst   = 250
	// refusals is how many connections a second the daemon refuses where the kernel cannot
	// do it: iptables can only in the table of the firewall.
	refusals = 50
	// maxTCP is the longest TCP header.
	maxTCP = 60
	// quicInitial is the length of a client's first QUIC packet, at least.
	quicInitial = 1200
	// hashSeed is the same in all rules, so that all hash a host to the same queue.
	hashSeed = "0x70327077"
)

// Lengths of an IP packet without TCP data: IP header, TCP header and its time stamps. Longer
// packets have data. So do shorter packets with PSH.
const (
	tcpBare4 = 20 + 20 + 12
	tcpBare6 = 40 + 20 + 12
)

// MakeRules writes the rules for a configuration. It fails if there is no LAN device, or if
// the name of one cannot be written in a rule.
func MakeRules(c *config.Config, t Target) (Rules, error) {
	if len(t.Devices) == 0 {
		return Rules{}, errors.New("no LAN device is known: name one with \"list device\", or a UCI network with \"list network\"")
	}
	for _, d := range t.Devices {
		if err := config.CheckDevice(d); err != nil {
			return Rules{}, err
		}
	}
	if !c.Active() {
		return Rules{}, nil
	}
	v := ruleValues(c, t)
	switch string(t.Backend) + " " + string(t.Sets) {
	case "nft nft":
		return Rules{NFT: v.expand(nftSets + nftRules + nftRoute + nftBlocked + nftQueues), Hold: v.expand(nftHold)}, nil
	case "nft off":
		return Rules{NFT: v.expand(nftNoSets + nftRules + nftRoute + nftQueues), Hold: v.expand(nftHold)}, nil
	case "iptables nft":
		nft := v.expand(nftSets + nftDrops + nftRoute + nftBlocked + "}\n")
		// This replaces some values by those for iptables.
		r := v.iptables(c)
		r.NFT = nft
		return r, nil
	case "iptables ipset":
		r := v.iptables(c)
		r.IPSet = v.expand(ipsetText)
		return r, nil
	case "iptables off":
		return v.iptables(c), nil
	}
	return Rules{}, errors.New("there are no rules for the backend " + string(t.Backend) + " with sets " + string(t.Sets))
}

// String returns all texts, each below a comment line with the command that loads it.
func (r Rules) String() string {
	var b strings.Builder
	for _, x := range []struct{ how, text string }{
		{"ipset -exist restore", r.IPSet},
		{"nft -f -", r.NFT},
		{"iptables-restore --noflush", r.Mangle4},
		{"ip6tables-restore --noflush", r.Mangle6},
		{"iptables-restore --noflush; ip6tables-restore --noflush", r.Raw},
		{"nft -f - (only while fw4 has a flow table)", r.Hold},
	} {
		if x.text == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("# " + x.how + "\n" + x.text)
	}
	if b.Len() == 0 {
		return "# every protocol is off: no rules\n"
	}
	return b.String()
}

// values fill in the texts of the rules. A line of a text is written once for each value of
// the <name> in it. If the name has no value, the line is left out. So a name can be a
// choice, a list or a condition.
type values map[string][]string

// set gives a name one value.
//
//go:noinline
func (v values) set(name, value string) { v[name] = []string{value} }

// number gives a name one number as its value.
//
//go:noinline
func (v values) number(name string, n int) { v.set(name, strconv.Itoa(n)) }

// add gives a name one more value.
//
//go:noinline
func (v values) add(name, value string) { v[name] = append(v[name], value) }

// when makes a name a condition.
//
//go:noinline
func (v values) when(name string, is bool) {
	if is {
		v.set(name, "")
	}
}

// expand fills in a text.
func (v values) expand(text string) string {
	var b strings.Builder
	for _, line := range strings.SplitAfter(text, "\n") {
		v.line(&b, line)
	}
	return b.String()
}

// line writes one line with its names filled in. A name has small letters and digits only, so
// that a comparison is not mistaken for a name.
func (v values) line(b *strings.Builder, line string) {
	start := -1
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '<':
			start = i
		case c == '>' && start >= 0:
			for _, x := range v[line[start+1:i]] {
				v.line(b, line[:start]+x+line[i+1:])
			}
			return
		case c < '0' || c > '9' && c < 'a' || c > 'z':
			start = -1
		}
	}
	b.WriteString(line)
}

// ruleValues returns the values that both backends use.
func ruleValues(c *config.Config, t Target) values {
	every := sampleEvery(c.TimeLock)
	v := values{"dev": t.Devices}
	v.marks(c, t)
	v.number("udp", udpPackets)
	v.number("udpmore", udpPackets+1)
	v.number("tcp", tcpPackets)
	v.number("tcpmore", tcpPackets+1)
	v.number("insecond", inPackets)
	v.number("inburst", inBurst)
	v.set("longtcp", "-m tcp --tcp-flags SYN,RST NONE -m connbytes --connbytes <tcpmore>: --connbytes-mode packets --connbytes-dir original "+
		"-m connbytes --connbytes <tcpmore>: --connbytes-mode packets --connbytes-dir reply -g p2pwall-decided")
	v.set("every", nftTime(every))
	v.number("seconds", int(max(every, time.Second)/time.Second))
	v.set("talkevery", nftTime(talkEvery))
	v.when("talk", c.Answers())
	v.when("ipsettalk", c.Answers() && t.Sets == config.SetsIPSet)
	v.action(c, t)
	v.when("fast", t.CutsFlows)
	v.when("repeat", t.Repeats())
	v.when("after", !t.Repeats())
	v.when("http", c.ReadsTCP())
	v.when("plain", !c.ReadsTCP())
	v.when("sets", t.Sets != config.SetsOff)
	v.when("nftsets", t.Sets == config.SetsNFT)
	v.when("ipset", t.Sets == config.SetsIPSet)
	v.when("queues", c.Queues > 1)
	v.when("hold", c.Offload == config.OffloadHold)
	v.number("port", detect.ProbePort)
	looks := c.Sifts()
	quick := c.ReadsTCP() && t.Sets == config.SetsNFT
	v.when("quick", quick)
	v.when("decides", quick || looks)
	v.when("probes", c.Probes())
	v.when("look", looks)
	v.number("natpmp", detect.NATPMPPort)
	v.number("upnp", detect.UPnPPort)
	groups := c.Groups()
	v.when("groups", len(groups) > 0)
	v.when("input", c.Probes() || looks || len(groups) > 0)
	for _, g := range groups {
		family := "4"
		if strings.Contains(g.Addr, ":") {
			family = "6"
		}
		v.add("group"+family, g.Addr+t.udpTo(g.Port))
	}
	v.when("names", c.ReadsNames())
	listed := c.ReadsNames() && (t.Backend == config.BackendNFT || t.Sets == config.SetsNFT) && v.answers(c)
	v.when("listedonly", listed)
	v.when("unlisted", c.ReadsNames() && !listed)
	v.when("counts", !looks || t.Sets != config.SetsNFT)
	v.exempt(&c.Exempt)
	v.nft(c, t)
	return v
}

// action sets what becomes of a packet that is cut.
func (v values) action(c *config.Config, t Target) {
	refuses := c.Action != config.ActionDrop
	v.when("refuse", refuses)
	v.when("ipsetrefuse", refuses && t.Sets == config.SetsIPSet)
	v.number("refusals", refusals)
	v.set("gone", "gone")
	if refuses {
		v.set("gone", "refused")
	}
	v.set("refusal", "icmpx type admin-prohibited")
	if c.Action == config.ActionReset {
		v.set("refusal", "tcp reset")
	}
}

// marks are the values of packet marks and connection marks.
func (v values) marks(c *config.Config, t Target) {
	m := c.Marks()
	v.set("mask", nfq.FormatMark(m.Mask))
	v.set("others", nfq.FormatMark(^m.Mask))
	v.set("decided", nfq.FormatMark(m.Decided))
	v.set("own", nfq.FormatMark(m.Own))
	v.set("sample", nfq.FormatMark(m.Sample))
	v.set("watch", nfq.FormatMark(m.Watch))
	v.set("marked", nfq.FormatMark(m.Marked))
	marks := c.AnyIn(config.ModeMark)
	v.when("marks", marks)
	v.when("nomarks", !marks)
	v.set("markvalue", nfq.FormatMark(m.Marked|m.Conn))
	v.set("markmask", nfq.FormatMark(m.Mask|m.ConnMask))
	v.set("markothers", nfq.FormatMark(^(m.Mask | m.ConnMask)))
	v.when("route", marks && m.ConnMask != 0)
	v.when("routeipt", marks && m.ConnMask != 0 && t.Sets != config.SetsNFT)
	v.set("routevalue", nfq.FormatMark(m.Conn))
	v.set("routemask", nfq.FormatMark(m.ConnMask))
	v.set("routeothers", nfq.FormatMark(^m.ConnMask))
	if marks && c.MarkDSCP != config.NoDSCP {
		v.when("hasdscp", true)
		v.number("dscp", c.MarkDSCP)
	}
}

// exempt are the hosts that are not watched.
func (v values) exempt(x *config.ExemptList) {
	for _, m := range x.MACs {
		v.add("mac", m.String())
	}
	for _, p := range x.Prefixes {
		name, text := "exempt4", p.String()
		if p.Addr().Is6() {
			name = "exempt6"
		}
		if p.IsSingleIP() {
			text = p.Addr().String()
		}
		v.add(name, text)
	}
}

// talkEvery is how often small UDP of one blocked host goes to the queue, so that the daemon
// can answer it. ipset counts in seconds.
const talkEvery = 100 * time.Millisecond

// metEvery is how often a host's SYN to a well-known service goes to the queue.
const metEvery = time.Minute

// sampleEvery is how often a packet of one blocked host goes to the queue. It is several
// times within a lock time, so that the daemon knows that the lock is still needed. It is
// rare compared to the packets of a busy client.
func sampleEvery(lock time.Duration) time.Duration {
	const longest = 10 * time.Second
	d := lock / 16
	if d == 0 || d > longest {
		return longest
	}
	if d >= time.Second {
		d = d.Truncate(time.Second)
	}
	return d
}
