// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"encoding/hex"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/check"
	"github.com/p2pwall/p2pwall/procd/events"
	"github.com/p2pwall/p2pwall/procd/history"
	"github.com/p2pwall/p2pwall/state"
)

// noSource receives no packets; noSender sends nothing.
type noSource struct{ wake chan struct{} }

func (s noSource) Recv(deadline time.Time) (int, error) {
	select {
	case <-s.wake:
	case <-time.After(time.Until(deadline)):
	}
	return 0, nil
}
func (noSource) Packet(int) *nfq.Packet   { return nil }
func (noSource) Verdict(int, nfq.Verdict) {}
func (noSource) Flush() error             { return nil }
func (noSource) Moderate()                {}
func (s noSource) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

type noSender struct{}

func (noSender) UDP(_ uint32, _, _ nfq.AddrPort, _ []byte) error { return nil }
func (noSender) Reset(*nfq.Packet) error                         { return nil }
func (noSender) Reject(*nfq.Packet) error                        { return nil }
func (noSender) Answer(*nfq.Packet, []byte) error                { return nil }

// The time of the tests, on the wall clock and on the engine's clock.
var (
	wallNow   = time.Date(2026, 1, 2, 3, 4, 5, 600e6, time.UTC)
	engineNow = state.Time(wallNow.UnixNano())
)

// world is a service with engines that know some hosts.
type world struct {
	*Service
	mu   sync.Mutex
	time state.Time
}

// newWorld makes a service with n engines. Times in replies are fixed.
func newWorld(t testing.TB, n int) *world {
	t.Helper()
	w := &world{time: engineNow}
	wall := wallNow.Add(-90 * time.Second) // the start of the daemon
	w.Service = &Service{
		Journal: events.NewJournal(func() time.Time { return wall }), History: new(history.Table), PID: 4711,
		Info: func() Info {
			return Info{
				Version: "1.2.3", Config: "/etc/config/p2pwall", Started: wallNow.Add(-90 * time.Second),
				Enabled: true, Backend: "nft", Sets: "nft", RulesOK: true, Devices: []string{"br-lan", "br-guest"},
				TimeLock: 2 * time.Minute,
				Queues:   []Queue{{Number: 214, Length: 1024, Waiting: 3, Dropped: 4, UserDropped: 5}},
			}
		},
		Name: func(a nfq.Addr, _ nfq.MAC) string {
			if a == addr("192.168.1.51") {
				return "<kids> pc"
			}
			return ""
		},
		Receivers: func() []Receiver {
			return []Receiver{{Name: "phone", Kind: "ntfy", Waiting: 2, Fault: "curl: (7) no route"}, {Name: "hook", Kind: "webhook"}}
		},
		Pause: func(time.Duration) {},
		TestReceivers: func() []Receiver {
			return []Receiver{{Name: "phone", Kind: "ntfy", Fault: "curl: (7) no route"}, {Name: "hook", Kind: "webhook"}}
		},
		Check: func() []check.Finding {
			return []check.Finding{
				{Level: check.LevelOK, What: "nft can queue packets"},
				{
					Level: check.LevelWarning, What: "offload <is> on", Code: "offload", Args: []string{"<is>"},
					Remedy: "set it off & reload", Fix: "off", FixArgs: nil,
				},
			}
		},
		Now: func() time.Time { return wallNow },
	}
	wall = wallNow
	for range n {
		cfg := state.DefaultConfig()
		cfg.LockTime = 2 * time.Minute
		e := state.New(cfg, noSender{}, nil, 7)
		e.OnEvent = w.Journal.Record
		e.SetDevices([]state.Device{{
			Index: 3, Name: "br-lan", Addrs: []nfq.Addr{addr("192.168.1.1")},
			Prefixes: []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")},
		}})
		e.Advance(engineNow)
		l := state.NewLoop(e, noSource{make(chan struct{}, 1)}, w.now)
		w.Loops = append(w.Loops, l)
		go l.Run()
		t.Cleanup(l.Stop)
	}
	return w
}

func (w *world) now() state.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

// pass lets time pass. It returns when the engines know of it: a loop looks at the clock once
// for all requests that it finds waiting.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	w.time = w.time.After(d)
	w.mu.Unlock()
	for _, l := range w.Loops {
		for seen := state.Time(0); seen != w.now(); {
			l.Do(func(_ *state.Engine, now state.Time) { seen = now })
		}
	}
}

func addr(s string) nfq.Addr { return nfq.AddrFrom(netip.MustParseAddr(s)) }

var (
	clientMAC = nfq.MAC{2, 0, 0, 0, 0, 0xa}
	ping, _   = hex.DecodeString("27000000a9804b615a614100")
)

// ping lets a LAN host ping a peer. If syn is set, the host opens a TCP connection to the
// peer as well. The last byte of its MAC is that of its address.
func (w *world) ping(loop int, client, peer string, syn bool) {
	mac := clientMAC
	mac[5] = netip.MustParseAddr(client).As4()[3]
	w.Loops[loop].Do(func(e *state.Engine, now state.Time) {
		p := nfq.Packet{
			Hook: nfq.HookForward, InDev: 3, OutDev: 2, MAC: mac, Version: 4, Proto: nfq.ProtoUDP,
			Src: addr(client), Dst: addr(peer), SrcPort: 1214, DstPort: 1214, Payload: ping, PayloadLen: len(ping),
		}
		e.Packet(&p, now)
		if syn {
			p.Proto, p.TCPFlags, p.Payload, p.PayloadLen = nfq.ProtoTCP, nfq.SYN, nil, 0
			e.Packet(&p, now)
		}
	})
}

// prove lets a LAN host ping two peers, which proves that it is a client.
func (w *world) prove(loop int, client string) {
	w.ping(loop, client, "203.0.113.9", true)
	w.ping(loop, client, "203.0.113.10", true)
}

// enter puts the recorded events into the journal.
func (w *world) enter() { w.Journal.Drain(func(*events.Entry) {}) }

func found(client string) state.Event {
	return state.Event{
		Class: state.ClassClient, What: state.EventFound, Protocol: uint8(detect.ByName("fasttrack")),
		Reason: detect.ReasonPing, Client: addr(client), MAC: clientMAC, Peer: addr("198.51.100.7"), Port: 1214,
	}
}

// control serves a handler at a socket in a directory of the test.
func control(t *testing.T, handle func(Request, *Reply)) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "control.sock")
	s, err := Listen(path, handle)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return path
}

func ask(t *testing.T, path, request string) string {
	t.Helper()
	var got string
	err := Call(path, []byte(request+"\n"), time.Minute, func(line []byte) bool {
		got = string(line)
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}
