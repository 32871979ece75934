// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/procd/syslog"
	"github.com/p2pwall/p2pwall/state"
)

// logbook is a log that several goroutines may write while the test reads it.
type logbook struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// take returns the lines since the last call, without the program's name.
func (l *logbook) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []string
	for _, line := range strings.SplitAfter(l.b.String(), "\n") {
		lines = append(lines, strings.TrimPrefix(line, "p2pwall: "))
	}
	l.b.Reset()
	return strings.Join(lines, "")
}

// quiet is a queue in which no packet comes, and a sender that sends nothing.
type quiet struct {
	wake chan struct{}
	fail chan error
}

func (q quiet) Recv(deadline time.Time) (int, error) {
	select {
	case <-q.wake:
	case err := <-q.fail:
		return 0, err
	case <-time.After(time.Until(deadline)):
	}
	return 0, nil
}
func (quiet) Packet(int) *nfq.Packet   { return nil }
func (quiet) Verdict(int, nfq.Verdict) {}
func (quiet) Flush() error             { return nil }
func (quiet) Moderate()                {}
func (q quiet) Wake() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
func (quiet) UDP(_ uint32, _, _ nfq.AddrPort, _ []byte) error { return nil }
func (quiet) Reset(*nfq.Packet) error                         { return nil }
func (quiet) Reject(*nfq.Packet) error                        { return nil }
func (quiet) Answer(*nfq.Packet, []byte) error                { return nil }

// house is a daemon whose engines have no kernel queue. It loads no rules. Its LAN is the
// device lo.
type house struct {
	*daemon
	t       *testing.T
	said    *logbook
	dir     string
	queues  int
	sources []quiet
}

const loopback = 1 // the index of lo

// newHouse makes a house with n engines. The options are those of the main section; a
// text that begins with "config" begins another section.
func newHouse(t *testing.T, n int, options ...string) *house {
	t.Helper()
	h := &house{t: t, said: &logbook{}, dir: t.TempDir(), queues: n}
	h.write(options...)
	c, err := config.Load(h.file())
	if err != nil {
		t.Fatal(err)
	}
	h.daemon = newDaemon(Options{Config: h.file(), NoRules: true, Version: "1.2.3", Log: syslog.New(h.said)}, c)
	t.Cleanup(func() {
		close(h.done)
		h.helpers.Wait()
		h.listener.close()
	})
	if err := h.findDevices(); err != nil {
		t.Fatal(err)
	}
	d := h.daemon
	d.policies.told = d.policies.now(&c, d.status.devices)
	d.status.setPolicies(d.policies.told)
	clock := state.Clock(d.status.started)
	for range n {
		source := quiet{make(chan struct{}, 1), make(chan error, 1)}
		e := state.New(d.engineConfig(&c), source, nil, 7)
		e.OnEvent = d.journal.Record
		if n > 1 {
			e.OnLock = d.locks.of(e)
		}
		e.SetDevices(d.status.devices)
		e.Advance(clock())
		w := &worker{loop: state.NewLoop(e, source, clock)}
		d.workers = append(d.workers, w)
		h.sources = append(h.sources, source)
		d.helpers.Go(func() {
			if err := w.loop.Run(); err != nil {
				d.failed <- err
			}
		})
		t.Cleanup(w.loop.Stop)
	}
	d.rules.workers = d.workers
	d.outbox.Configure(c.Notify)
	d.names.configure(&c)
	d.listener.configure(&c)
	return h
}

func (h *house) file() string { return filepath.Join(h.dir, "p2pwall") }

// write writes the configuration file. The first of the options is in line 4.
func (h *house) write(options ...string) {
	h.t.Helper()
	text := fmt.Sprintf("config p2pwall 'main'\n\tlist device 'lo'\n\toption queues '%d'\n", h.queues)
	for _, o := range options {
		if !strings.HasPrefix(o, "config") {
			o = "\t" + o
		}
		text += o + "\n"
	}
	h.put(h.file(), text)
}

func (h *house) put(path, text string) {
	h.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// saidThen checks the lines that were logged since the last call.
func (h *house) saidThen(when, want string) {
	h.t.Helper()
	if got := h.said.take(); got != want {
		h.t.Errorf("%s: said\n%swant\n%s", when, got, want)
	}
}

var ping, _ = hex.DecodeString("27000000a9804b615a614100")

// pings lets a host ping two peers, which proves that it is a client. It returns the verdict
// on the second ping.
func pings(e *state.Engine, now state.Time, device uint32, client string) (v nfq.Verdict) {
	a := netip.MustParseAddr(client)
	for _, peer := range []string{"203.0.113.9", "203.0.113.10"} {
		v = e.Packet(&nfq.Packet{
			Hook: nfq.HookForward, InDev: device, OutDev: 99, MAC: nfq.MAC{2, 0, 0, 0, 0, a.As4()[3]},
			Version: 4, Proto: nfq.ProtoUDP, Src: nfq.AddrFrom(a), Dst: nfq.AddrFrom(netip.MustParseAddr(peer)),
			SrcPort: 1214, DstPort: 1214, Payload: ping, PayloadLen: len(ping),
		}, now)
	}
	return v
}

// ping lets one of the engines see the pings of a host.
func (h *house) ping(engine int, client string) (v nfq.Verdict) {
	h.workers[engine].loop.Do(func(e *state.Engine, now state.Time) { v = pings(e, now, loopback, client) })
	return v
}

// count returns how many clients an engine knows, and how many of them are locked.
func (h *house) count(engine int) (clients, locked int) {
	h.workers[engine].loop.Do(func(e *state.Engine, _ state.Time) { clients, locked = e.Len() })
	return clients, locked
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
