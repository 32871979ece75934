// SPDX-License-Identifier: GPL-2.0-or-later

package lab_test

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

func TestMain(m *testing.M) {
	lab.CloseOnSignal()
	if how := os.Getenv(childEnv); how != "" {
		child(how)
	}
	os.Exit(m.Run())
}

func newLab(t *testing.T, cfg lab.Config) *lab.Lab {
	t.Helper()
	lab.Need(t)
	return lab.ForTest(t, cfg)
}

// until waits for a condition. The time limit only ends a run that hangs.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 30 s for %s", what)
		}
	}
}

// TestOpen shows that every client reaches the lab's internet when there is no wall. So
// if the end-to-end tests see no traffic, the wall is the cause.
func TestOpen(t *testing.T) {
	t.Run("kazaa mode 1", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, lab.Config{})
		k := lab.NewKazaa(l.Clients[0], lab.KazaaConfig{Peers: l.Peers, Speed: 10, Mode: 1})
		lab.Background(t, k.Run)
		until(t, "a session with a search", func() bool { return k.Seen().Searches > 0 })
		o := k.Seen()
		if len(o.PongsFrom) == 0 || o.Sessions == 0 || o.Open == 0 {
			t.Errorf("%+v", o)
		}
		if l.Internet.Pings(l.Clients[0].Addr4) == 0 {
			t.Error("the internet got no ping")
		}
		first, ok := l.FirstPing(l.Clients[0])
		if !ok || len(l.Leaks(l.Clients[0], first)) < 10 {
			t.Error("the recorder saw no leak")
		}
	})
	t.Run("kazaa by failures", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, lab.Config{})
		// These addresses exist but their ports are closed.
		var dead []netip.AddrPort
		for _, p := range l.Peers {
			dead = append(dead, netip.AddrPortFrom(p.Addr(), 9))
		}
		k := lab.NewKazaa(l.Clients[0], lab.KazaaConfig{Peers: dead, Speed: 100})
		lab.Background(t, k.Run)
		until(t, "mode 3", func() bool { return k.Seen().Mode == 3 && k.Seen().Attempts > 5 })
		if o := k.Seen(); o.Sessions != 0 || o.Pings == 0 || o.Refused == 0 {
			t.Errorf("%+v", o)
		}
	})
	t.Run("kazaa answers probes", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, lab.Config{})
		k := lab.NewKazaa(l.Clients[0], lab.KazaaConfig{Peers: l.Peers, Speed: 10, Mode: 3, Network: "fileshare"})
		lab.Background(t, k.Run)
		c, err := l.Router.ListenUDP(netip.MustParseAddrPort("192.168.1.1:1214"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		until(t, "an attempt", func() bool { return k.Seen().Attempts > 0 })
		b, n := make([]byte, 100), 0
		for range 30 { // a datagram may be lost on a busy machine
			c.WriteToUDPAddrPort(lab.PingBytes(lab.EncGiFT, "fileshare"), netip.AddrPortFrom(l.Clients[0].Addr4, 1214))
			c.SetReadDeadline(time.Now().Add(time.Second))
			if n, err = c.Read(b); err == nil {
				break
			}
		}
		if err != nil || b[0] != 0x28 || n != 12+len("fileshare") {
			t.Errorf("% x, %v", b[:n], err)
		}
	})
	t.Run("gift", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, lab.Config{})
		g := lab.NewGiFT(l.Clients[0], lab.OpenConfig{Peers: l.Peers, Speed: 5})
		lab.Background(t, g.Run)
		until(t, "searches", func() bool { return g.Seen().Searches == 5 })
		o := g.Seen()
		if o.Pings != 10 || o.Sessions != 5 || len(o.PongsFrom) != 10 {
			t.Errorf("%+v", o)
		}
		// The order on the wire: five SYNs, then ten pings to other addresses.
		sent := l.Packets.All(func(p *lab.Packet) bool {
			return !p.WAN && !p.Out && p.MAC == l.Clients[0].MAC && (p.IsSYN() || p.Proto == lab.UDP) && l.IsPeer(p.Dst.Addr())
		})
		if len(sent) != 15 {
			t.Fatalf("%d SYNs and pings", len(sent))
		}
		seen := map[netip.AddrPort]bool{}
		for i, p := range sent {
			if p.IsSYN() != (i < 5) || seen[p.Dst] {
				t.Errorf("packet %d: %s", i, &p)
			}
			seen[p.Dst] = true
		}
		answer, err := l.Internet.Browse(context.Background(), netip.AddrPortFrom(l.Clients[0].Addr4, 1214))
		if err != nil || !strings.HasPrefix(answer, "HTTP/1.1 404 ") || !strings.Contains(answer, "\r\nX-Kazaa-SupernodeIP: ") {
			t.Errorf("%q, %v", answer, err)
		}
	})
	t.Run("gift storms when refused", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, lab.Config{})
		dead := []netip.AddrPort{netip.MustParseAddrPort("198.51.100.5:9")}
		g := lab.NewGiFT(l.Clients[0], lab.OpenConfig{Peers: dead})
		lab.Background(t, g.Run)
		until(t, "a storm", func() bool { return g.Seen().Attempts > 100 })
	})
	t.Run("mldonkey", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, lab.Config{})
		m := lab.NewMLDonkey(l.Clients[0], lab.OpenConfig{Peers: l.Peers, Speed: 100})
		lab.Background(t, m.Run)
		until(t, "searches", func() bool { return m.Seen().Searches >= 5 })
		sent := l.Packets.All(func(p *lab.Packet) bool {
			return !p.WAN && !p.Out && p.MAC == l.Clients[0].MAC && (p.IsSYN() || p.Proto == lab.UDP) && l.IsPeer(p.Dst.Addr())
		})
		for i, p := range sent[:10] {
			if p.IsSYN() != (i < 5) || i >= 5 && p.Dst != sent[i-5].Dst {
				t.Errorf("packet %d: %s", i, &p)
			}
		}
	})
	t.Run("transfer and push", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, lab.Config{Clients: 2})
		d := lab.NewTransfer(l.Clients[0], lab.TransferConfig{Speed: 100, Split: 20})
		lab.Background(t, d.Run)
		p := lab.NewTransfer(l.Clients[1], lab.TransferConfig{Gap: -1})
		lab.Background(t, p.Run)
		until(t, "a download", func() bool { return d.Seen().Transfers > 1 })
		var s lab.Session
		until(t, "the port", func() bool {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			var err error
			s, err = l.Internet.Push(ctx, netip.AddrPortFrom(l.Clients[1].Addr4, 1214))
			return err == nil
		})
		if !s.Up || p.Seen().Transfers != 1 {
			t.Errorf("%+v %+v", s, p.Seen())
		}
	})
}

