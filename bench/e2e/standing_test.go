// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// anUpload: a page has a host upload BitTorrent's messages to a server. The wall ends the
// upload that it did not see begin, once. The next one goes on.
func anUpload(e *env) {
	h := e.lab.Clients[0]
	at := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.180"), 8099)
	lab.Serve(e.t, e.lab.Inet, at, lab.Echo)
	const head = "POST /x HTTP/1.1\r\nHost: www.example.net\r\nContent-Length: 1000000\r\n\r\n"
	const request = "\x00\x00\x00\x0d\x06\x00\x00\x01\x02\x00\x00\x40\x00\x00\x00\x40\x00"
	var c net.Conn
	upload := func() {
		var err error
		c, err = dial(h, "tcp", at)
		e.ok(err)
	}
	says := func(b string) bool {
		c.SetDeadline(time.Now().Add(5 * time.Second))
		_, err := io.WriteString(c, b)
		if err == nil {
			_, err = io.ReadFull(c, make([]byte, len(b)))
		}
		time.Sleep(100 * time.Millisecond)
		return err == nil
	}
	upload()
	defer func() { c.Close() }()
	says(head)
	e.startWall()
	e.must(e.until("the upload's end", func() bool { return !says(request) }), "the upload was not ended")
	c.Close()
	upload()
	says(head)
	for range 30 {
		if !e.must(says(request), "the next upload was ended") {
			break
		}
	}
	if e.wall != nil {
		s, err := e.wall.Status()
		e.must(err == nil && s.Locked == 0, "%d locked, %v", s.Locked, err)
	}
}

// talk is a long conversation on one connection to an echo server.
type talk struct {
	name string
	port uint16
	says func() []byte
	// shows: packets in the middle of the conversation show its protocol, or they go to a
	// well-known service's port.
	shows bool
}

// ciphered is a record: a head and n random bytes.
func ciphered(head string, n int) []byte { return append([]byte(head), noise(n)...) }

var talks = []talk{
	{"SSH at any port", 2222, func() []byte { return noise(36 + 8*rand.IntN(8)) }, true},
	{"TLS at any port", 9443, func() []byte { return ciphered("\x17\x03\x03\x00\x40", 64) }, true},
	{"mail by TLS", 993, func() []byte { return ciphered("\x17\x03\x03\x00\x30", 48) }, true},
	{"IRC", 6667, func() []byte { return []byte("PRIVMSG #x :hullo\r\n") }, true},
	{"HTTP", 8081, func() []byte { return []byte("GET /1 HTTP/1.1\r\nHost: www.example.net\r\nAccept: */*\r\n\r\n") }, true},
	{"a WebSocket", 8082, func() []byte { return ciphered("\x82\xa0", 36) }, true},
	{"MQTT", 1883, func() []byte { return []byte("\xc0\x00") }, true},
	{"Steam", 27030, func() []byte { return ciphered("\x28\x00\x00\x00VT01", 40) }, true},
	{"a VPN", 11940, func() []byte { return ciphered("\x00\x4d\x48", 76) }, true},
	{"a remote desktop", 5901, func() []byte { return []byte("\x05\x00\x01\x20\x02\x10\x05\x00\x01\x22\x02\x12") }, true},
	{"a game", 7777, func() []byte { return []byte("\x0c\x00\x00\x00\x07\x00\x00\x00\x00\x00\x80\x3f\x00\x00\x20\x41") }, true},
	{"a game, enciphered", 25565, func() []byte { return noise(10 + rand.IntN(60)) }, false},
	{"a proxy", 8388, func() []byte { return noise(60 + rand.IntN(600)) }, false},
	{"another proxy", 8390, func() []byte { return noise(60 + rand.IntN(600)) }, false},
	{"a proxy at a web server's port", 8443, func() []byte { return noise(60 + rand.IntN(600)) }, true},
	{"another at that port", 8443, func() []byte { return noise(35 + rand.IntN(60)) }, true},
}

// shownTalks are the talks that show their protocol.
func shownTalks() (shown []talk) {
	for _, k := range talks {
		if k.shows {
			shown = append(shown, k)
		}
	}
	return shown
}

