// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"encoding/json"
	"sync"

	"golang.org/x/net/websocket"
)

// rendezvous is the part of a tracker that WebTorrent needs. It forwards each peer's
// offers to the others and their answers back, as JSON over a WebSocket. It knows one
// torrent.
type rendezvous struct {
	mu    sync.Mutex
	peers map[string]*websocket.Conn
}

// serve serves one peer.
func (r *rendezvous) serve(c *websocket.Conn) {
	self := ""
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.peers[self] == c {
			delete(r.peers, self)
		}
	}()
	// Receive of x/net/websocket takes one frame. libtorrent's messages have several.
	for in := json.NewDecoder(c); ; {
		var m map[string]any
		if err := in.Decode(&m); err != nil {
			return
		}
		id, ok := m["peer_id"].(string)
		if m["action"] != "announce" || !ok {
			continue
		}
		self = id
		r.announce(c, self, m)
	}
}

// announce handles an announce, or an answer for another peer.
func (r *rendezvous) announce(c *websocket.Conn, self string, m map[string]any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.peers == nil {
		r.peers = map[string]*websocket.Conn{}
	}
	r.peers[self] = c
	say := func(to *websocket.Conn, what map[string]any) {
		what["action"], what["info_hash"] = "announce", m["info_hash"]
		websocket.JSON.Send(to, what)
	}
	if to, ok := m["to_peer_id"].(string); ok {
		if other := r.peers[to]; other != nil && m["answer"] != nil {
			say(other, map[string]any{"peer_id": self, "offer_id": m["offer_id"], "answer": m["answer"]})
		}
		return
	}
	say(c, map[string]any{"interval": 20, "complete": 2, "incomplete": 1})
	offers, _ := m["offers"].([]any)
	for id, other := range r.peers {
		if id == self || len(offers) == 0 {
			continue
		}
		offer, _ := offers[0].(map[string]any)
		offers = offers[1:]
		say(other, map[string]any{"peer_id": self, "offer_id": offer["offer_id"], "offer": offer["offer"]})
	}
}