func TestInnocent(t *testing.T) {
	t.Parallel()
	l := newLab(t, lab.Config{NoOffload: true})
	in := lab.NewInnocent(l.Innocent, lab.InnocentConfig{IPv6: true, Browser: true})
	stop := lab.Background(t, in.Run)
	time.Sleep(time.Second)
	stop()
	m, failed := in.Counts()
	if failed != 0 || m < 16 {
		t.Errorf("%s: %v", in.Kinds(), in.Errors())
	}
	if lost := l.Lost(l.Innocent); len(lost) != 0 {
		t.Errorf("%d packets lost, the first: %s", len(lost), &lost[0])
	}
	if n := l.Packets.Dropped(); n != 0 {
		t.Errorf("the recorder missed %d packets", n)
	}
	// Negative control: a router that drops packets is noticed.
	if _, err := l.Router.Run("ip", "route", "add", "blackhole", "192.0.2.0/24"); err != nil {
		t.Fatal(err)
	}
	bad := lab.NewInnocent(l.Innocent, lab.InnocentConfig{Timeout: 50 * time.Millisecond})
	stop = lab.Background(t, bad.Run)
	until(t, "failures", func() bool { _, f := bad.Counts(); return f >= 7 })
	stop()
	if lost := l.Lost(l.Innocent); len(lost) == 0 {
		t.Error("no packet was lost in a black hole")
	}
}

func TestNAT(t *testing.T) {
	t.Parallel()
	_, errI := exec.LookPath("iptables")
	_, errN := exec.LookPath("nft")
	if errI != nil && errN != nil {
		t.Skip("needs iptables or nft")
	}
	l := newLab(t, lab.Config{NAT: true, Forward: 1214})
	p := lab.NewTransfer(l.Clients[0], lab.TransferConfig{Speed: 100})
	lab.Background(t, p.Run)
	until(t, "a download", func() bool { return p.Seen().Transfers > 0 })
	crossed := l.Crossings(l.Clients[0])
	if len(crossed) == 0 || crossed[0].Src.Addr() != lab.WAN4 || crossed[0].Origin.Addr() != l.Clients[0].Addr4 {
		t.Errorf("%v", crossed)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if s, err := l.Internet.Push(ctx, netip.AddrPortFrom(lab.WAN4, 1214)); err != nil || !s.Up {
		t.Errorf("push through the forwarded port: %+v, %v", s, err)
	}
}

// TestRaw shows that hand-made packets arrive, with checksums that servers accept.
func TestRaw(t *testing.T) {
	t.Parallel()
	l := newLab(t, lab.Config{})
	raw, err := l.Clients[0].OpenRaw()
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	pairs := [][2]netip.Addr{
		{l.Clients[0].Addr4, l.Peers[0].Addr()},
		{l.Clients[0].Addr6, l.Peers6[0].Addr()},
	}
	for _, p := range pairs {
		src, dst := netip.AddrPortFrom(p[0], 5000), netip.AddrPortFrom(p[1], 1214)
		answered := func(proto uint8) func() bool {
			return func() bool {
				return len(l.Packets.All(func(q *lab.Packet) bool {
					return q.WAN && !q.Out && q.Proto == proto && q.Src == dst && q.Dst == src && q.Flags&lab.FlagRST == 0
				})) > 0
			}
		}
		if err := raw.Send(lab.UDPPacket(src, dst, lab.PingBytes(lab.EncGiFT, "KaZaA"))); err != nil {
			t.Fatal(err)
		}
		until(t, "a pong", answered(lab.UDP))
		if err := raw.Send(lab.TCPPacket(src, dst, lab.FlagSYN, 1, nil)); err != nil {
			t.Fatal(err)
		}
		until(t, "a SYN-ACK", answered(lab.TCP))
	}
}
