// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"fmt"
	"strings"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// hosts is what all engines know of hosts at the engine time now.
type hosts struct {
	now      state.Time
	clients  []state.ClientInfo
	suspects []state.SuspectInfo
}

// hosts asks all engines. It leaves out a suspect of one engine that is a client of
// another engine: that host is proved already.
func (s *Service) hosts() (out hosts) {
	s.each(func(e *state.Engine, now state.Time) {
		out.now = now
		out.clients = append(out.clients, e.Clients(now)...)
		out.suspects = append(out.suspects, e.Suspects(now)...)
	})
	n := 0
	for i := range out.suspects {
		if x := &out.suspects[i]; !out.isClient(&x.Addr) {
			out.suspects[n] = *x
			n++
		}
	}
	out.suspects = out.suspects[:n]
	return out
}

func (h *hosts) isClient(a *nfq.Addr) bool {
	for i := range h.clients {
		for j := range h.clients[i].Addrs {
			if h.clients[i].Addrs[j] == *a {
				return true
			}
		}
	}
	return false
}

func (s *Service) clients(w *jsonWriter, _ *Request) error {
	lockTime := s.Info().TimeLock.Seconds()
	h := s.hosts()
	w.key("clients")
	w.open('[')
	for i := range h.clients {
		s.client(w, &h.clients[i], h.now, lockTime)
	}
	w.close(']')
	w.key("suspects")
	w.open('[')
	for i := range h.suspects {
		s.suspect(w, &h.suspects[i], h.now)
	}
	w.close(']')
	return nil
}

func (s *Service) client(w *jsonWriter, c *state.ClientInfo, now state.Time, lockTime float64) {
	w.open('{')
	w.str("address", c.Addr.String())
	w.key("addresses")
	w.open('[')
	for _, a := range c.Addrs {
		w.item(a.String())
	}
	w.close(']')
	w.str("mac", c.MAC.String())
	w.name(s.Name(c.Addr, c.MAC))
	w.str("protocol", c.Protocol.Name)
	w.str("title", c.Protocol.Title)
	w.str("proof", c.Proof.String())
	w.str("reason", c.Reason.String())
	if r, ok := s.Journal.FoundBy(c); ok {
		w.str("found_reason", r.String())
	}
	if c.Program != "" {
		w.str("program", c.Program)
	}
	w.tenths("first_seen", s.wall(c.FirstSeen, now))
	w.tenths("last_seen", s.wall(c.LastSeen, now))
	w.str("mode", c.Mode.String())
	w.str("policy", c.Policy)
	w.bool("locked", c.Locked)
	w.bool("strict", c.Strict)
	w.tenths("lock_remaining", c.LockRemaining.Seconds())
	w.tenths("lock_time", lockTime)
	w.num("peers", int64(c.Peers))
	w.num("locks", int64(c.Locks))
	w.num("dropped", int64(c.Dropped))
	w.num("dropped_tcp", int64(c.DroppedTCP))
	w.num("dropped_udp", int64(c.DroppedUDP))
	w.tenths("last_probe", s.wall(c.LastProbe, now))
	w.tenths("last_answer", s.wall(c.LastAnswer, now))
	w.close('}')
}

func (w *jsonWriter) name(name string) {
	if name != "" {
		w.str("name", name)
	}
}

func (s *Service) suspect(w *jsonWriter, x *state.SuspectInfo, now state.Time) {
	protocol := ""
	if x.Protocol != nil {
		protocol = x.Protocol.Name
	}
	w.open('{')
	w.str("address", x.Addr.String())
	w.str("mac", x.MAC.String())
	w.name(s.Name(x.Addr, x.MAC))
	w.str("protocol", protocol)
	w.str("reason", x.Reason.String())
	w.tenths("since", s.wall(x.FirstSeen, now))
	w.tenths("last_seen", s.wall(x.LastSeen, now))
	w.num("asked", int64(x.Asked))
	w.tenths("last_asked", s.wall(x.LastAsked, now))
	w.num("dropped", int64(x.Dropped))
	w.close('}')
}

func (s *Service) clientsText(b *strings.Builder, _ *Request) error {
	h := s.hosts()
	h.clientsText(b)
	return nil
}

