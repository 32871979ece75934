// SPDX-License-Identifier: GPL-2.0-or-later

package openwrt

import (
	"fmt"
	"strings"
	"time"
)

// family is what differs between iptables and ip6tables.
type family struct {
	six      bool
	digit    string // of the names of sets
	header   int    // length of the IP header
	tcpBare  int
	lowBits  string // mask of the address bits that share out hosts to queues
	lowValue string // format of an address with those bits
}

var (
	v4 = family{digit: "4", header: 20, tcpBare: tcpBare4, lowBits: "0.0.0.15", lowValue: "0.0.0.%d"}
	v6 = family{six: true, digit: "6", header: 40, tcpBare: tcpBare6, lowBits: "::f", lowValue: "::%x"}
)

// hostBuckets is how many values the low bits have.
const hostBuckets = 16

// mangleJumps are the built-in chains of mangle that jump to ours, with the rest
// of our chain's name. The jumps are appended, not inserted: an accept from the
// queue skips the rest of its table, and among what would be skipped is the MSS
// clamping that every PPPoE line needs.
var mangleJumps = [][2]string{{"FORWARD", ""}, {"INPUT", "-input"}, {"POSTROUTING", "-post"}}

// rawJumps are the same for raw.
var rawJumps = [][2]string{{"OUTPUT", ""}}

// mangle writes the mangle table's part. With --noflush a chain that is declared
// is emptied, all else stays, and COMMIT puts the whole in place at once.
func (w *writer) mangle(f family) string {
	chains := []string{"", "-out", "-in", "-syn", "-udp", "-decided", "-input", "-post"}
	if w.c.ReadsTCP() {
		chains = append(chains, "-tcp", "-data")
	}
	if w.t.Sets == SetsIPSet {
		chains = append(chains, "-blocked")
	}
	if w.sets() {
		chains = append(chains, "-sample")
	}
	if w.c.Queues > 1 {
		chains = append(chains, "-queue")
	}
	w.line("*mangle")
	for _, c := range chains {
		w.line(":%s%s - [0:0]", chainName, c)
	}
	for _, d := range w.t.Devices {
		w.add("", "-i %s -g %s-out", d, chainName)
	}
	for _, d := range w.t.Devices {
		w.add("", "-o %s -g %s-in", d, chainName)
	}
	w.outbound(f)
	w.inbound(f)
	if w.t.Sets == SetsIPSet {
		w.add("-syn", "-m set --match-set p2pwall-lockmac src -g %s-blocked", chainName)
		w.add("-syn", "-m set --match-set p2pwall-lock%s src -g %s-blocked", f.digit, chainName)
		w.blocked(f)
	}
	w.add("-syn", "%s", w.queue())
	w.add("-udp", "%s -g %s-decided", connbytes(fmt.Sprintf("%d:", udpPackets+1), "original"), chainName)
	w.add("-udp", "-m length --length 0:%d %s", f.header+8+udpPayload, w.queue())
	w.firstData(f)
	w.add("-decided", "-j CONNMARK --set-xmark %s/%s", decided, decided)
	if w.sets() {
		w.add("-sample", "-j MARK --set-xmark %s/%s", sample, sample)
		w.queues(f, "-sample", false)
	}
	if w.c.Queues > 1 {
		w.queues(f, "-queue", w.c.FailOpen)
	}
	for _, p := range w.probePorts() {
		for _, d := range w.t.Devices {
			w.add("-input", "-i %s -p udp -m udp --dport %d %s", d, p, w.queue())
		}
	}
	if w.t.Sets == SetsIPSet {
		w.add("-post", "-m mark --mark %s/%s -j DROP", sample, sample)
	}
	w.add("-post", "-m mark --mark %s/%s -g %s-decided", decided, decided, chainName)
	w.jumps(mangleJumps, "-A")
	w.line("COMMIT")
	return w.take()
}

// outbound writes the chain for packets from the LAN.
func (w *writer) outbound(f family) {
	for _, d := range w.t.Devices {
		w.add("-out", "-o %s -j RETURN", d)
	}
	for _, a := range w.exempt(f.six) {
		w.add("-out", "-s %s -g %s-decided", a, chainName)
	}
	for _, m := range w.c.Exempt.MACs {
		w.add("-out", "-m mac --mac-source %s -g %s-decided", strings.ToUpper(m.String()), chainName)
	}
	switch w.t.Sets {
	case SetsIPSet:
		w.add("-out", "-m set --match-set p2pwall-cut%s src,dst -g %s-blocked", f.digit, chainName)
	case SetsNFT:
		// The nft table has dropped the rest.
		w.add("-out", "-m mark --mark %s/%s -g %s-sample", sample, sample, chainName)
	}
	w.add("-out", "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -g %s-syn", chainName)
	w.add("-out", "-m connmark --mark %s/%s -j RETURN", decided, decided)
	w.add("-out", "-p udp -g %s-udp", chainName)
	w.add("-out", "-p tcp -g %s-%s", chainName, w.tcpChain())
}

