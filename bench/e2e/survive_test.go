// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// survivals are the disturbances that the program must survive.
var survivals = []scenario{
	{name: "killed", main: map[string]string{"timelock": "2"}, run: killed},
	{name: "stopped", main: map[string]string{"timelock": "2"}, run: stopped},
	{name: "queue overrun", main: map[string]string{"timelock": "2", "queue_length": "64"}, run: overrun},
	{name: "rules deleted", main: map[string]string{"timelock": "2"}, run: rulesDeleted},
	{name: "second instance", run: secondInstance},
	{name: "malformed packets", lab: lab.Config{Clients: 2}, main: map[string]string{"sets": "off"}, run: malformed},
	{name: "restart", main: map[string]string{"timelock": "4"}, run: restart},
	{name: "stop and start", main: map[string]string{"timelock": "60"}, run: stopStart},
	{name: "stop on a slow disk", main: map[string]string{"timelock": "60"}, run: stopSlowDisk},
	{name: "reload", main: map[string]string{"timelock": "4"}, run: reload},
	{name: "no LAN at the start", main: map[string]string{"timelock": "2", "device": ""}, late: true, run: lateLAN},
	{name: "exempt", main: map[string]string{"exempt": "192.168.1.50"}, run: exempt},
	{name: "exempt by MAC", main: map[string]string{"exempt": "02:00:00:00:01:32"}, run: exempt},
	{name: "monitor only", fasttrack: map[string]string{"mode": "monitor"}, run: monitorOnly},
	{name: "unlock", main: map[string]string{"timelock": "600"}, run: unlock},
}

// TestSurvive runs all survivals.
func TestSurvive(t *testing.T) {
	t.Parallel()
	for _, s := range survivals {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, s, true)
			s.run(e)
			e.finish()
		})
	}
}

// blocks checks that the wall works: it finds a client, and nothing leaves.
func (e *env) blocks(h *lab.Host) {
	from := e.lab.Packets.Now() + 1
	k, stop := e.kazaa(h, lab.KazaaConfig{})
	e.until("pings, pongs and connections", func() bool {
		o := k.Seen()
		return o.Pings >= 300 && len(o.PongsFrom) > 50 && o.Attempts >= 10
	})
	stop()
	e.noLeak(h, from)
}

// killed: the daemon dies without a chance to clean up.
func killed(e *env) {
	h := e.lab.Clients[0]
	e.blocks(h)
	// Packets in the queue are lost at that moment. Programs retry.
	judge := e.innocent(lab.InnocentConfig{Retries: 2, Every: 20 * time.Millisecond})
	time.Sleep(500 * time.Millisecond)
	e.wall.Kill()
	e.must(e.canConnect(e.lab.Innocent, lab.Server4, 5*time.Second), "no traffic after the kill")
	time.Sleep(time.Second)
	e.startWall()
	time.Sleep(500 * time.Millisecond)
	judge()
	e.blocks(h)
}

// stopped: the daemon hangs and packets pass without a verdict. When the daemon
// continues, it works as before.
func stopped(e *env) {
	h := e.lab.Clients[0]
	e.blocks(h)
	judge := e.innocent(lab.InnocentConfig{Retries: 4, Timeout: 3 * time.Second, Every: 20 * time.Millisecond})
	time.Sleep(300 * time.Millisecond)
	e.wall.Signal(syscall.SIGSTOP)
	// Packets wait for the daemon until the queue is full. All further packets pass. 2000
	// packets are a thousand more than fit.
	raw := e.raw(e.lab.Clients[0])
	for i := range 2000 {
		raw.Send(lab.UDPPacket(netip.AddrPortFrom(h.Addr4, uint16(20000+i)), netip.AddrPortFrom(lab.Server4, 27015), []byte("0123456789abc")))
	}
	e.must(e.canConnect(e.lab.Innocent, lab.Server4, 10*time.Second), "no traffic while the daemon is stopped")
	time.Sleep(time.Second)
	e.wall.Signal(syscall.SIGCONT)
	e.until("an answer after SIGCONT", func() bool { _, err := e.wall.Status(); return err == nil })
	time.Sleep(300 * time.Millisecond)
	judge()
	e.blocks(h)
}

