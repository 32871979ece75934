// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// start measures the time from the start of the program to its first verdict,
// and its memory.
func (b *bench) start() error {
	l, err := newLab(lab.Config{NAT: true})
	if err != nil {
		return err
	}
	defer l.Close()
	h := l.Clients[0]
	c, err := h.ListenUDP(netip.AddrPortFrom(h.Addr4, peerPort))
	if err != nil {
		return err
	}
	defer c.Close()
	verdict := b.report.result("from start to the first verdict", "ms")
	memory0 := b.report.result("memory (RSS) after the start", "MiB")
	memory1 := b.report.result("memory (RSS) with full tables, after load", "MiB")
	const loaded, there = "rules loaded on the way", "rules there already"
	for range b.runs {
		t, err := b.firstPong(l, c, false)
		if err != nil {
			return err
		}
		verdict.add(loaded, t)
		// The rules are there before the program, as after a crash.
		if err := queueRule(l); err != nil {
			return err
		}
		t, err = b.firstPong(l, c, true)
		_, e := l.Router.Run("iptables", "-w", "-t", "mangle", "-F", "FORWARD")
		if err := errors.Join(err, e); err != nil {
			return err
		}
		verdict.add(there, t)
	}
	verdict.atMost(loaded, "", 50)
	verdict.atMost(there, "", 50)
	for range min(b.runs, 3) {
		p, err := b.startWall(l, b.wall, false, nil)
		if err != nil {
			return err
		}
		time.Sleep(time.Second)
		m0, err := memory(p.pid)
		if err == nil {
			err = b.fill(l, p, flatHosts, flatPeers)
		}
		if err == nil {
			_, err = b.under(l, p, h, traffic{frames: pairs(flatHosts, flatPeers, ping), rate: 50_000, burst: 1})
		}
		m1, e := memory(p.pid)
		if err = errors.Join(err, e, p.stop()); err != nil {
			return err
		}
		memory0.add(nameWall, m0/1024)
		memory1.add(nameWall, m1/1024)
	}
	return nil
}

// firstPong starts the program while a client pings. It returns how many milliseconds
// later the client received its first pong. The program sends a pong just before its
// verdict on the ping.
func (b *bench) firstPong(l *lab.Lab, c *net.UDPConn, bare bool) (float64, error) {
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Microsecond):
			}
			// Each ping goes to another peer, so that it has no conntrack entry yet.
			to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i%250 + 1)}), uint16(2000+i/250))
			_, _ = c.WriteToUDPAddrPort(ping, to)
		}
	}()
	buf := make([]byte, 64)
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	got := make(chan time.Time, 1)
	failed := make(chan error, 1)
	go func() {
		if _, err := c.Read(buf); err != nil {
			failed <- err
			return
		}
		got <- time.Now()
	}()
	begin := time.Now()
	p, err := b.startWallHere(l, b.wall, bare, nil)
	if err != nil {
		return 0, err
	}
	select {
	case t := <-got:
		err = p.stop()
		// Late pongs belong to this run: read them all.
		for {
			_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			if _, e := c.Read(buf); e != nil {
				break
			}
		}
		return float64(t.Sub(begin).Nanoseconds()) / 1e6, err
	case err := <-failed:
		return 0, errors.Join(err, p.stop())
	}
}