// inbound writes the chain for packets to the LAN from elsewhere.
func (w *writer) inbound(f family) {
	for _, a := range w.exempt(f.six) {
		w.add("-in", "-d %s -g %s-decided", a, chainName)
	}
	if w.t.Sets == SetsIPSet {
		w.add("-in", "-m set --match-set p2pwall-cut%s dst,src -j DROP", f.digit)
	}
	w.add("-in", "-m connmark --mark %s/%s -j RETURN", decided, decided)
	w.add("-in", "-p udp %s -g %s-decided", connbytes(fmt.Sprintf("%d:", udpPackets+1), "reply"), chainName)
	w.add("-in", "-p tcp -g %s-%s", chainName, w.tcpChain())
}

// tcpChain is where TCP goes that opens no connection.
func (w *writer) tcpChain() string {
	if w.c.ReadsTCP() {
		return "tcp"
	}
	return "decided"
}

// firstData writes the chains for TCP that opens no connection.
func (w *writer) firstData(f family) {
	if !w.c.ReadsTCP() {
		return
	}
	more := fmt.Sprintf("%d:", tcpPackets+1)
	few := fmt.Sprintf("1:%d", tcpPackets)
	w.add("-tcp", "-p tcp -m tcp ! --tcp-flags SYN,RST NONE -j RETURN")
	w.add("-tcp", "%s %s -g %s-decided", connbytes(more, "original"), connbytes(more, "reply"), chainName)
	w.add("-tcp", "-m conntrack --ctdir ORIGINAL %s -g %s-data", connbytes(few, "original"), chainName)
	w.add("-tcp", "-m conntrack --ctdir REPLY %s -g %s-data", connbytes(few, "reply"), chainName)
	w.add("-data", "-p tcp -m tcp --tcp-flags PSH PSH %s", w.queue())
	w.add("-data", "-m length --length %d:65535 %s", f.tcpBare+1, w.queue())
}

// blocked writes the chain that drops what is cut or locked, but for one packet
// of each host in a while. It looks twice, because a full set takes no more.
func (w *writer) blocked(f family) {
	seen := "p2pwall-seen" + f.digit
	every := w.sampleEvery()
	if every < time.Second {
		every = time.Second
	}
	w.add("-blocked", "-m set --match-set %s src -j DROP", seen)
	w.add("-blocked", "-j SET --add-set %s src --exist --timeout %d", seen, int64(every/time.Second))
	w.add("-blocked", "-m set ! --match-set %s src -j DROP", seen)
	w.add("-blocked", "-g %s-sample", chainName)
}

// queue is the end of a rule that queues.
func (w *writer) queue() string {
	if w.c.Queues > 1 {
		return "-g " + chainName + "-queue"
	}
	return queueNum(int(w.c.Queue), w.c.FailOpen)
}

func queueNum(n int, bypass bool) string {
	s := fmt.Sprintf("-j NFQUEUE --queue-num %d", n)
	if bypass {
		s += " --queue-bypass"
	}
	return s
}

// queues writes the end of a chain that shares the hosts out to the queues, by
// the low bits of the LAN host's address: iptables has no hash of one address.
func (w *writer) queues(f family, chain string, bypass bool) {
	if w.c.Queues == 1 {
		w.add(chain, "%s", queueNum(int(w.c.Queue), bypass))
		return
	}
	for i := 0; i < hostBuckets; i++ {
		host := fmt.Sprintf(f.lowValue+"/%s", i, f.lowBits)
		to := queueNum(int(w.c.Queue)+i%w.c.Queues, bypass)
		for _, d := range w.t.Devices {
			w.add(chain, "-i %s -s %s %s", d, host, to)
		}
	}
	if chain == "-sample" {
		// Only what the LAN sends is sampled.
		return
	}
	for i := 0; i < hostBuckets; i++ {
		host := fmt.Sprintf(f.lowValue+"/%s", i, f.lowBits)
		w.add(chain, "-d %s %s", host, queueNum(int(w.c.Queue)+i%w.c.Queues, bypass))
	}
}

// raw writes the raw table's part: packets sent in a peer's name leave no trace in
// the connection table.
func (w *writer) raw() string {
	w.line("*raw")
	w.line(":%s - [0:0]", chainName)
	w.add("", "-m mark --mark %s/%s -j CT --notrack", own, own)
	w.jumps(rawJumps, "-A")
	w.line("COMMIT")
	return w.take()
}

// ipset writes the sets. The sizes are constants: a set that is there with
// another could not be taken over.
func (w *writer) ipset() string {
	for _, s := range [][2]string{
		{"cut4", "hash:net,net family inet"},
		{"cut6", "hash:net,net family inet6"},
		{"lockmac", "hash:mac"},
		{"lock4", "hash:ip family inet"},
		{"lock6", "hash:ip family inet6"},
	} {
		w.line("create p2pwall-%s %s maxelem %d timeout 0", s[0], s[1], maxSetElements)
	}
	w.line("create p2pwall-seen4 hash:ip family inet maxelem 1024 timeout 0")
	w.line("create p2pwall-seen6 hash:ip family inet6 maxelem 1024 timeout 0")
	return w.take()
}

// add writes one rule of one of our chains.
func (w *writer) add(chain, format string, args ...any) {
	w.line("-A "+chainName+chain+" "+format, args...)
}

// jumps writes the rules of built-in chains that go to ours.
func (w *writer) jumps(jumps [][2]string, how string) {
	for _, j := range jumps {
		w.line("%s %s -j %s%s", how, j[0], chainName, j[1])
	}
}

func connbytes(packets, dir string) string {
	return "-m connbytes --connbytes " + packets + " --connbytes-mode packets --connbytes-dir " + dir
}
