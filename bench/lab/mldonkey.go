// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"time"
)

// MLDonkey is a simulated MLDonkey. It sends nothing for 60 s, then three bursts of five
// SYNs. Each SYN is followed 8 to 30 ms later by a ping to the same address. This repeats
// every 60 s. The client never answers UDP. It closes incoming connections without
// sending a byte.
type MLDonkey struct {
	*client
	cfg OpenConfig
}

// Times of MLDonkey before scaling; the patience is not scaled.
const (
	donkeySilence  = 60 * time.Second
	donkeyEvery    = 60 * time.Second
	donkeyBurst    = 5
	donkeyPatience = 25 * time.Second // nine SYNs
)

// donkeyBursts are the waits before the bursts of one round. donkeyPing are the waits
// from the SYNs of a burst to its pings; they are not scaled.
var (
	donkeyBursts = []time.Duration{0, 520 * time.Millisecond, time.Second}
	donkeyPing   = []time.Duration{8 * time.Millisecond, 27 * time.Millisecond, 23 * time.Millisecond}
)

// NewMLDonkey makes a client on a host.
func NewMLDonkey(h *Host, cfg OpenConfig) *MLDonkey {
	if cfg.Port == 0 {
		cfg.Port = 1214
	}
	m := &MLDonkey{client: newClient(h, cfg.Speed), cfg: cfg}
	m.quiet = cfg.Quiet
	return m
}

// Run runs the client until ctx ends or Close is called.
func (m *MLDonkey) Run(ctx context.Context) error {
	ctx = m.begin(ctx)
	defer m.end()
	udp, tcp, err := m.listen(m.cfg.Port)
	if err != nil {
		return err
	}
	defer udp.Close()
	defer tcp.Close()
	m.spawn(func() { m.readPongs(udp) })
	m.spawn(func() { swallow(tcp) })

	ping := PingBytes(EncMLDonkey, "KaZaA")
	order := rand.Perm(len(m.cfg.Peers))
	next := 0
	if !m.sleep(ctx, donkeySilence) {
		return nil
	}
	for {
		for i, before := range donkeyBursts {
			if !m.sleep(ctx, before) {
				return nil
			}
			if m.settled() {
				continue
			}
			var burst []netip.AddrPort
			for range donkeyBurst {
				burst = append(burst, m.cfg.Peers[order[next%len(order)]])
				next++
			}
			for _, peer := range burst {
				p, err := m.start(peer)
				if err != nil {
					continue
				}
				m.spawn(func() {
					if conn, err := m.wait(ctx, p, donkeyPatience); err == nil {
						m.session(ctx, conn, Hello)
					}
				})
			}
			time.Sleep(donkeyPing[i])
			for _, peer := range burst {
				m.acted(func(o *Observations) { o.Pings++ })
				udp.WriteToUDPAddrPort(ping, peer)
			}
		}
		if !m.sleep(ctx, donkeyEvery) {
			return nil
		}
	}
}
