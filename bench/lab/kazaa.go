// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"
)

// KazaaConfig describes an official FastTrack client. Durations are those of a real
// client. Speed divides all of them except Patience. A zero field means the usual value.
type KazaaConfig struct {
	Network string           // network name; "KaZaA"; iMesh uses "fileshare"
	Peers   []netip.AddrPort // its cache of supernodes
	Port    uint16           // its own port, UDP and TCP; 1214
	Speed   float64          // 1

	// Mode forces a mode (1, 2 or 3). With 0 the client changes its mode when it fails:
	// it leaves mode 1 when no pong came for Mode1 or when it was in mode 1 for Stay, and
	// it leaves mode 2 after Mode2. It never leaves mode 3.
	Mode  int
	Mode1 time.Duration // 20 s
	Stay  time.Duration // no limit
	Mode2 time.Duration // 60 s

	PingEvery time.Duration // 40 ms, that is 25 pings a second
	Parallel  int           // connections at a time in mode 2; 20
	Patience  time.Duration // for one connection; 4 s, that is four SYNs
	Gap       time.Duration // between two addresses in mode 3; 5 s
	Deaf      bool          // do not answer probes
}

// Kazaa is a simulated official client: Kazaa itself, Grokster, iMesh.
//
// In mode 1 the client pings the addresses of its cache in turn, again and again. After a
// pong 0x28 it tries TCP to that peer and stays in mode 1. In mode 2 it connects to many
// peers at once. In mode 3 it connects to one at a time, with seconds between. It answers
// pings to its port in every mode.
type Kazaa struct {
	*client
	cfg     KazaaConfig
	udp     *net.UDPConn
	heard   chan netip.AddrPort // peers that sent a pong
	changed chan struct{}       // SetMode was called
}

// NewKazaa makes a client on a host.
func NewKazaa(h *Host, cfg KazaaConfig) *Kazaa {
	if cfg.Network == "" {
		cfg.Network = "KaZaA"
	}
	orDuration(&cfg.Mode1, 20*time.Second)
	orDuration(&cfg.Mode2, 60*time.Second)
	orDuration(&cfg.PingEvery, 40*time.Millisecond)
	orDuration(&cfg.Patience, 4*time.Second)
	orDuration(&cfg.Gap, 5*time.Second)
	if cfg.Port == 0 {
		cfg.Port = 1214
	}
	if cfg.Parallel == 0 {
		cfg.Parallel = 20
	}
	return &Kazaa{client: newClient(h, cfg.Speed), cfg: cfg, heard: make(chan netip.AddrPort, 1024), changed: make(chan struct{}, 1)}
}

func orDuration(d *time.Duration, usual time.Duration) {
	if *d == 0 {
		*d = usual
	}
}

// SetMode forces a mode from now on. With 0 the client changes its mode by itself again.
func (k *Kazaa) SetMode(mode int) {
	k.note(func(*Observations) { k.cfg.Mode = mode })
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// Run runs the client until ctx ends or Close is called.
func (k *Kazaa) Run(ctx context.Context) error {
	ctx = k.begin(ctx)
	defer k.end()
	udp, tcp, err := k.listen(k.cfg.Port)
	if err != nil {
		return err
	}
	k.udp = udp
	defer udp.Close()
	defer tcp.Close()
	k.spawn(func() { Datagrams(udp, k.read) })
	k.spawn(func() { Accept(tcp, func(net.Conn) {}) })

	mode := 1
	for ctx.Err() == nil {
		k.note(func(o *Observations) {
			if k.cfg.Mode != 0 {
				mode = k.cfg.Mode
			}
			o.Mode = mode
		})
		// A mode ends with the client, by SetMode, or by itself.
		in, leave := context.WithCancel(ctx)
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			select {
			case <-k.changed:
				leave()
			case <-in.Done():
			}
		}()
		switch mode {
		case 1:
			k.flood(in)
		case 2:
			k.parallel(in)
		default:
			k.slow(in)
		}
		leave()
		<-stop
		if mode < 3 {
			mode++
		}
	}
	return nil
}

// read handles a datagram that comes to the client's UDP port, and returns the reply.
func (k *Kazaa) read(b []byte, from netip.AddrPort) []byte {
	k.heardOf(b, from)
	switch {
	case isPing(b) && !k.cfg.Deaf:
		k.acted(func(o *Observations) { o.Answers++ })
		return pongBytes(b)
	case isPong(b):
		select {
		case k.heard <- from:
		default:
		}
	}
	return nil
}

// forced reports whether the mode is forced.
func (k *Kazaa) forced() (yes bool) {
	k.note(func(*Observations) { yes = k.cfg.Mode != 0 })
	return yes
}

// flood is mode 1.
func (k *Kazaa) flood(ctx context.Context) {
	ping := PingBytes(EncGiFT, k.cfg.Network)
	began, lastPong := time.Now(), time.Now()
	tried := map[netip.AddrPort]bool{}
	tick := time.NewTicker(max(k.scale(k.cfg.PingEvery), 100*time.Microsecond))
	defer tick.Stop()
	for i := 0; ; {
		select {
		case <-ctx.Done():
			return
		case peer := <-k.heard:
			lastPong = time.Now()
			if !tried[peer] {
				tried[peer] = true
				k.spawn(func() { k.try(ctx, peer) })
			}
		case now := <-tick.C:
			if !k.forced() && (now.Sub(lastPong) > k.scale(k.cfg.Mode1) || k.cfg.Stay != 0 && now.Sub(began) > k.scale(k.cfg.Stay)) {
				return
			}
			if k.settled() {
				continue
			}
			k.acted(func(o *Observations) { o.Pings++ })
			k.udp.WriteToUDPAddrPort(ping, k.cfg.Peers[i])
			i = (i + 1) % len(k.cfg.Peers)
		}
	}
}

// try connects to a peer and keeps the session as long as possible.
func (k *Kazaa) try(ctx context.Context, peer netip.AddrPort) {
	conn, err := k.connect(ctx, peer, k.cfg.Patience)
	if err == nil {
		k.session(ctx, conn, randomHello())
	}
}

// parallel is mode 2.
func (k *Kazaa) parallel(ctx context.Context) {
	if !k.forced() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, k.scale(k.cfg.Mode2))
		defer cancel()
	}
	order := rand.Perm(len(k.cfg.Peers))
	slots := make(chan struct{}, k.cfg.Parallel)
	for i := 0; ctx.Err() == nil; i++ {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		for k.settled() && k.sleep(ctx, keepEvery) {
		}
		peer := k.cfg.Peers[order[i%len(order)]]
		k.spawn(func() {
			k.try(ctx, peer)
			<-slots
		})
	}
}

// slow is mode 3.
func (k *Kazaa) slow(ctx context.Context) {
	for {
		k.try(ctx, k.cfg.Peers[rand.IntN(len(k.cfg.Peers))])
		if !k.sleep(ctx, k.cfg.Gap) {
			return
		}
	}
}
