// SPDX-License-Identifier: GPL-2.0-or-later

package attacks

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// TestReloadWithAQuestionOut: the wall sends a probe to a host. Before the host answers,
// all protocols are switched off. Then the answer comes.
//
// Fails on 8048849: the daemon panics.
func TestReloadWithAQuestionOut(t *testing.T) {
	e := newEnv(t, setup{})
	h := e.lab.Clients[0]
	v := e.victim(h)
	u, err := h.ListenUDP(netip.AddrPortFrom(h.Addr4, 0xa2b9))
	e.ok(err)
	defer u.Close()
	b := make([]byte, 2048)
	var from netip.AddrPort
	var question string
	mappings["NAT-PMP"](e, h)
	u.SetReadDeadline(time.Now().Add(patience))
	n, from, err := u.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatalf("the host is not asked: %v", err)
	}
	question = string(b[:n])
	off := e.wall.Config
	off.Protocols = map[string]map[string]string{}
	for _, name := range []string{"fasttrack", "bittorrent", "edonkey", "soulseek", "directconnect", "gnutella"} {
		off.Protocols[name] = map[string]string{"mode": "off"}
	}
	off.Main["timelock"] = "5"
	e.ok(os.WriteFile(e.wall.File, []byte(off.UCI()), 0o600))
	e.ok(e.wall.Signal(syscall.SIGHUP))
	e.until("the new configuration", func() bool { return strings.Contains(e.wall.LogText(), "configuration read again") })
	answers := []string{answerTo(question), question, string(lab.PingBytes(lab.EncGiFT, "KaZaA")), "d1:rd2:id20:abcdefghij0123456789e1:t4:abcd1:y1:re"}
	for range 3 {
		for _, a := range answers {
			_, err := u.WriteToUDPAddrPort([]byte(a), from)
			e.ok(err)
		}
	}
	v.unharmed()
	if !e.wall.Running() {
		t.Error("the daemon is gone")
	}
	if text := e.wall.LogText(); strings.Contains(text, "panic") || strings.Contains(text, "goroutine ") {
		t.Error("the daemon panicked")
	}
}

// answerTo is a BitTorrent client's answer to a probe.
func answerTo(question string) string {
	if at := strings.Index(question, "1:t4:"); at >= 0 {
		return "d1:rd2:id20:abcdefghij0123456789e" + question[at:at+9] + "1:y1:re"
	}
	// A uTP state packet: connection ID and acknowledged sequence number.
	b := []byte("\x21\x00\x00\x00\x11\x22\x33\x44\x00\x00\x00\x01\x00\x04\x00\x00\x00\x01\x00\x00")
	if len(question) >= 20 {
		copy(b[2:4], question[2:4])
		copy(b[18:20], question[16:18])
	}
	return string(b)
}

// TestEventCommands: 380 strangers send queries to a DHT client and are named in answers.
// The wall must not start more than one process a second.
//
// Fails on 8048849: it starts one for each stranger (case K18).
func TestEventCommands(t *testing.T) {
	dir := t.TempDir()
	script, calls := filepath.Join(dir, "event"), filepath.Join(dir, "calls")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho \"$ACTION\" >>"+calls+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	e := newEnv(t, setup{main: map[string]string{"event_command": script, "timelock": "30"}})
	h := e.lab.Clients[0]
	began := time.Now()
	e.client("BitTorrent", h)
	e.locked(h)
	raw := e.raw(e.lab.Inet)
	for i := range 380 {
		b := [4]byte{203, 0, 113, byte(i)}
		if i >= 250 {
			b = [4]byte{198, 51, 100, byte(i - 250)}
		}
		from := port(netip.AddrFrom4(b), uint16(20000+i))
		six := stranger6.As16()
		six[13] = byte(i)
		e.ok(raw.Send(lab.UDPPacket(from, port(h.Addr4, 51413), []byte(krpcPing))))
		e.ok(raw.Send(lab.UDPPacket(from, port(h.Addr4, 51413), krpcValues("aa", port(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), uint16(30000+i))))))
		e.ok(raw.Send(lab.UDPPacket(port(netip.AddrFrom16(six), 6881), port(h.Addr6, 51413), []byte(krpcPing))))
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(2 * time.Second) // for delayed commands
	seconds := time.Since(began).Seconds()
	text, _ := os.ReadFile(calls)
	n := strings.Count(string(text), "\n")
	t.Logf("%d commands in %.1f s", n, seconds)
	if !strings.Contains(string(text), "client-found") {
		t.Error("no command was called for the client")
	}
	// One more for the client itself.
	if most := int(seconds) + 2; n > most {
		t.Errorf("%d commands in %.1f s", n, seconds)
	}
}

