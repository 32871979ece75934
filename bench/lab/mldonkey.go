// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// MLDonkey is a simulated MLDonkey. It sends nothing for 60 s, then three bursts of five
// SYNs. Each SYN is followed 8 to 30 ms later by a ping to the same address. This repeats
// every 60 s. The client never answers UDP. It closes incoming connections without
// sending a byte: at once if they begin with something that it does not know. Its user
// interface refuses other hosts, and says its name; it may be closed to them.
type MLDonkey struct{ open }

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
func NewMLDonkey(h *Host, cfg OpenConfig) *MLDonkey { return &MLDonkey{newOpen(h, cfg)} }

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
	m.spawn(func() { Datagrams(udp, m.heardOf) })
	m.spawn(func() { Accept(tcp, donkeyReads) })
	if !m.cfg.Shut {
		panel, err := m.host.ListenTCP(Any(donkeyPanel))
		if err != nil {
			return err
		}
		defer panel.Close()
		m.spawn(func() { Accept(panel, donkeyRefuses) })
	}

	ping := PingBytes(EncMLDonkey, "KaZaA")
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
				burst = append(burst, m.peer())
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

// donkeyPanel is the port of its user interface.
const donkeyPanel = 4080

// donkeyRefuses is how MLDonkey 3.2.1 answers another host at its user interface.
func donkeyRefuses(c net.Conn) {
	const page = "<html><h1>403 Forbidden</h1></html>"
	fmt.Fprintf(c, "HTTP/1.1 403 Forbidden\nServer: MLDonkey/3.2.1\nConnection: close\n"+
		"Content-Type: text/html; charset=iso-8859-1\nContent-length: %d\r\n\n%s", len(page), page)
}

// donkeyReads is what MLDonkey 3.2.1 does with an incoming connection: it waits for a whole
// head if the first letters are of a request that it knows, and then closes.
func donkeyReads(c net.Conn) {
	var seen []byte
	buf := make([]byte, 512)
	for len(seen) < 4096 {
		c.SetReadDeadline(time.Now().Add(30 * time.Second))
		n, err := c.Read(buf)
		if seen = append(seen, buf[:n]...); err != nil {
			return
		}
		if len(seen) < 4 {
			continue
		}
		head := bytes.ReplaceAll(seen, []byte("\r"), nil)
		known := bytes.HasPrefix(seen, []byte("GET")) || bytes.HasPrefix(seen, []byte("GIV")) || bytes.HasPrefix(seen, []byte("HEAD"))
		if !known || bytes.Contains(head, []byte("\n\n")) {
			return
		}
	}
}