// lasting starts one talk of each kind from a host, all at once, each to its own address.
// judge ends them and checks that none ended earlier.
func (e *env) lasting(h *lab.Host, from int, all []talk) (judge func()) {
	e.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	e.t.Cleanup(cancel)
	broken := make(chan string, len(all))
	done := make(chan struct{}, len(all))
	var said atomic.Int64
	for i, k := range all {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(from + i)}), k.port)
		lab.Serve(e.t, e.lab.Inet, at, lab.Echo)
		c, err := dial(h, "tcp", at)
		e.ok(err)
		go func() {
			defer func() { done <- struct{}{} }()
			defer c.Close()
			for ctx.Err() == nil {
				b := k.says()
				c.SetDeadline(time.Now().Add(10 * time.Second))
				_, err := c.Write(b)
				if err == nil {
					_, err = io.ReadFull(c, make([]byte, len(b)))
				}
				if err != nil {
					broken <- fmt.Sprintf("%s of %s: %v", k.name, h.Name, err)
					return
				}
				said.Add(1)
				// Whoever says nothing for three seconds may be taken for a session of MLDonkey.
				time.Sleep(min(time.Duration(pace())*100*time.Millisecond, time.Second))
			}
		}()
	}
	return func() {
		cancel()
		for range all {
			<-done
		}
		close(broken)
		for what := range broken {
			e.fault("%s", what)
		}
		if said.Load() < int64(2*len(all)) {
			e.t.Errorf("only %d things were said", said.Load())
		}
	}
}

// player is a simulated open client: giFT or MLDonkey.
type player interface {
	Run(context.Context) error
	Seen() lab.Observations
	Settle()
}

// shortLock is the lock time of tests in which clients act as much faster.
const shortLock = "4"

// standing: a client has sessions when the wall starts, and sends only its searches.
// Other conversations run on its host and on another host. With an outage, an earlier
// wall was killed, and the sessions began after that.
func standing(client func(*lab.Host, lab.OpenConfig) player, port uint16, outage time.Duration) func(*env) {
	return func(e *env) {
		h := e.lab.Clients[0]
		// OpenWrt has 60 seconds. What is emulated takes longer to get so far.
		e.ok(e.lab.Router.Sysctl(map[string]string{"net/netfilter/nf_conntrack_udp_timeout": "120"}))
		if outage > 0 && e.cfg.Bin != "" {
			e.startWall()
			e.wall.Stop() // so that the wall saves a state
			e.startWall()
			e.wall.Kill()
			e.wall = nil
		}
		died := time.Now()
		judgeHost, judgeOther := e.lasting(h, 100, shownTalks()), e.lasting(e.lab.Innocent, 130, talks)
		k := client(h, lab.OpenConfig{Peers: e.lab.Peers[:40], Port: port, Speed: openSpeed, Quiet: true})
		stop := e.start(k.Run)
		e.until("its sessions, and searches in them", func() bool { o := k.Seen(); return o.Open >= 5 && o.Searches >= 50 })
		time.Sleep(time.Until(died.Add(outage)))
		if e.cfg.Bin != "" && e.cfg.Main["timelock"] != shortLock {
			k.Settle()
		}
		e.startWall()
		began := time.Now()
		if e.wall != nil {
			var s lab.ClientStatus
			e.until("the client to be found", func() (found bool) {
				var err error
				s, err = e.wall.Client(h)
				return err == nil
			})
			took := time.Since(began)
			e.t.Logf("found after %v", took.Round(time.Millisecond))
			e.must(took < time.Minute, "found after %v only", took)
			// A new session would prove it as well, but comes up to a minute after the search.
			e.must(s.Proof == "answer", "proved by %q, not by what it answers", s.Proof)
		}
		// Each session ends when the client sends something in it.
		e.until("the end of what is up", func() bool { return k.Seen().Open == 0 })
		ended := k.Seen()
		time.Sleep(6 * time.Second)
		o := k.Seen()
		e.must(o.Searches == ended.Searches && o.Sessions == ended.Sessions && o.Open == 0,
			"%d searches and %d sessions after the end of all", o.Searches-ended.Searches, o.Sessions-ended.Sessions)
		if e.wall != nil {
			e.must(e.locked(h), "not locked")
			s, err := e.wall.Client(e.lab.Innocent)
			e.must(err != nil, "the innocent host is a client: %+v", s)
		}
		judgeHost()
		judgeOther()
		stop()
		e.lab.Packets.Complete(e.t)
	}
}