// overrun floods a short queue. The program does not read at first, so that the queue
// overflows on a fast machine too.
func overrun(e *env) {
	h := e.lab.Clients[0]
	// If a SYN waits for the program and its retransmission overtakes it, the kernel
	// drops the SYN: connection tracking keeps one of the two.
	judge := e.innocent(lab.InnocentConfig{Retries: 1})
	raw := e.raw(h)
	payload := []byte("0123456789abc")
	const packets = 200_000
	e.wall.Signal(syscall.SIGSTOP)
	for i := range packets {
		if i == packets/20 {
			e.wall.Signal(syscall.SIGCONT)
		}
		src := netip.AddrPortFrom(h.Addr4, uint16(1024+i%60000))
		dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(20 + i%200)}), uint16(30000+i/60000))
		raw.Send(lab.UDPPacket(src, dst, payload))
	}
	judge()
	n := e.counter("packets")
	e.must(n > 1000, "the flood did not come to the queue: %d packets", n)
	e.must(n < packets-packets/40, "the queue was not overrun: %d packets of %d came to the program", n, packets)
	e.blocks(h)
}

// rulesDeleted: a firewall deletes all rules while the daemon runs.
func rulesDeleted(e *env) {
	h := e.lab.Clients[0]
	e.blocks(h)
	want := rules(e.lab)
	e.must(len(want) > 1, "no rules to delete")
	for _, c := range []string{
		"iptables -w -t mangle -F", "ip6tables -w -t mangle -F",
		"iptables -w -t mangle -X", "ip6tables -w -t mangle -X",
		"iptables -w -t raw -F", "ip6tables -w -t raw -F",
		"nft flush ruleset",
	} {
		f := strings.Fields(c)
		if _, err := exec.LookPath(f[0]); err == nil {
			e.lab.Router.Run(f[0], f[1:]...)
		}
	}
	e.until("the rules to come back", func() bool { return slices.Equal(rules(e.lab), want) })
	if got := rules(e.lab); !slices.Equal(got, want) {
		for _, r := range want {
			e.must(slices.Contains(got, r), "still missing: %s", r)
		}
		for _, r := range got {
			e.must(slices.Contains(want, r), "too many: %s", r)
		}
	}
	said := false
	for _, l := range e.wall.LogLines() {
		said = said || strings.Contains(l.Text, "rules") && strings.Contains(l.Text, "put back")
	}
	e.must(said, "the log does not say that rules were put back")
	e.until("the status to say so", func() bool { s, err := e.wall.Status(); return err == nil && s.RulesOK })
	e.blocks(h)
}

