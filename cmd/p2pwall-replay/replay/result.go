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

// Result is the result of replaying one capture. Its JSON form is the output of
// p2pwall-replay --json.
type Result struct {
	File    string `json:"file"`
	Packets int    `json:"packets"` // packets in the file
	// Accepted and Dropped together are the IP packets that a router would
	// forward between LAN and outside.
	Accepted int       `json:"accepted"`
	Dropped  int       `json:"dropped"`
	Sent     int       `json:"sent"` // packets that p2pwall would have sent
	Clients  []*Client `json:"clients"`
	Events   []Event   `json:"events"`
	// Hints are possible reasons why no client was found.
	Hints []string `json:"hints,omitempty"`
	Error string   `json:"error,omitempty"` // why the rest of the file could not be read
	// DroppedPackets are the numbers of the dropped packets in the file, from 1 on.
	DroppedPackets []int `json:"-"`

	first, last time.Time
}

// Client is a LAN host that was proved to run a P2P client, or whose packets were
// recognised.
type Client struct {
	Address  string `json:"address"`
	MAC      string `json:"mac"`
	Protocol string `json:"protocol"`
	// Proof is how the client was proved ("answer", "conduct"). It is "" for a recognised
	// host, which a router would probe: in a capture nobody answers.
	Proof     string   `json:"proof"`
	FirstSeen string   `json:"first_seen"` // RFC 3339, UTC, nine digits of fraction
	Peers     []string `json:"peers"`      // in the order in which they were found
	Locks     int      `json:"locks"`
	Dropped   int      `json:"dropped"`

	// For the text form.
	Title, Reason, Peer string `json:"-"`

	known map[nfq.Addr]bool
}

// Event is an event of the engine in the form of the control socket. Only the form of its
// time differs: it is that of first_seen.
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

// Span returns the time between the first and the last packet.
func (r *Result) Span() time.Duration { return r.last.Sub(r.first) }

const timeForm = "2006-01-02T15:04:05.000000000Z07:00"

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

// finding is a host that the engine has proved or recognised.
type finding struct {
	addr      nfq.Addr
	mac       nfq.MAC
	protocol  *detect.Protocol
	reason    detect.Reason
	proof     string // "" while there is no proof
	firstSeen state.Time
}

// findings asks the engine for proved and recognised hosts. It leaves out hosts with
// hints only.
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

// collectClients adds what the engine has found so far to the result.
func (r *run) collectClients() {
	for _, f := range findings(r.engine, r.clock) {
		c := r.enter(f)
		c.FirstSeen = min(c.FirstSeen, r.wall(f.firstSeen).Format(timeForm))
		if f.proof != "" {
			c.Proof = f.proof
		}
	}
}

// found handles the event that a client was found. Only this event has the peer.
func (r *run) found(ev *state.Event) {
	c := r.enter(finding{
		addr: ev.Client, mac: ev.MAC, protocol: detect.All[ev.Protocol], reason: ev.Reason, firstSeen: ev.Time,
	})
	if c.Peer == "" {
		c.Peer = ev.Peer.String()
	}
}

// enter returns the client for a finding, and creates one if it is new. The client may be
// one that the engine has forgotten meanwhile.
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

func (r *run) client(mac nfq.MAC, addr nfq.Addr) *Client {
	c := r.clients[lockOf(mac, addr)]
	switch {
	case c != nil:
		r.at[addr] = c // this may be a further address of the client
	case mac.IsZero():
		c = r.at[addr]
	default:
		// The client may have been known by its address alone until now.
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

// peers adds the peers that the engine knows of a client. For some there was no event,
// because the client was only a suspect then.
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

// sender counts what p2pwall would send. It sends nothing.
type sender Result

// UDP implements state.Sender.
func (s *sender) UDP(_ uint32, _, _ nfq.AddrPort, _ []byte) error { s.Sent++; return nil }

// Reset implements state.Sender.
func (s *sender) Reset(*nfq.Packet) error { s.Sent++; return nil }

// Answer implements state.Sender. Nobody in a capture would go on with the handshake.
func (s *sender) Answer(*nfq.Packet, []byte) error {
	return errors.New("a capture answers nobody")
}

// Reject implements state.Sender.
func (s *sender) Reject(*nfq.Packet) error { s.Sent++; return nil }

// lockOf returns the key of a host: its MAC, or its address if the MAC is zero.
func lockOf(mac nfq.MAC, addr nfq.Addr) lockKey {
	if mac.IsZero() {
		return lockKey{addr: addr}
	}
	return lockKey{mac: mac}
}