func (h *hosts) clientsText(b *strings.Builder) {
	if len(h.clients) == 0 {
		b.WriteString("no client found\n")
	} else {
		fmt.Fprintf(b, "%-24s %-17s %-14s %-7s %-10s %6s %6s %8s %6s %-20s %s\n",
			"ADDRESS", "MAC", "PROTOCOL", "MODE", "LOCKED FOR", "PEERS", "LOCKS", "DROPPED", "SEEN", "PROGRAM", "PROOF")
	}
	for i := range h.clients {
		c := &h.clients[i]
		lock, program := "-", c.Program
		if c.Locked {
			lock = c.LockRemaining.Round(time.Second).String()
		}
		if program == "" {
			program = "-"
		}
		fmt.Fprintf(b, "%-24s %-17s %-14s %-7s %-10s %6d %6d %8d %6s %-20s %s\n", c.Addr, c.MAC, c.Protocol.Title,
			c.Mode, lock, c.Peers, c.Locks, c.Dropped, ago(c.LastSeen, h.now), program, proofText(c)+byPolicy(c))
	}
	if len(h.suspects) == 0 {
		return
	}
	fmt.Fprintf(b, "\nLooked at, nothing found:\n%-24s %-17s %-14s %6s %10s %8s %6s %s\n",
		"ADDRESS", "MAC", "PROTOCOL", "ASKED", "LAST ASKED", "DROPPED", "SEEN", "WHY")
	for i := range h.suspects {
		x := &h.suspects[i]
		protocol := "-"
		if x.Protocol != nil {
			protocol = x.Protocol.Title
		}
		fmt.Fprintf(b, "%-24s %-17s %-14s %6d %10s %8d %6s %s\n", x.Addr, x.MAC, protocol,
			x.Asked, ago(x.LastAsked, h.now), x.Dropped, ago(x.LastSeen, h.now), whyText(x.Reason))
	}
}

// byPolicy names the policy that decides about a client, if there is one.
func byPolicy(c *state.ClientInfo) string {
	if c.Policy == "" {
		return ""
	}
	return " (policy " + c.Policy + ")"
}

// statusText writes the summary of what clientsText lists.
func (h *hosts) statusText(b *strings.Builder) {
	locked, answered := 0, 0
	for i := range h.clients {
		if h.clients[i].Locked {
			locked++
		}
		if h.clients[i].Proof == state.ProofAnswer {
			answered++
		}
	}
	fmt.Fprintf(b, "clients  %d, %d locked", len(h.clients), locked)
	if n := len(h.clients); n > 0 {
		fmt.Fprintf(b, "; %d proved by an answer, %d by what they sent", answered, n-answered)
	}
	b.WriteByte('\n')
	if n := len(h.suspects); n > 0 {
		fmt.Fprintf(b, "suspects %d looked at, nothing found\n", n)
	}
}

// proofText says what proved a client. A client that its conduct proved may have answered
// a question since; then the answer counts.
func proofText(c *state.ClientInfo) string {
	if c.Reason == detect.ReasonHandshake {
		return "it went on with our key in an encrypted connection, as only " + c.Protocol.Title + " does"
	}
	if c.Proof == state.ProofAnswer || c.Reason == detect.ReasonProbe {
		return "it answered our question, as " + c.Protocol.Title + " does"
	}
	switch c.Reason {
	case detect.ReasonPing:
		return "it looked for peers at several addresses"
	case detect.ReasonPong:
		return "it answered several peers"
	case detect.ReasonHello:
		return "it opened sessions with several peers"
	case detect.ReasonPush:
		return "it offered files to several peers"
	case detect.ReasonEncrypted:
		return "it opened several encrypted connections as such a program does"
	case detect.ReasonAnnounce:
		return "it asked several trackers for peers"
	case detect.ReasonTransfer:
		return "it asked several addresses for files"
	}
	return "it did at several addresses what only such a program does"
}

func whyText(r detect.Reason) string {
	if int(r) < len(whyTexts) && whyTexts[r] != "" {
		return whyTexts[r]
	}
	return "it did something that such programs do as well"
}

var whyTexts = [...]string{
	detect.ReasonPing:      "it sent what looks like a question to a peer",
	detect.ReasonPong:      "it sent what looks like an answer to a peer",
	detect.ReasonPeer:      "it went to an address where a peer was known",
	detect.ReasonHello:     "it opened what looks like a session with a peer",
	detect.ReasonTransfer:  "it asked for a file as such a program does",
	detect.ReasonPush:      "it used a connection from outside as for a transfer",
	detect.ReasonAnnounce:  "it sent what looks like a question to a tracker",
	detect.ReasonLocal:     "it looked for others in the network",
	detect.ReasonMapping:   "it had the router open a port",
	detect.ReasonMany:      "it spoke to many addresses from one port, and nothing is known of what it said",
	detect.ReasonEncrypted: "it opened connections that look like nothing known",
	detect.ReasonName:      "it asked for a name that such programs look up",
	detect.ReasonFlow:      "it had what looks like a transfer going on",
}
