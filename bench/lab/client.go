// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/p2pwall/p2pwall/bench/netns"
)

// Observations count what a simulated client did and what it received.
type Observations struct {
	First, Last time.Time // first and last thing it sent

	Pings     int
	PongsFrom map[netip.AddrPort]int // 0x28
	BusyFrom  map[netip.AddrPort]int // 0x29
	Probes    int                    // pings that came to its own port
	Answers   int                    // pongs it sent to them

	Attempts  int                    // TCP connections begun
	Refused   int                    // attempts that were answered with a reset or an ICMP error
	Connected map[netip.AddrPort]int // TCP connections established
	Sessions  int                    // handshakes completed
	Open      int                    // sessions that still carry data
	Longest   time.Duration          // from the start of a connection to the last byte received
	Searches  int                    // searches answered
	Transfers int                    // downloads completed
	BytesIn   int                    // over TCP

	Mode int // Kazaa: the mode it is in
}

// Reached returns the addresses from which the client received anything.
func (o *Observations) Reached() []netip.Addr {
	seen := map[netip.Addr]bool{}
	var out []netip.Addr
	for _, m := range []map[netip.AddrPort]int{o.PongsFrom, o.BusyFrom, o.Connected} {
		for a := range m {
			if !seen[a.Addr()] {
				seen[a.Addr()] = true
				out = append(out, a.Addr())
			}
		}
	}
	return out
}

// client is the part that all simulators share.
type client struct {
	host   *Host
	speed  float64
	steady atomic.Bool // see Settle
	quiet  bool        // see OpenConfig
	silent bool
	cancel context.CancelFunc
	ended  chan struct{}

	mu  sync.Mutex
	obs Observations
	run sync.WaitGroup
}

func newClient(h *Host, speed float64) *client {
	if speed == 0 {
		speed = 1
	}
	return &client{host: h, speed: speed, obs: Observations{
		PongsFrom: map[netip.AddrPort]int{}, BusyFrom: map[netip.AddrPort]int{}, Connected: map[netip.AddrPort]int{},
	}}
}

// Seen returns a copy of the observations so far.
func (c *client) Seen() Observations {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.obs
	o.PongsFrom, o.BusyFrom, o.Connected = copyMap(o.PongsFrom), copyMap(o.BusyFrom), copyMap(o.Connected)
	return o
}

func copyMap(m map[netip.AddrPort]int) map[netip.AddrPort]int {
	out := make(map[netip.AddrPort]int, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

func (c *client) note(f func(*Observations)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.obs)
}

// acted notes that the client sent something.
func (c *client) acted(f func(*Observations)) {
	now := time.Now()
	c.note(func(o *Observations) {
		if o.First.IsZero() {
			o.First = now
		}
		o.Last = now
		f(o)
	})
}

// Settle makes the client's time pass as that of a real one from now on.
func (c *client) Settle() { c.steady.Store(true) }

// scale turns a waiting time of a real client into one of this client.
func (c *client) scale(d time.Duration) time.Duration {
	if c.steady.Load() {
		return d
	}
	return time.Duration(float64(d) / c.speed)
}

// sleep waits for a scaled time. False means that the client must end.
func (c *client) sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(c.scale(d))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// begin and end mark the start and the end of Run. Close ends Run from another goroutine.
func (c *client) begin(ctx context.Context) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, c.cancel = context.WithCancel(ctx)
	c.ended = make(chan struct{})
	return ctx
}

func (c *client) end() {
	c.mu.Lock()
	cancel, ended := c.cancel, c.ended
	c.mu.Unlock()
	cancel()
	c.run.Wait()
	close(ended)
}

// Close ends the client as if the user closed the program. It waits until the sockets are
// closed.
func (c *client) Close() {
	c.mu.Lock()
	cancel, ended := c.cancel, c.ended
	c.mu.Unlock()
	if cancel != nil {
		cancel()
		<-ended
	}
}

func (c *client) spawn(f func()) {
	c.run.Add(1)
	go func() {
		defer c.run.Done()
		f()
	}()
}

// listen opens the one port that a client uses for UDP and TCP.
func (c *client) listen(port uint16) (*net.UDPConn, *net.TCPListener, error) {
	u, err := c.host.ListenUDP(netip.AddrPortFrom(netip.Addr{}, port))
	if err != nil {
		return nil, nil, err
	}
	t, err := c.host.ListenTCP(netip.AddrPortFrom(netip.Addr{}, addrPort(u.LocalAddr()).Port()))
	if err != nil {
		u.Close()
		return nil, nil, err
	}
	return u, t, nil
}

