// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// TestKernelDropsWhatIsLocked: a locked client sends nothing but SYNs for three lock
// times, to its peers and elsewhere. The kernel must drop nearly all of them. The few
// that reach the program must keep the lock.
func TestKernelDropsWhatIsLocked(t *testing.T) {
	t.Parallel()
	const (
		timelock = 8 * time.Second
		share    = 100 // at most one SYN in this many may reach the program
		peers    = 50
	)
	e := newEnv(t, scenario{main: map[string]string{"timelock": "8"}}, true)
	s, err := e.wall.Status()
	e.ok(err)
	if s.Sets == "off" {
		t.Skip("needs sets in the kernel")
	}
	h := e.lab.Clients[0]
	raw := e.raw(h)
	ping := append([]byte{0x27, 0, 0, 0, 0xa9, 0x80}, "KaZaA\x00"...)
	own := netip.AddrPortFrom(h.Addr4, 1214)
	for _, p := range e.lab.Peers[:peers] {
		e.ok(raw.Send(lab.UDPPacket(own, p, ping)))
	}
	e.until("the client and its peers", func() bool {
		c, err := e.wall.Client(h)
		return err == nil && c.Locked && c.Peers == peers
	})

	before, dropped := e.counter("packets"), e.counter("dropped_kernel")
	// The wall's pongs reach a closed port. The host answers each with an ICMP error.
	first := e.counter("pongs")
	pongs := func() uint64 { return e.counter("pongs") - first }
	sent := uint64(0)
	flood := func(ctx context.Context) error {
		for ; ctx.Err() == nil; sent++ {
			to := e.lab.Peers[sent%peers]
			if sent%2 == 1 {
				to = netip.AddrPortFrom(lab.Server4, uint16(80+sent%1000))
			}
			from := netip.AddrPortFrom(h.Addr4, uint16(2000+sent%4000))
			b := lab.TCPPacket(from, to, 2, uint32(sent), nil)
			if sent%64 == 0 { // the pings keep the lock: the SYNs may be another program's
				b = lab.UDPPacket(own, e.lab.Peers[sent%peers], ping)
			}
			if err := raw.Send(b); err != nil {
				return err
			}
			if sent%8 == 7 { // several thousand a second on any machine
				time.Sleep(time.Millisecond)
			}
		}
		return nil
	}
	stop := e.start(flood)
	time.Sleep(3 * timelock)
	stop()
	reached := e.counter("packets") - before
	e.must(reached*share <= sent, "%d of %d packets of a locked client reached the program", reached, sent)
	// The program reads the kernel's counter every few seconds.
	e.until("the count of what the kernel dropped", func() bool {
		return (e.counter("dropped_kernel")-dropped+reached)*10 >= sent*9
	})
	if all := e.counter("dropped_kernel") - dropped + e.counter("packets") - before; all > sent+pongs() {
		e.fault("%d packets were counted of %d: some twice", all, sent)
	}
	e.must(reached > 0, "no packet reached the program: nothing keeps the lock")
	e.must(len(e.events(h, "released")) == 0, "the client was let go while it sent")
	c, err := e.wall.Client(h)
	if e.must(err == nil && c.Locked, "the client is not locked: %v", err) {
		e.must(c.LockRemaining > timelock.Seconds()/2, "the lock has %.1f s left: it was not kept", c.LockRemaining)
	}
	e.noSYNWhileLocked(h, e.lab.Packets.Now())
	e.finish()
	t.Logf("%d of %d packets reached the program", reached, sent)
}