// TestSlowAnswer: the wall probes two hosts with clients by TCP. They accept the
// connection and send one byte a second. The wall must end each of these connections and
// must probe a third host meanwhile.
//
// Fails on 8048849: each byte restarts the timeout, for up to an hour. Two such hosts
// prevent all other probes.
func TestSlowAnswer(t *testing.T) {
	e := newEnv(t, setup{lab: lab.Config{Clients: 3}, main: map[string]string{"timelock": "6"}})
	ended := make(chan time.Duration, 100)
	asked := make(chan struct{}, 100)
	var begun atomic.Int32
	slow := func(c net.Conn) {
		begun.Add(1)
		begin := time.Now()
		for time.Since(begin) < 2*patience {
			if _, err := c.Write([]byte{0x9e}); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		ended <- time.Since(begin)
	}
	// The hosts answer nothing by UDP and continue to send pings.
	pings := func(h *lab.Host, serve func(net.Conn)) {
		lab.Serve(t, h, lab.Any(1214), serve)
		e.start(func(ctx context.Context) error {
			for ; ctx.Err() == nil; time.Sleep(time.Second) {
				for _, to := range []netip.Addr{stranger4, stranger4b} {
					c, err := h.Dial(ctx, "udp", port(h.Addr4, 1214), port(to, 1214))
					if err != nil {
						return err
					}
					c.Write(lab.PingBytes(lab.EncGiFT, "KaZaA"))
					c.Close()
				}
				if e.wall.LastLock(h) == "locked" {
					time.Sleep(7 * time.Second) // time for a probe or for the release
				}
			}
			return nil
		})
		e.locked(h)
	}
	pings(e.lab.Clients[0], slow)
	pings(e.lab.Clients[1], slow)
	pings(e.lab.Clients[2], func(net.Conn) { asked <- struct{}{} })
	for i := range 2 {
		select {
		case d := <-ended:
			t.Logf("a slow answer was ended after %v", d.Round(time.Second))
		case <-time.After(40 * time.Second):
			t.Errorf("%d slow answers were ended of %d that began", i, begun.Load())
			return
		}
	}
	select {
	case <-asked:
	case <-time.After(40 * time.Second):
		t.Error("the third is not asked")
	}
}

// TestListLoading: somebody keeps loading long lists into nftables, as an ad blocker or a
// list of countries does. Other hosts' packets must not wait for that while clients come
// and go.
//
// Fails on 8048849: the one goroutine that decides verdicts waits for its change of the
// sets, up to a second and more, and all packets wait with it.
func TestListLoading(t *testing.T) {
	lab.Need(t, "nft")
	e := newEnv(t, setup{lab: lab.Config{Clients: 4}, main: map[string]string{"sets": "nft", "timelock": "2"}})
	file := filepath.Join(t.TempDir(), "list.nft")
	var b strings.Builder
	b.WriteString("table inet someoneelse\ndelete table inet someoneelse\ntable inet someoneelse {\n set s {\n type ipv4_addr\n flags interval\n elements = {")
	for i := range 100_000 {
		fmt.Fprintf(&b, "%d.%d.%d.0/25,", 11+i/65536, i/256%256, i%256)
	}
	b.WriteString(" }\n }\n}\n")
	e.ok(os.WriteFile(file, []byte(b.String()), 0o600))
	_, err := e.lab.Router.Run("nft", "-f", file)
	e.ok(err)
	t.Cleanup(func() { e.lab.Router.Run("nft", "delete", "table", "inet", "someoneelse") })

	// Each of these packets goes through the queue.
	longest := func(d time.Duration) time.Duration {
		from := e.lab.Packets.Now()
		end := time.Now().Add(d)
		for i := 0; time.Now().Before(end); i++ {
			e.sendFrom(e.lab.Innocent, netip.AddrPort{}, port(lab.Server4, uint16(30000+i%1000)), fmt.Appendf(nil, "\x01%06d", i))
			time.Sleep(2 * time.Millisecond)
		}
		var most time.Duration
		entered := map[string]time.Time{}
		for _, p := range e.lab.Packets.All(func(p *lab.Packet) bool {
			return p.At > from && p.Proto == lab.UDP && p.Len == 7 && p.Dst.Addr() == lab.Server4
		}) {
			if key := string(p.Head[:7]); !p.Out {
				entered[key] = p.Time
			} else if at, ok := entered[key]; ok {
				most = max(most, p.Time.Sub(at))
			}
		}
		return most
	}
	quiet := longest(2 * time.Second)
	var load time.Duration
	loads := e.start(func(ctx context.Context) error {
		for ctx.Err() == nil {
			begin := time.Now()
			if _, err := e.lab.Router.Run("nft", "-f", file); err != nil {
				return err
			}
			load = max(load, time.Since(begin))
		}
		return nil
	})
	for _, h := range e.lab.Clients {
		e.client("FastTrack", h)
	}
	busy := longest(8 * time.Second)
	loads()
	t.Logf("the longest wait of a packet: %v, while lists are loaded %v; a list takes %v", quiet, busy, load)
	for _, h := range e.lab.Clients {
		e.locked(h)
	}
	// Much of a list's loading time is in the kernel, and other users of nftables must
	// wait then.
	if busy > load/8 && busy > 5*quiet {
		t.Errorf("a packet waited %v for the loading of a list, which takes %v", busy, load)
	}
}

// TestRoutersMarks: the router's own packets must leave, whatever mark they have.
//
// Fails on 8048849: packets with one of the wall's two mark bits are dropped or not
// tracked.
func TestRoutersMarks(t *testing.T) {
	e := newEnv(t, setup{})
	for _, to := range []netip.AddrPort{port(lab.Server4, 27015), port(lab.Server6, 27015)} {
		for bit := range 32 {
			c, err := e.lab.Router.Dial(context.Background(), "udp", netip.AddrPort{}, to)
			e.ok(err)
			raw, err := c.(*net.UDPConn).SyscallConn()
			e.ok(err)
			e.ok(raw.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, int(int32(uint32(1)<<bit)))
			}))
			e.ok(err)
			c.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err = c.Write([]byte{1, byte(bit)}); err == nil {
				_, err = c.Read(make([]byte, 10))
			}
			if err != nil {
				t.Errorf("mark %#x to %s: %v", uint32(1)<<bit, to, err)
			}
			c.Close()
		}
	}
}
