// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"errors"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/procd/events"
	"github.com/p2pwall/p2pwall/state"
)

// Result is what the replay of one capture showed. Its JSON form is the output
// of p2pwall-replay --json.
type Result struct {
	File    string `json:"file"`
	Packets int    `json:"packets"` // in the file
	// Accepted and Dropped together are the IP packets that a router would
	// forward between LAN and outside.
	Accepted int       `json:"accepted"`
	Dropped  int       `json:"dropped"`
	Sent     int       `json:"sent"` // packets that the wall would have sent
	Clients  []*Client `json:"clients"`
	Events   []Event   `json:"events"`
	// Hints say what may be the reason when no client was found.
	Hints []string `json:"hints,omitempty"`
	Error string   `json:"error,omitempty"` // why the rest could not be read
	// DroppedPackets are the numbers of the dropped packets in the file, from 1 on.
	DroppedPackets []int `json:"-"`

	first, last time.Time
}

// Client is a LAN host that was found to run a P2P client, or of which something
// was recognised by its own words.
type Client struct {
	Address  string `json:"address"`
	MAC      string `json:"mac"`
	Protocol string `json:"protocol"`
	// Proof is how it was proved ("answer", "conduct"), or "" for a host that a
	// router would ask: in a capture nobody answers.
	Proof     string   `json:"proof"`
	FirstSeen string   `json:"first_seen"` // RFC 3339, UTC, nine digits of fraction
	Peers     []string `json:"peers"`      // in the order in which they were revealed
	Locks     int      `json:"locks"`
	Dropped   int      `json:"dropped"`

	// For people.
	Title, Reason, Peer string `json:"-"`

	known map[nfq.Addr]bool
}

