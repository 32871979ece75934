// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/netns"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// manager listens as systemd does. The function it returns gives the next message.
func manager(t *testing.T) (hear func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		t.Helper()
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1024)
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		line, _, _ := strings.Cut(string(b[:n]), "\n")
		return line
	}
}

// TestServeEnds: each reason to end is logged, and only SIGUSR2 leaves the rules to a
// successor.
func TestServeEnds(t *testing.T) {
	for _, x := range []struct {
		name      string
		end       func(h *house, signals chan<- os.Signal, cancel context.CancelCauseFunc)
		says      string
		successor bool
		fails     bool
	}{
		{"SIGTERM", func(_ *house, s chan<- os.Signal, _ context.CancelCauseFunc) { s <- syscall.SIGTERM }, "ending: terminated\n", false, false},
		{"SIGINT", func(_ *house, s chan<- os.Signal, _ context.CancelCauseFunc) { s <- syscall.SIGINT }, "ending: interrupt\n", false, false},
		{"SIGUSR2", func(_ *house, s chan<- os.Signal, _ context.CancelCauseFunc) { s <- syscall.SIGUSR2 }, "ending for a successor: rules and sets stay\n", true, false},
		{"context", func(_ *house, _ chan<- os.Signal, c context.CancelCauseFunc) { c(errors.New("enough")) }, "ending: enough\n", false, false},
		{"queue", func(h *house, _ chan<- os.Signal, _ context.CancelCauseFunc) {
			h.sources[1].fail <- errors.New("no buffer")
		}, "the queue failed: no buffer\n", false, true},
	} {
		h := newHouse(t, 2)
		ctx, cancel := context.WithCancelCause(t.Context())
		signals := make(chan os.Signal, 1)
		x.end(h, signals, cancel)
		successor, err := h.serve(ctx, signals)
		cancel(nil)
		if successor != x.successor || (err != nil) != x.fails {
			t.Errorf("%s: successor %v, %v", x.name, successor, err)
		}
		h.saidThen(x.name, x.says)
	}
}

// TestServeReloads: systemd hears of the beginning and the end of a reload, also of one
// that fails, and the daemon goes on.
func TestServeReloads(t *testing.T) {
	hear := manager(t)
	h := newHouse(t, 1)
	signals := make(chan os.Signal)
	ended := make(chan error)
	go func() {
		_, err := h.serve(t.Context(), signals)
		ended <- err
	}()
	for _, x := range []struct{ option, says string }{
		{"option timelock '31'", "configuration read again"},
		{"option timelock 'x'", "the old one stays in force"},
		{"option timelock '32'", "configuration read again"},
	} {
		h.write(x.option)
		signals <- syscall.SIGHUP
		for _, want := range []string{"RELOADING=1", "READY=1"} {
			if got := hear(); got != want {
				t.Fatalf("%s: systemd heard %q, want %q", x.option, got, want)
			}
		}
		if got := h.said.take(); !strings.Contains(got, x.says) {
			t.Errorf("%s: said %s", x.option, got)
		}
	}
	signals <- syscall.SIGTERM
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := h.status.info().TimeLock; got != 32*time.Second {
		t.Errorf("lock time %v", got)
	}
}

// TestLastWords: before the daemon ends with a queue that failed, it tells those who want
// to know that the network is not protected.
func TestLastWords(t *testing.T) {
	netns.Need(t, "curl")
	told := make(chan string, 4)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b := make([]byte, 4096)
		n, _ := r.Body.Read(b)
		told <- string(b[:n])
	}))
	defer server.Close()
	h := newHouse(t, 1, "config notify 'hook'", "option type 'webhook'", "option url '"+server.URL+"'", "list event 'unprotected'")
	h.helpers.Go(h.outbox.Run)
	h.failed <- errors.New("no buffer")
	if _, err := h.serve(t.Context(), nil); err == nil || err.Error() != "no buffer" {
		t.Errorf("%v", err)
	}
	select {
	case got := <-told:
		if !strings.Contains(got, "the queue failed: no buffer") {
			t.Errorf("told %s", got)
		}
	default:
		t.Error("it ended before anybody was told")
	}
}