// rules are the lines of all rules. They are sorted because new tables are listed in
// another order.
func rules(l *lab.Lab) (lines []string) {
	for _, f := range l.Leftovers() {
		tool, text, _ := strings.Cut(f, ": ")
		for _, line := range strings.Split(text, "\n") {
			if tool != "queue" && !strings.HasPrefix(line, "#") {
				lines = append(lines, tool+": "+line)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// secondInstance: a second program must refuse to start with a clear message and must not
// disturb the first.
func secondInstance(e *env) {
	cfg := e.cfg
	cfg.Dir = e.t.TempDir()
	for name, sock := range map[string]string{
		"same queue":            filepath.Join(cfg.Dir, "other.sock"),
		"same queue and socket": e.wall.Path,
	} {
		cfg.Main = map[string]string{"control": sock}
		for k, v := range e.cfg.Main {
			cfg.Main[k] = v
		}
		w, err := e.lab.LaunchWall(cfg)
		e.ok(err)
		code, err := w.Wait(20 * time.Second)
		if !e.must(err == nil, "%s: the second instance runs", name) {
			w.Kill()
			continue
		}
		text := w.LogText()
		e.must(code != 0, "%s: exit code 0", name)
		e.must(strings.Contains(text, "another") || strings.Contains(text, "already"), "%s: no clear message: %q", name, text)
	}
	s, err := e.wall.Status()
	e.must(err == nil && s.Pid == e.wall.Pid() && s.RulesOK, "the first instance: %+v, %v", s, err)
	e.blocks(e.lab.Clients[0])
}

// TestNoPrivileges starts the program as nobody.
func TestNoPrivileges(t *testing.T) {
	t.Parallel()
	lab.Need(t, "iptables|nft")
	l, err := lab.New(lab.Config{NoRecord: true, NoServers: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	dir := t.TempDir()
	cfg := lab.WallConfig{Bin: lab.Program(t), Dir: dir}
	file := filepath.Join(dir, "p2pwall.conf")
	if err := os.WriteFile(file, []byte(cfg.UCI()), 0o644); err != nil {
		t.Fatal(err)
	}
	// The user nobody must be able to enter all parent directories.
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		os.Chmod(d, 0o777)
	}
	cmd := exec.Command(cfg.Bin, "run", "-c", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	var out strings.Builder
	cmd.Stderr = &out
	// The child inherits the namespace of the thread that starts it.
	if err := l.Router.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err = <-done:
	case <-time.After(20 * time.Second):
		cmd.Process.Kill()
		<-done
		t.Fatalf("runs without privileges: %s", out.String())
	}
	if err == nil {
		t.Error("exit code 0")
	}
	text := out.String()
	if !strings.Contains(text, "root") && !strings.Contains(text, "CAP_NET_ADMIN") {
		t.Errorf("no clear message: %q", text)
	}
	if n := strings.Count(text, "\n"); n > 10 || strings.Contains(text, "goroutine ") {
		t.Errorf("a message of %d lines: %q", n, text)
	}
	if f := l.Leftovers(); len(f) > 0 {
		t.Errorf("left behind: %v", f)
	}
}

// malformed sends 100,000 damaged packets. Without sets in the kernel all of them reach
// the program, also after their sender was found to be a client.
func malformed(e *env) {
	h := e.lab.Clients[0]
	judge := e.innocent(lab.InnocentConfig{Retries: 2})
	raw := e.raw(h)
	seed := uint64(time.Now().UnixNano())
	e.t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range 100_000 {
		raw.Send(damaged(rng, e.lab, h))
		if i%10_000 == 0 && !e.wall.Running() {
			e.fault("the wall ended after %d packets, seed %d", i, seed)
			return
		}
	}
	e.must(e.counter("packets") > 5_000, "only %d of the packets came to the queue", e.counter("packets"))
	judge()
	e.blocks(e.lab.Clients[1])
}

// damaged returns a packet that was valid and then damaged. Damage that the kernel itself
// would refuse is mostly repaired, so that the packet reaches the queue.
func damaged(rng *rand.Rand, l *lab.Lab, h *lab.Host) []byte {
	src, dst := netip.AddrPortFrom(h.Addr4, 1214), l.Peers[rng.IntN(len(l.Peers))]
	if rng.IntN(3) == 0 {
		src, dst = netip.AddrPortFrom(h.Addr6, 1214), l.Peers6[rng.IntN(len(l.Peers6))]
	}
	var b []byte
	switch rng.IntN(5) {
	case 0:
		b = lab.UDPPacket(src, dst, lab.PingBytes(rng.Uint32(), "KaZaA"))
	case 1:
		b = lab.UDPPacket(src, dst, make([]byte, rng.IntN(170)))
	case 2:
		b = lab.TCPPacket(src, dst, lab.FlagSYN, rng.Uint32(), nil)
	case 3:
		b = lab.TCPPacket(src, dst, lab.FlagACK, rng.Uint32(), []byte("GET /.hash=a65b5f21a110182b2d8df6c36adcef8bbf63ffff HTTP/1.1\r\nX-Kazaa-SupernodeIP: 999.1.2.3:99999\r\n\r\n"))
	default:
		b = lab.TCPPacket(src, dst, lab.FlagACK, rng.Uint32(), lab.Hello)
	}
	four := b[0]>>4 == 4
	head := 40
	if four {
		head = 20
	}
	// The octet may be missing after an earlier cut.
	set := func(at int, v byte) {
		if at < len(b) {
			b[at] = v
		}
	}
	tcp := b[9] == lab.TCP && four || b[6] == lab.TCP && !four
	proto, length := 6, 4
	if four {
		proto, length = 9, 2
	}
	for range 1 + rng.IntN(3) {
		switch rng.IntN(7) {
		case 0: // any octet after the IP header
			set(head+rng.IntN(len(b)-head), byte(rng.Uint32()))
		case 1: // data offset, or the length of the UDP datagram
			if tcp {
				set(head+12, byte(rng.Uint32()))
			} else {
				set(head+4, byte(rng.IntN(2)))
				set(head+5, byte(rng.Uint32()))
			}
		case 2: // cut off; lengths are corrected below
			b = b[:head+1+rng.IntN(len(b)-head)]
		case 3: // a fragment
			if four {
				set(6, byte(rng.IntN(64)))
				set(7, byte(rng.Uint32()))
			} else {
				set(proto, 44)
			}
		case 4: // false options or extension headers
			if four {
				set(0, 0x45+byte(rng.IntN(4)))
			} else {
				set(proto, []byte{0, 43, 44, 50, 51, 60, 135}[rng.IntN(7)])
			}
		case 5: // another protocol number with the same payload
			set(proto, byte(rng.Uint32()))
		default: // wrong lengths
			set(length, byte(rng.IntN(4)))
			set(length+1, byte(rng.Uint32()))
		}
	}
	if four {
		if n := len(b); rng.IntN(4) != 0 {
			b[2], b[3] = byte(n>>8), byte(n)
		}
		lab.SetIPChecksum(b)
	} else if n := len(b) - 40; rng.IntN(4) != 0 {
		b[4], b[5] = byte(n>>8), byte(n)
	}
	return b
}

// restart: a new instance takes over a locked client. The client's packets do not get out
// in between, and the lock continues.
func restart(e *env) {
	h := e.lab.Clients[0]
	k, stop := e.kazaa(h, lab.KazaaConfig{Patience: 20 * time.Millisecond})
	e.until("the lock, and pings to all", func() bool { return e.locked(h) && k.Seen().Pings >= 400 })
	// A thousand SYNs a second would show any gap.
	k.SetMode(2)
	e.wall.Signal(syscall.SIGUSR2)
	if code, err := e.wall.Wait(20 * time.Second); err != nil || code != 0 {
		e.fault("handing over: exit code %d, %v", code, err)
	}
	e.startWall()
	s, err := e.wall.Client(h)
	e.must(err == nil && s.Locked && s.Peers == 200, "after the restart: %+v, %v", s, err)
	e.must(!e.canConnect(h, lab.Server4, 300*time.Millisecond), "the host connected after the restart")
	stop()
	e.noLeak(h, 0)
	e.until("the release", func() bool { s, err := e.wall.Client(h); return err == nil && !s.Locked })
}

// stopStart: the program stops while a client is locked and removes everything. After the
// next start it knows the client and the remaining lock time.
func stopStart(e *env) {
	h := e.lab.Clients[0]
	k, stop := e.kazaa(h, lab.KazaaConfig{})
	e.until("the lock, and pings to all", func() bool { return e.locked(h) && k.Seen().Pings >= 400 })
	stop()
	if err := e.wall.Stop(); err != nil {
		e.fault("stopping: %v", err)
	}
	e.nothingLeft()
	e.must(e.canConnect(h, lab.Server4, 10*time.Second), "the host is locked with no wall")
	e.startWall()
	s, err := e.wall.Client(h)
	e.must(err == nil && s.Locked && s.Peers == 200, "after the start: %+v, %v", s, err)
	e.must(!e.canConnect(h, lab.Server4, 300*time.Millisecond), "the host connected after the start")
}

// stopSlowDisk: the state file cannot be written for a while. The rules must not wait for
// it: a stopped wall lets all traffic pass.
func stopSlowDisk(e *env) {
	h := e.lab.Clients[0]
	e.blocks(h)
	slow := filepath.Join(e.cfg.Dir, "state.new") // the file that becomes the state file
	// Opening a named pipe for writing waits until somebody reads it.
	e.ok(syscall.Mkfifo(slow, 0o600))
	e.wall.Signal(syscall.SIGTERM)
	e.until("the rules to go", func() bool { return len(rules(e.lab)) == 0 })
	e.must(e.canConnect(h, lab.Server4, 10*time.Second), "the host is locked with no wall")
	e.must(e.wall.Running(), "the state file was written at once: this proves nothing")
	f, err := os.Open(slow)
	e.ok(err)
	defer f.Close()
	go io.Copy(io.Discard, f)
	code, err := e.wall.Wait(10 * time.Second)
	e.must(err == nil && code == 0, "the end: code %d, %v", code, err)
	e.nothingLeft()
	e.startWall()
}

// reload changes the configuration of the running program. Locks stay. A file with errors
// changes nothing.
func reload(e *env) {
	h := e.lab.Clients[0]
	_, stop := e.kazaa(h, lab.KazaaConfig{})
	e.until("the lock", func() bool { return e.locked(h) })
	write := func(text string) {
		e.ok(os.WriteFile(e.wall.File, []byte(text), 0o600))
		e.wall.Signal(syscall.SIGHUP)
	}
	cfg := e.cfg
	cfg.Main = map[string]string{}
	for k, v := range e.cfg.Main {
		cfg.Main[k] = v
	}
	cfg.Main["timelock"] = "3"
	write(cfg.UCI())
	e.until("the new lock time", func() bool { s, err := e.wall.Status(); return err == nil && s.TimeLock == 3 })
	e.must(e.locked(h), "the lock was lost by the reload")
	e.must(len(e.events(h, "released")) == 0, "released by the reload")
	cfg.Main["timelock"] = "many"
	write(cfg.UCI())
	line := lineOf(cfg.UCI(), "many")
	e.until("the error with its line", func() bool {
		return strings.Contains(e.wall.LogText(), fmt.Sprintf("%s:%d:", e.wall.File, line))
	})
	s, err := e.wall.Status()
	e.must(err == nil && s.TimeLock == 3, "after a broken file: %+v, %v", s, err)
	stop()
	e.noLeak(h, 0)
}

// lateLAN: a daemon with a LAN device is killed. The next daemon has no device at its
// start and gets one later.
func lateLAN(e *env) {
	h := e.lab.Clients[0]
	cfg := e.cfg
	e.cfg.Main["device"] = lab.BridgeDev
	e.startWall()
	e.wall.Kill()
	rules := func() bool {
		return slices.ContainsFunc(e.lab.Leftovers(), func(f string) bool { return strings.Contains(strings.ToLower(f), "p2pwall") })
	}
	e.must(rules(), "the killed one left no rules")
	none := cfg
	none.Main = map[string]string{"device": "", "network": "lan", "devices_file": filepath.Join(e.cfg.Dir, "none"), "timelock": "2"}
	w, err := e.lab.LaunchWall(none)
	e.ok(err)
	e.wall = w
	e.until("an answer that says so", func() bool {
		s, err := w.Status()
		return err == nil && !s.RulesOK && len(s.Devices) == 0 && s.Backend == "none (no LAN device)"
	})
	e.until("the end of the rules of before", func() bool { return !rules() })
	e.must(e.canConnect(e.lab.Innocent, lab.Server4, 5*time.Second), "no traffic while it waits")
	e.ok(os.WriteFile(w.File, []byte(e.cfg.UCI()), 0o600))
	w.Signal(syscall.SIGHUP)
	e.ok(w.Ready(patience))
	e.blocks(h)
}

func lineOf(text, word string) int {
	for i, l := range strings.Split(text, "\n") {
		if strings.Contains(l, word) {
			return i + 1
		}
	}
	return 0
}

// exempt: an exempt host is not stopped.
func exempt(e *env) {
	k, _ := e.kazaa(e.lab.Clients[0], lab.KazaaConfig{})
	e.until("a search by the exempt host", func() bool { return k.Seen().Searches > 0 })
	c, err := e.wall.Clients()
	e.must(err == nil && len(c) == 0, "%+v, %v", c, err)
}

// monitorOnly: the wall finds the client and does not block it.
func monitorOnly(e *env) {
	h := e.lab.Clients[0]
	// A client that nothing stops may find its supernode with the first ping. One ping
	// proves nothing. So the client starts again and pings another supernode.
	for _, peers := range [][]netip.AddrPort{e.lab.Peers, e.lab.Peers[1:]} {
		k, stop := e.kazaa(h, lab.KazaaConfig{Peers: peers})
		e.until("a search", func() bool { return k.Seen().Searches > 0 })
		stop()
	}
	e.until("the client found", func() bool {
		s, err := e.wall.Client(h)
		return err == nil && !s.Locked && s.Peers > 0
	})
}

// unlock removes a lock that would last ten minutes.
func unlock(e *env) {
	h := e.lab.Clients[0]
	_, stop := e.kazaa(h, lab.KazaaConfig{})
	e.until("the lock", func() bool { return e.locked(h) })
	stop()
	e.must(!e.canConnect(h, lab.Server4, 300*time.Millisecond), "the host connected while locked")
	err := e.wall.Do(lab.Request{Cmd: "unlock", Host: h.Addr4.String()}, nil)
	e.must(err == nil, "unlock: %v", err)
	e.until("the host to connect", func() bool { return e.canConnect(h, lab.Server4, 5*time.Second) })
}