// Event is one event of the engine, in the form of the control socket; only its
// time is written as first_seen is.
type Event struct {
	Seq      int    `json:"seq"`
	Time     string `json:"time"`
	Class    string `json:"class"`
	Event    string `json:"event"`
	Client   string `json:"client,omitempty"`
	MAC      string `json:"mac,omitempty"`
	Peer     string `json:"peer,omitempty"`
	Port     uint16 `json:"port,omitempty"`
	Protocol string `json:"protocol,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Text     string `json:"text"`
}

// Span is the time between the first and the last packet.
func (r *Result) Span() time.Duration { return r.last.Sub(r.first) }

const timeForm = "2006-01-02T15:04:05.000000000Z07:00"

// event is the engine's OnEvent.
func (r *run) event(ev *state.Event) {
	e := events.Entry{Seq: uint64(len(r.result.Events) + 1), Event: *ev}
	out := Event{
		Seq: int(e.Seq), Time: r.wall(ev.Time).Format(timeForm),
		Class: ev.Class.String(), Event: ev.What.String(),
		Client: ev.Client.String(), MAC: ev.MAC.String(), Peer: ev.Peer.String(),
		Port: ev.Port, Reason: ev.Reason.String(), Text: e.Text(),
	}
	if ev.Class <= state.ClassProbe {
		out.Protocol = e.ProtocolName()
	}
	r.result.Events = append(r.result.Events, out)
	switch {
	case ev.Class == state.ClassClient && ev.What == state.EventFound:
		r.found(ev)
	case ev.Class == state.ClassClient && ev.What == state.EventLocked:
		if c := r.client(ev.MAC, ev.Client); c != nil {
			c.Locks++
		}
	case ev.Class == state.ClassClient && ev.What == state.EventForgotten:
		r.peers(ev.Client)
	case ev.Class == state.ClassPeer && ev.What == state.EventFound:
		if c := r.client(ev.MAC, ev.Client); c != nil {
			c.peer(ev.Peer)
		}
	}
}

// finding is a host of which the engine recognised something.
type finding struct {
	addr      nfq.Addr
	mac       nfq.MAC
	protocol  *detect.Protocol
	reason    detect.Reason
	proof     string // "" while nothing is proved
	firstSeen state.Time
}

// findings asks the engine which hosts it knows something of. Hosts that it has only
// hints of are none.
func findings(e *state.Engine, now state.Time) []finding {
	var out []finding
	for _, c := range e.Clients(now) {
		out = append(out, finding{
			addr: c.Addr, mac: c.MAC, protocol: c.Protocol, reason: c.Reason, firstSeen: c.FirstSeen, proof: c.Proof.String(),
		})
	}
	for _, s := range e.Suspects(now) {
		if s.Recognised {
			out = append(out, finding{addr: s.Addr, mac: s.MAC, protocol: s.Protocol, reason: s.Reason, firstSeen: s.FirstSeen})
		}
	}
	return out
}

// collectClients enters what the engine has found until now.
func (r *run) collectClients() {
	for _, f := range findings(r.engine, r.clock) {
		c := r.enter(f)
		c.FirstSeen = min(c.FirstSeen, r.wall(f.firstSeen).Format(timeForm))
		if f.proof != "" {
			c.Proof = f.proof
		}
	}
}

// found is for the event that a client was found; it tells to whom it spoke.
func (r *run) found(ev *state.Event) {
	c := r.enter(finding{
		addr: ev.Client, mac: ev.MAC, protocol: detect.All[ev.Protocol], reason: ev.Reason, firstSeen: ev.Time,
	})
	if c.Peer == "" {
		c.Peer = ev.Peer.String()
	}
}

// enter returns the client that the finding is about. It may have been forgotten by
// the engine meanwhile, or be new.
func (r *run) enter(f finding) *Client {
	if c := r.client(f.mac, f.addr); c != nil {
		return c
	}
	c := &Client{
		Address: f.addr.String(), MAC: f.mac.String(), Protocol: f.protocol.Name, Proof: f.proof,
		FirstSeen: r.wall(f.firstSeen).Format(timeForm), Peers: []string{},
		Title: f.protocol.Title, Reason: f.reason.String(),
		known: map[nfq.Addr]bool{},
	}
	r.clients[lockOf(f.mac, f.addr)] = c
	r.at[f.addr] = c
	r.result.Clients = append(r.result.Clients, c)
	return c
}

// client returns the client with that MAC or address, or nil.
func (r *run) client(mac nfq.MAC, addr nfq.Addr) *Client {
	c := r.clients[lockOf(mac, addr)]
	switch {
	case c != nil:
		r.at[addr] = c // one more of its addresses, perhaps
	case mac.IsZero():
		c = r.at[addr]
	default:
		// Known by its address alone until now?
		if c = r.clients[lockKey{addr: addr}]; c != nil {
			r.clients[lockKey{mac: mac}] = c
			c.MAC = mac.String()
		}
	}
	return c
}

func (c *Client) peer(a nfq.Addr) {
	if !c.known[a] {
		c.known[a] = true
		c.Peers = append(c.Peers, a.String())
	}
}

// peers adds the peers that the engine holds: those of which no event told,
// because they were only suspected at first.
func (r *run) peers(client nfq.Addr) {
	c := r.at[client]
	if c == nil {
		return
	}
	list := r.engine.Peers(client)
	for i := len(list) - 1; i >= 0; i-- {
		c.peer(list[i].Addr)
	}
}

func (r *run) finish() {
	r.collectClients()
	if len(r.result.Clients) == 0 {
		r.result.Hints = r.hints.lines(r.result.Packets)
	}
	for _, c := range r.engine.Clients(r.clock) {
		r.peers(c.Addr)
	}
	if r.started {
		r.result.last = r.wall(r.clock)
	}
}

// sender counts what the wall would send; nothing is sent.
type sender Result

// UDP implements state.Sender.
func (s *sender) UDP(_ uint32, _, _ nfq.AddrPort, _ []byte) error { s.Sent++; return nil }

// Reset implements state.Sender.
func (s *sender) Reset(*nfq.Packet) error { s.Sent++; return nil }

// Answer implements state.Sender. Nobody in a capture would go on.
func (s *sender) Answer(*nfq.Packet, []byte) error {
	return errors.New("a capture answers nobody")
}

// Reject implements state.Sender.
func (s *sender) Reject(*nfq.Packet) error { s.Sent++; return nil }

// lockOf is under what a host is known: its MAC, or its address where that is zero.
func lockOf(mac nfq.MAC, addr nfq.Addr) lockKey {
	if mac.IsZero() {
		return lockKey{addr: addr}
	}
	return lockKey{mac: mac}
}
