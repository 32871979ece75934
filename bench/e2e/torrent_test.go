// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"context"
	"io"
	"net/netip"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// torrentPeers are the peers on the internet that a BitTorrent client knows.
var torrentPeers = []netip.Addr{
	netip.MustParseAddr("192.0.2.101"), netip.MustParseAddr("192.0.2.102"), netip.MustParseAddr("192.0.2.103"),
}

// torrent: a BitTorrent client uses all its protocols while its host has other traffic.
func torrent(e *env) {
	const timelock = 4 * time.Second
	h := e.lab.Clients[0]
	judge := e.innocent(lab.InnocentConfig{})
	c := lab.NewTorrent(h, lab.TorrentConfig{Peers: torrentPeers})
	stop := e.start(c.Run)
	e.until("queries, and the lock", func() bool {
		return c.Seen().Queries >= 20 && (e.wall == nil || e.locked(h))
	})
	e.cutOff(h, c, 3*timelock)
	if e.wall != nil {
		s, err := e.wall.Client(h)
		e.must(err == nil && s.Protocol == "bittorrent" && s.Reason != "", "%+v, %v", s, err)
		e.must(c.Seen().Answered > 0, "the client was not answered in its peers' names")
	}
	stop()
	ended := time.Now()
	e.released(h, ended, timelock)
	judge()
	e.connectsUnknown(h)
}

// torrentBefore: a client's flows exist before the wall starts, and nothing that it sends
// identifies it. It answers a probe, or before that goes on with the key that the wall sent
// in a peer's name. Its host is busy meanwhile, and no connection of the host may be
// disturbed.
func torrentBefore(e *env) {
	const timelock = 4 * time.Second
	h := e.lab.Clients[0]
	c := lab.NewTorrent(h, lab.TorrentConfig{Peers: torrentPeers, Quiet: true})
	stop := e.start(c.Run)
	e.until("transfers", func() bool { return c.Seen().UDPIn > 100_000 && c.Seen().TCPIn > 1000 })
	judge := e.busy(h)
	e.startWall()
	if e.wall != nil {
		e.until("the lock", func() bool { return e.locked(h) })
		s, err := e.wall.Client(h)
		e.must(err == nil && (s.Reason == "handshake" || c.Seen().Probes > 0), "found without a question: %+v, %v", s, err)
	}
	judge()
	e.cutOff(h, c, 3*timelock)
	stop()
	e.released(h, time.Now(), timelock)
}

// busy makes the host do many things at once. judge runs them a moment longer and checks
// them.
func (e *env) busy(h *lab.Host) (judge func()) {
	users := make([]*lab.Innocent, max(2, 8/pace()))
	stops := make([]func(), len(users))
	for i := range users {
		users[i] = lab.NewInnocent(h, lab.InnocentConfig{Known: true, Every: time.Duration(pace()) * 4 * time.Millisecond})
		stops[i] = e.start(users[i].Run)
	}
	time.Sleep(300 * time.Millisecond)
	return func() {
		time.Sleep(500 * time.Millisecond)
		for _, stop := range stops {
			stop()
		}
		for _, user := range users {
			e.worked("the client's host, while it was found,", user)
		}
	}
}

// cutOff checks that nothing reaches the client for a while and that the host's other
// traffic works.
func (e *env) cutOff(h *lab.Host, c *lab.Torrent, d time.Duration) {
	user := lab.NewInnocent(h, lab.InnocentConfig{Known: true, Every: time.Duration(pace()) * 100 * time.Millisecond})
	stop := e.start(user.Run)
	time.Sleep(500 * time.Millisecond) // for packets on their way
	before := c.Seen()
	time.Sleep(d)
	after := c.Seen()
	e.must(after.UDPIn == before.UDPIn && after.TCPIn == before.TCPIn, "%d bytes by UDP and %d by TCP came from peers",
		after.UDPIn-before.UDPIn, after.TCPIn-before.TCPIn)
	e.must(e.wall == nil || e.locked(h), "the client was let go while it ran")
	stop()
	e.worked("the client's host", user)
}

// connectsUnknown checks that the host's connections and datagrams of unknown protocols
// pass.
func (e *env) connectsUnknown(h *lab.Host) {
	e.t.Helper()
	to := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.110"), 7777)
	lab.Serve(e.t, e.lab.Inet, to, lab.Echo)
	lab.ServeUDP(e.t, e.lab.Inet, to)
	for _, network := range []string{"tcp", "udp"} {
		c, err := h.Dial(context.Background(), network, netip.AddrPort{}, to)
		if err != nil {
			e.t.Error(err)
			continue
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		b := noise(80) // shorter than an encrypted handshake
		if _, err = c.Write(b); err == nil {
			_, err = io.ReadFull(c, b)
		}
		e.must(err == nil, "something unknown by %s: %v", network, err)
		c.Close()
	}
}