// start sends the SYN of a connection to a peer.
func (c *client) start(peer netip.AddrPort) (*netns.Pending, error) {
	c.acted(func(o *Observations) { o.Attempts++ })
	p, err := c.host.StartTCP(netip.AddrPort{}, peer)
	if refused(err) {
		c.note(func(o *Observations) { o.Refused++ })
	}
	return p, err
}

// wait waits for a connection. The patience is not scaled, because the kernel's SYN
// retransmissions are not.
func (c *client) wait(ctx context.Context, p *netns.Pending, patience time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := p.Wait(ctx)
	c.note(func(o *Observations) {
		switch {
		case err == nil:
			o.Connected[p.Remote]++
		case refused(err):
			o.Refused++
		}
	})
	return conn, err
}

// connect opens a TCP connection to a peer.
func (c *client) connect(ctx context.Context, peer netip.AddrPort, patience time.Duration) (net.Conn, error) {
	p, err := c.start(peer)
	if err != nil {
		return nil, err
	}
	return c.wait(ctx, p, patience)
}

func refused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EACCES)
}

// randomHello is how the official clients begin a session: 12 octets that never repeat.
func randomHello() []byte {
	b := make([]byte, helloLen)
	rand.Read(b)
	return b
}

// Times of a session, before scaling. The patience for each step of the handshake is not
// scaled: a client with fewer sessions than it asked for, since the machine is busy, is
// another case.
const (
	sessionPatience = 10 * time.Second
	searchAfter     = time.Second            // from the handshake to the search
	keepEvery       = 250 * time.Millisecond // between messages
	keepPatience    = 5 * time.Second        // the session is lost after this time without an answer
	searchEvery     = 25 * time.Second       // between searches, which go to all supernodes at once
)

// session does the handshake on an established connection and keeps the session while the
// peer answers. It returns when the session is lost or ctx ends.
func (c *client) session(ctx context.Context, conn net.Conn, hello []byte) {
	opened := time.Now()
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	send := func(b []byte) bool {
		c.acted(func(*Observations) {})
		_, err := conn.Write(b)
		return err == nil
	}
	receive := func(n int, patience time.Duration) bool {
		conn.SetReadDeadline(time.Now().Add(patience))
		n, err := io.ReadFull(conn, make([]byte, n))
		if n > 0 {
			life := time.Since(opened)
			c.note(func(o *Observations) {
				o.BytesIn += n
				o.Longest = max(o.Longest, life)
			})
		}
		return err == nil
	}
	ok := send(hello) && receive(replyLen, sessionPatience) &&
		send(make([]byte, nameLen)) && receive(listLen, sessionPatience) &&
		send(make([]byte, joinLen))
	if !ok {
		return
	}
	c.note(func(o *Observations) { o.Sessions++; o.Open++ })
	defer c.note(func(o *Observations) { o.Open-- })
	out, lost := newCipher(addrPort(conn.RemoteAddr()), 'c'), max(c.scale(keepPatience), time.Second)
	next := opened.Add(c.scale(searchAfter))
	for {
		msg, answer := message(msgKeep, 0), 2
		searching := !c.silent && time.Now().After(next)
		if searching {
			// The length changes from search to search, as the length of users' search
			// words does.
			n := int(c.round(time.Now()))%7 + 23
			msg, answer = message(msgSearch, n), 2+104
			next = c.searchAt()
		}
		if searching || !c.quiet {
			if !send(out.apply(msg)) || !receive(answer, lost) {
				return
			}
		}
		if searching {
			c.note(func(o *Observations) { o.Searches++ })
		}
		if c.quiet { // a quiet client notices at once when the session is ended
			conn.SetReadDeadline(time.Now().Add(c.scale(keepEvery)))
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
		} else if !c.sleep(ctx, keepEvery) {
			return
		}
	}
}

// round returns how many search intervals have passed since the client's first packet.
func (c *client) round(at time.Time) (n time.Duration) {
	c.note(func(o *Observations) { n = at.Sub(o.First) / c.scale(searchEvery) })
	return n
}

// searchAt returns the time of the next search, the same for all sessions.
func (c *client) searchAt() (at time.Time) {
	n := c.round(time.Now()) + 1
	c.note(func(o *Observations) { at = o.First.Add(n * c.scale(searchEvery)) })
	return at
}

// settled reports whether there is a session. While there is one, the client sends no
// pings and opens no connections.
func (c *client) settled() (yes bool) {
	c.note(func(o *Observations) { yes = o.Open > 0 })
	return yes
}