// TestQueueLost: a queue that the kernel has taken away is a trouble that is told.
func TestQueueLost(t *testing.T) {
	netns.Enter(t)
	h := newHouse(t, 1, "option queue '321'", "config notify 'phone'", "option type 'ntfy'", "option url 'http://127.0.0.1:9/x'", "list event 'unprotected'")
	h.o.NoRules = false
	h.status.setRules("nft", "nft", true)
	open := func() *nfq.Queue {
		q, _, err := nfq.Open(nfq.Config{Num: 321, MaxLen: 10, CopyRange: 100, Marks: h.status.cfg.Marks()})
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	q := open()
	rounds := func(want string) {
		t.Helper()
		for range lasting + queueEvery {
			if h.rounds++; h.rounds%inboundEvery == inboundFirst {
				h.rounds++ // that round would run programs
			}
			h.lookForTrouble()
		}
		if h.troubles.said != want {
			t.Errorf("told %q, want %q", h.troubles.said, want)
		}
	}
	rounds("")
	if i := h.status.info(); len(i.Queues) != 1 || i.Queues[0].Number != 321 || i.Queues[0].Length != h.status.cfg.QueueLength {
		t.Errorf("queues %+v", i.Queues)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	rounds("the kernel has lost its queue")
	if i := h.status.info(); len(i.Queues) != 0 {
		t.Errorf("queues %+v", i.Queues)
	}
	q = open()
	defer q.Close()
	rounds("")
}

// TestDescribe: a message names the program that was found on a host, also when the host
// has another address by now.
func TestDescribe(t *testing.T) {
	h := newHouse(t, 2, "config host", "option name 'study'", "list mac '02:00:00:00:00:32'")
	hello := "GNUTELLA CONNECT/0.6\r\nUser-Agent: LimeWire/4.9.11\r\nX-Ultrapeer: False\r\n\r\n"
	mac := nfq.MAC{2, 0, 0, 0, 0, 50}
	opens := func(last byte, mac nfq.MAC, hello string) {
		h.workers[1].loop.Do(func(e *state.Engine, now state.Time) {
			for i, peer := range []byte{9, 10, 11} {
				p := nfq.Packet{
					Hook: nfq.HookForward, InDev: loopback, OutDev: 99, MAC: mac, Version: 4, Proto: nfq.ProtoTCP, TCPFlags: nfq.SYN,
					Src: nfq.Addr{10: 0xff, 0xff, 127, 0, 0, last}, Dst: nfq.Addr{10: 0xff, 0xff, 203, 0, 113, peer},
					SrcPort: 5000 + uint16(i), DstPort: 6346, Seq: 99,
				}
				e.Packet(&p, now)
				p.TCPFlags, p.Seq, p.Payload, p.PayloadLen = nfq.ACK|nfq.PSH, 100, []byte(hello), len(hello)
				e.Packet(&p, now)
			}
		})
	}
	opens(50, mac, hello)
	opens(60, nfq.MAC{}, strings.Replace(hello, "LimeWire", "BearShare", 1)) // behind another router
	for _, x := range []struct {
		addr          nfq.Addr
		mac           nfq.MAC
		name, program string
	}{
		{nfq.Addr{10: 0xff, 0xff, 127, 0, 0, 50}, mac, "study", "LimeWire/4.9.11"},
		{nfq.Addr{10: 0xff, 0xff, 127, 0, 0, 99}, mac, "study", "LimeWire/4.9.11"},
		{nfq.Addr{10: 0xff, 0xff, 127, 0, 0, 50}, nfq.MAC{}, "", "LimeWire/4.9.11"},
		{nfq.Addr{10: 0xff, 0xff, 127, 0, 0, 99}, nfq.MAC{}, "", ""},
	} {
		if name, program := h.describe(x.addr, x.mac); name != x.name || program != x.program {
			t.Errorf("%v %v: %q, %q", x.addr, x.mac, name, program)
		}
	}
}
