// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/golden"
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// someHosts returns clients with every kind of proof, and suspects.
func someHosts() *hosts {
	ago := func(d time.Duration) state.Time { return engineNow.After(-d) }
	h := &hosts{now: engineNow}
	add := func(a string, p *detect.Protocol, proof state.Proof, r detect.Reason, program string) {
		h.clients = append(h.clients, state.ClientInfo{
			Addr: addr(a), Addrs: []nfq.Addr{addr(a)}, MAC: clientMAC, Protocol: p, Proof: proof, Reason: r, Program: program,
			FirstSeen: ago(time.Minute), LastSeen: ago(time.Second), Locked: program == "", LockRemaining: 90 * time.Second,
			Peers: 3, Locks: 2, Dropped: 7, DroppedTCP: 4, DroppedUDP: 3, LastProbe: ago(5 * time.Second), LastAnswer: ago(4 * time.Second),
		})
	}
	add("192.168.1.50", &detect.BitTorrent, state.ProofAnswer, detect.ReasonProbe, "qBittorrent 4.6.5")
	add("192.168.1.51", &detect.BitTorrent, state.ProofAnswer, detect.ReasonHello, "")
	add("192.168.1.52", &detect.BitTorrent, state.ProofConduct, detect.ReasonPing, "")
	add("192.168.1.53", &detect.BitTorrent, state.ProofConduct, detect.ReasonAnnounce, "")
	add("192.168.1.54", &detect.BitTorrent, state.ProofConduct, detect.ReasonTransfer, "")
	add("192.168.1.55", &detect.FastTrack, state.ProofConduct, detect.ReasonPing, "")
	add("192.168.1.56", &detect.FastTrack, state.ProofConduct, detect.ReasonTransfer, "")
	add("192.168.1.57", &detect.OpenNAP, state.ProofConduct, detect.ReasonHello, "nap v0.8")
	add("192.168.1.58", &detect.FastTrack, state.ProofConduct, detect.ReasonProbe, "")
	add("192.168.1.59", &detect.BitTorrent, state.ProofConduct, detect.ReasonPong, "")
	add("192.168.1.60", &detect.FastTrack, state.ProofConduct, detect.ReasonPush, "")
	add("192.168.1.62", &detect.BitTorrent, state.ProofConduct, detect.ReasonEncrypted, "")
	add("192.168.1.63", &detect.BitTorrent, state.ProofConduct, detect.ReasonFlow, "")
	add("192.168.1.64", &detect.BitTorrent, state.ProofAnswer, detect.ReasonHandshake, "")
	h.suspects = []state.SuspectInfo{
		{
			Addr: addr("2001:db8::5"), MAC: clientMAC, Reason: detect.ReasonEncrypted,
			FirstSeen: ago(time.Minute), LastSeen: ago(2 * time.Second), Asked: 4, LastAsked: ago(3 * time.Second),
		},
		{
			Addr: addr("192.168.1.61"), MAC: clientMAC, Protocol: &detect.BitTorrent, Reason: detect.ReasonAnnounce,
			FirstSeen: ago(time.Hour), LastSeen: ago(10 * time.Second), Dropped: 2,
		},
	}
	return h
}

func TestHosts(t *testing.T) {
	w := newWorld(t, 1)
	h := someHosts()
	var b strings.Builder
	h.statusText(&b)
	b.WriteByte('\n')
	h.clientsText(&b)
	b.WriteByte('\n')
	(&hosts{suspects: h.suspects[:1], now: h.now}).clientsText(&b)
	golden.Compare(t, "testdata/hosts.txt", b.String())

	var j jsonWriter
	j.open('[')
	w.client(&j, &h.clients[0], h.now, 120)
	w.suspect(&j, &h.suspects[0], h.now)
	w.suspect(&j, &h.suspects[1], h.now)
	j.close(']')
	golden.Compare(t, "testdata/hosts.json", indent(t, string(j.b)))
}

// TestEveryReasonHasWords: every reason for suspecting a host has a text of its own, and
// none has the text for unknown reasons.
func TestEveryReasonHasWords(t *testing.T) {
	seen := map[string]detect.Reason{}
	for r := detect.ReasonNone; r.String() != "unknown"; r++ {
		if r == detect.ReasonProbe || r == detect.ReasonHandshake {
			continue // an answer is proof, so the host is no suspect
		}
		words := whyText(r)
		if !strings.HasPrefix(words, "it ") {
			t.Errorf("%v: %q", r, words)
		}
		if other, ok := seen[words]; ok {
			t.Errorf("%v and %v: both %q", other, r, words)
		}
		seen[words] = r
	}
	if got := whyText(detect.Reason(200)); got != whyText(detect.ReasonNone) {
		t.Errorf("a reason that is not known: %q", got)
	}
}

// TestSuspectOfOneQueue: a suspect of one engine that is a client of another engine is
// shown as a client only.
func TestSuspectOfOneQueue(t *testing.T) {
	w := newWorld(t, 2)
	w.ping(0, "192.168.1.52", "203.0.113.9", false)
	w.ping(0, "192.168.1.53", "203.0.113.9", false)
	if h := w.hosts(); len(h.clients) != 0 || len(h.suspects) != 2 {
		t.Fatalf("%d clients and %d suspects", len(h.clients), len(h.suspects))
	}
	w.prove(1, "192.168.1.52")
	if h := w.hosts(); len(h.clients) != 1 || len(h.suspects) != 1 || h.suspects[0].Addr != addr("192.168.1.53") {
		t.Errorf("clients %v, suspects %v", h.clients, h.suspects)
	}
}