// standingSilent: MLDonkey has sessions when the wall starts and never says anything in
// them, because its user searches for nothing. The wall ends them, and the client shows
// itself when it connects again. Other conversations of its host continue.
func standingSilent(e *env) {
	h := e.lab.Clients[0]
	judge := e.lasting(h, 100, shownTalks())
	k := lab.NewMLDonkey(h, lab.OpenConfig{Peers: e.lab.Peers[:40], Speed: openSpeed, Silent: true})
	stop := e.start(k.Run)
	e.until("its sessions", func() bool { return k.Seen().Open >= 5 })
	sessions := k.Seen().Sessions
	k.Settle()
	e.startWall()
	if e.wall != nil {
		began := time.Now()
		e.until("the client to be found", func() bool { _, err := e.wall.Client(h); return err == nil })
		took := time.Since(began)
		e.t.Logf("found after %v", took.Round(time.Millisecond))
		e.must(took < time.Minute, "found after %v only", took)
	} else {
		time.Sleep(10 * time.Second)
	}
	time.Sleep(6 * time.Second)
	o := k.Seen()
	e.must(o.Open == 0 && o.Sessions == sessions, "%d sessions go on, %d are new", o.Open, o.Sessions-sessions)
	if e.wall != nil {
		e.must(e.locked(h), "not locked")
	}
	judge()
	stop()
	e.lab.Packets.Complete(e.t)
}

func newGiFT(h *lab.Host, c lab.OpenConfig) player     { return lab.NewGiFT(h, c) }
func newMLDonkey(h *lab.Host, c lab.OpenConfig) player { return lab.NewMLDonkey(h, c) }

// newShutMLDonkey is MLDonkey with a user interface that is closed to other hosts.
func newShutMLDonkey(h *lab.Host, c lab.OpenConfig) player {
	c.Shut = true
	return lab.NewMLDonkey(h, c)
}

// aSign: a host without a client accepts connections at FastTrack's port and never
// answers. The wall ends each of its connections with unknown contents once, also those in
// which it says nothing, and lets the host connect again. Connections that show another
// protocol continue.
func aSign(e *env) {
	h := e.lab.Clients[0]
	lab.Serve(e.t, h, lab.Any(1214), func(net.Conn) {})
	judge := e.lasting(h, 100, shownTalks())
	// Two unknown connections, and two in which nothing is said. They connect again when they
	// are ended.
	var ended [4]atomic.Int32
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for i := range ended {
		to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(180 + i)}), uint16(8388+i))
		lab.Serve(e.t, e.lab.Inet, to, lab.Echo)
		go func() {
			for ; ctx.Err() == nil; ended[i].Add(1) {
				c, err := h.Dial(ctx, "tcp", netip.AddrPort{}, to)
				if err != nil {
					continue
				}
				if i >= 2 {
					stop := context.AfterFunc(ctx, func() { c.Close() })
					_, err = c.Read(make([]byte, 1))
					stop()
				}
				for err == nil && ctx.Err() == nil {
					b := noise(60 + rand.IntN(600))
					c.SetDeadline(time.Now().Add(10 * time.Second))
					if _, err = c.Write(b); err == nil {
						_, err = io.ReadFull(c, b)
					}
					time.Sleep(50 * time.Millisecond)
				}
				c.Close()
			}
		}()
	}
	time.Sleep(time.Second)
	e.startWall()
	each := func(n int32) bool {
		for i := range ended {
			if ended[i].Load() != n {
				return false
			}
		}
		return true
	}
	e.until("the end of all four", func() bool { return each(1) })
	time.Sleep(5 * time.Second)
	e.must(each(1), "of four connections, not all were ended once: %d, %d, %d, %d", ended[0].Load(), ended[1].Load(), ended[2].Load(), ended[3].Load())
	if e.wall != nil {
		s, err := e.wall.Status()
		e.must(err == nil && s.Locked == 0, "%d locked, %v", s.Locked, err)
		e.must(e.canConnect(h, lab.Server4, 5*time.Second), "the host cannot connect")
	}
	judge()
}
