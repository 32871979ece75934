// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"bytes"
	"crypto/sha1"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// dht is a distributed hash table. Each node has its own address, because clients want
// several nodes. All nodes run in this process and share their data: each other's
// addresses and the peers of one torrent.
type dht struct {
	// silent makes all nodes ignore queries.
	silent atomic.Bool

	nodes []dhtNode

	mu    sync.Mutex
	peers []netip.AddrPort
}

type dhtNode struct {
	id   [20]byte
	addr netip.AddrPort
}

// startDHT makes nodes that know the peers of a torrent.
func startDHT(l *lab.Lab, at []netip.AddrPort, seeds []netip.AddrPort) (*dht, error) {
	d := &dht{peers: slices.Clone(seeds)}
	for i, a := range at {
		// The first octets of the IDs are spread over all values.
		n := dhtNode{id: sha1.Sum([]byte(a.String())), addr: a}
		n.id[0] = byte(i * 256 / len(at))
		d.nodes = append(d.nodes, n)
	}
	for _, n := range d.nodes {
		c, err := l.Inet.ListenUDP(n.addr)
		if err != nil {
			return nil, err
		}
		l.OnClose(func() { c.Close() })
		go d.serve(n, c)
	}
	return d, nil
}

func (d *dht) serve(self dhtNode, c *net.UDPConn) {
	buf := make([]byte, 2048)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		v, _ := bdecode(buf[:n])
		query, _ := v.(map[string]any)
		if reply := d.answer(self, from, query); reply != nil && !d.silent.Load() {
			c.WriteToUDPAddrPort(reply, from)
		}
	}
}

// answer is the reply to a query (BEP 5).
func (d *dht) answer(self dhtNode, from netip.AddrPort, query map[string]any) []byte {
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	kind, _ := query["q"].(string)
	arg, _ := query["a"].(map[string]any)
	tid, ok := query["t"].(string)
	if query["y"] != "q" || arg == nil || !ok {
		return nil
	}
	r := map[string]any{"id": self.id[:]}
	target, _ := arg["target"].(string)
	switch kind {
	case "ping":
	case "find_node":
		d.addNodes(r, from, target)
	case "get_peers":
		target, _ = arg["info_hash"].(string)
		d.addNodes(r, from, target)
		d.addValues(r, from)
		r["token"] = "token"
	case "announce_peer":
		port, _ := arg["port"].(int)
		if implied, _ := arg["implied_port"].(int); implied != 0 {
			port = int(from.Port())
		}
		d.announce(netip.AddrPortFrom(from.Addr(), uint16(port)))
	default:
		return bencode(nil, map[string]any{"t": tid, "y": "e", "e": []any{204, "Method Unknown"}})
	}
	return bencode(nil, map[string]any{"t": tid, "y": "r", "r": r, "ip": appendPeer(nil, from)})
}

// addNodes puts the eight nodes nearest to a target into a reply.
func (d *dht) addNodes(r map[string]any, from netip.AddrPort, target string) {
	distance := func(n dhtNode) []byte {
		x := n.id[:]
		x = slices.Clone(x)
		for i := range min(len(x), len(target)) {
			x[i] ^= target[i]
		}
		return x
	}
	near := slices.Clone(d.nodes)
	near = slices.DeleteFunc(near, func(n dhtNode) bool { return n.addr.Addr().Is4() != from.Addr().Is4() })
	slices.SortFunc(near, func(a, b dhtNode) int { return bytes.Compare(distance(a), distance(b)) })
	var b []byte
	for _, n := range near[:min(8, len(near))] {
		b = appendPeer(append(b, n.id[:]...), n.addr)
	}
	key := "nodes"
	if from.Addr().Is6() {
		key = "nodes6"
	}
	r[key] = b
}

func (d *dht) addValues(r map[string]any, from netip.AddrPort) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var values []any
	for _, p := range d.peers {
		if p.Addr().Is4() == from.Addr().Is4() && p.Addr() != from.Addr() {
			values = append(values, appendPeer(nil, p))
		}
	}
	if values != nil {
		r["values"] = values
	}
}

func (d *dht) announce(p netip.AddrPort) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains(d.peers, p) {
		d.peers = append(d.peers, p)
	}
}
