// SPDX-License-Identifier: GPL-2.0-or-later

package openwrt

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
)

// Target is what rules are written for; nothing in it is "auto".
type Target struct {
	Backend Backend
	Sets    SetsKind
	Devices []string // the LAN
}

// Rules are the texts that together are the wall's rules, each for the program
// that loads it. All are empty when no protocol is looked for.
type Rules struct {
	NFT     string // nft -f -
	IPSet   string // ipset -exist restore
	Mangle4 string // iptables-restore --noflush
	Mangle6 string // ip6tables-restore --noflush
	Raw     string // both of them; the wall works without it
	Hold    string // nft -f -, only while fw4's table has a flow table
}

// Names under which the rules stand in the kernel.
const (
	tableName = "p2pwall"
	// chainName is the iptables chain; the further ones are chainName-SOMETHING.
	chainName = "p2pwall"
	// holdComment marks the rules put into fw4's chain, to find them again.
	holdComment = "p2pwall: undecided, not offloaded yet"
)

// MarkSample is the packet mark of those few blocked packets that go to the queue
// all the same, to keep the locks true. What carries it is dropped later in any
// case, whatever the verdict: not even a full queue that fails open lets it pass.
const MarkSample = 0x04000000

// The bounds within which a packet can matter.
const (
	// udpPayload is the longest UDP payload looked at: a FastTrack message is
	// shorter, what streams and downloads are made of is longer.
	udpPayload = 160
	// udpPackets is how many packets of a UDP flow are looked at, counted from
	// its opener: whatever goes on longer is no search for peers.
	udpPackets = 20
	// tcpPackets is the same for each direction of a TCP connection: enough for
	// the handshake and the first 4 KiB in segments of 1,400 bytes.
	tcpPackets = 8
	// maxSetElements is all clients times all their peers.
	maxSetElements = 1024 * 256
	// hashSeed makes every rule that hashes a host come to the same queue.
	hashSeed = 0x70327077
)

// Lengths of an IP packet that carries no TCP data: header, TCP header and its
// time stamps. What is longer has data; what is not, but pushes, has too.
const (
	tcpBare4 = 20 + 20 + 12
	tcpBare6 = 40 + 20 + 12
)

// MakeRules writes the rules for a configuration. It fails when there is no LAN
// device, or one whose name cannot be written in a rule.
func MakeRules(c *Config, t Target) (Rules, error) {
	if len(t.Devices) == 0 {
		return Rules{}, fmt.Errorf("no LAN device is known: name one with \"list device\", or a UCI network with \"list network\"")
	}
	for _, d := range t.Devices {
		if !validDevice(d) {
			return Rules{}, fmt.Errorf("bad device name %s: %s", quote(d), deviceRemedy)
		}
	}
	if !c.Active() {
		return Rules{}, nil
	}
	w := writer{c: c, t: t}
	var r Rules
	switch t.Backend {
	case BackendNFT:
		if t.Sets == SetsIPSet || t.Sets == SetsAuto {
			return Rules{}, fmt.Errorf("sets %q do not go with the nft backend: use nft or off", t.Sets)
		}
		r.NFT = w.nft()
		if c.Offload == OffloadHold {
			r.Hold = w.hold()
		}
	case BackendIPTables:
		switch t.Sets {
		case SetsNFT:
			r.NFT = w.nftSetsOnly()
		case SetsIPSet:
			r.IPSet = w.ipset()
		case SetsOff:
		default:
			return Rules{}, fmt.Errorf("the kind of sets %q is not resolved", t.Sets)
		}
		r.Mangle4, r.Mangle6 = w.mangle(v4), w.mangle(v6)
		r.Raw = w.raw()
	default:
		return Rules{}, fmt.Errorf("the backend %q is not resolved", t.Backend)
	}
	return r, nil
}

// String returns all texts, each under a line that says how it is loaded.
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

// writer writes the texts.
type writer struct {
	c *Config
	t Target
	b strings.Builder
}

// line writes one line, indented by the tabs of its format.
func (w *writer) line(format string, args ...any) {
	fmt.Fprintf(&w.b, format, args...)
	w.b.WriteByte('\n')
}

// take returns what was written and begins anew.
func (w *writer) take() string {
	s := w.b.String()
	w.b.Reset()
	return s
}

// sets reports whether the kernel keeps sets.
func (w *writer) sets() bool { return w.t.Sets != SetsOff }

// probePorts returns the UDP ports of the router that answers to probes go to.
func (w *writer) probePorts() []int {
	var ports []int
	for _, p := range protocols {
		v := w.c.Protocols[p.name]
		if v.Mode != ModeOff && v.Probe && p.probePort != 0 {
			ports = append(ports, p.probePort)
		}
	}
	sort.Ints(ports)
	return ports
}

// sampleEvery is how often one blocked host gets a packet to the queue: several
// times in a lock time, so that the lock is known to be still in need, and seldom
// against what a busy client sends.
func (w *writer) sampleEvery() time.Duration {
	const longest = 10 * time.Second
	d := w.c.TimeLock / 16
	if d == 0 || d > longest {
		return longest
	}
	if d >= time.Second {
		d = d.Truncate(time.Second)
	}
	return d
}

// exempt returns the exempt networks of one family, as texts.
func (w *writer) exempt(six bool) []string {
	var out []string
	for _, p := range w.c.Exempt.Prefixes {
		if p.Addr().Is6() != six {
			continue
		}
		if p.IsSingleIP() {
			out = append(out, p.Addr().String())
		} else {
			out = append(out, p.String())
		}
	}
	return out
}

// hex writes a mark as nft and iptables print it.
func hex(mark uint32) string { return fmt.Sprintf("0x%08x", mark) }

var decided, own, sample = hex(nfq.MarkDecided), hex(nfq.MarkOwn), hex(MarkSample)
