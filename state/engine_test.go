// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state/table"
)

// The tests use one LAN device and one WAN device.
const (
	lanDev = 3
	wanDev = 2
)

var (
	macA = nfq.MAC{2, 0, 0, 0, 0, 0xa}
	macB = nfq.MAC{2, 0, 0, 0, 0, 0xb}

	kazaaPing = mustHex("27000000a9804b615a614100")
	kazaaPong = mustHex("28000000a9004d3c1328054b615a614100")
	giftHello = mustHex("fa00b62bfacb12383209d232")
)

func mustHex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func ip(s string) nfq.Addr { return nfq.AddrFrom(netip.MustParseAddr(s)) }

// sent is a packet that the engine sent.
type sent struct {
	dev      uint32
	src, dst nfq.AddrPort
	payload  string // hex
}

// fakeSender and fakeSets stand for the kernel and record the calls.
type fakeSender struct {
	acks int
	udp  []sent
	// resets is how many connections were reset, again how often one was once more.
	resets, again, icmps int
	reset                map[flowKey]bool
	lastReset            nfq.Packet
	handshakes           []string   // hex
	answered             nfq.Packet // the packet answered last, without its data
	recordNothing        bool
}

func (s *fakeSender) UDP(dev uint32, src, dst nfq.AddrPort, b []byte) error {
	if !s.recordNothing {
		s.udp = append(s.udp, sent{dev, src, dst, hex.EncodeToString(b)})
	}
	return nil
}

func (s *fakeSender) Reset(p *nfq.Packet) error {
	key := keyOf(p)
	if s.reset[key] {
		s.again++
		return nil
	}
	s.resets++
	if s.recordNothing {
		return nil
	}
	if s.reset == nil {
		s.reset = map[flowKey]bool{}
	}
	s.reset[key], s.lastReset = true, *p
	return nil
}

func (s *fakeSender) Answer(p *nfq.Packet, b []byte) error {
	if len(b) == 0 { // an acknowledgement
		s.acks++
		return nil
	}
	s.handshakes = append(s.handshakes, hex.EncodeToString(b))
	s.answered = *p
	s.answered.Payload, s.answered.Raw = nil, nil
	s.answered.Seq += uint32(len(p.Payload))
	s.answered.Ack += uint32(len(b))
	return nil
}
func (s *fakeSender) Reject(*nfq.Packet) error { s.icmps++; return nil }

type fakeSets struct {
	cuts  map[string]time.Duration
	locks map[string]time.Duration
	// own holds "address protocol port", then come the marked and the watched addresses.
	own     map[string]time.Duration
	watched map[string]time.Duration
	marked  map[string]time.Duration
	looked  map[string]time.Duration // pairs of an address with itself
	calls   int
	// ends is when an element of own or watched times out, by clock.
	ends  map[string]Time
	clock *Time
}

func newFakeSets() *fakeSets {
	return &fakeSets{
		cuts: map[string]time.Duration{}, locks: map[string]time.Duration{}, own: map[string]time.Duration{}, watched: map[string]time.Duration{},
		ends: map[string]Time{}, marked: map[string]time.Duration{}, looked: map[string]time.Duration{},
	}
}

func (s *fakeSets) Cut(c, p nfq.Addr, d time.Duration) {
	s.calls++
	if c == p {
		s.looked[c.String()] = d
		return
	}
	s.cuts[c.String()+" "+p.String()] = d
}

func (s *fakeSets) Uncut(c, p nfq.Addr) {
	s.calls++
	if c == p {
		delete(s.looked, c.String())
	}
	delete(s.cuts, c.String()+" "+p.String())
}

func (s *fakeSets) Lock(a nfq.Addr, d time.Duration) {
	s.calls++
	s.locks[a.String()] = d
}

func (s *fakeSets) Unlock(a nfq.Addr) {
	s.calls++
	delete(s.locks, a.String())
}

func (s *fakeSets) Mark(a nfq.Addr, d time.Duration) {
	s.calls++
	s.marked[a.String()] = d
}

func (s *fakeSets) Unmark(a nfq.Addr) {
	s.calls++
	delete(s.marked, a.String())
}

func (s *fakeSets) Own(a nfq.Addr, proto uint8, port uint16, d time.Duration) {
	s.calls++
	s.own[ownName(a, proto, port)] = d
	s.endsIn(ownName(a, proto, port), d)
}

func (s *fakeSets) Disown(a nfq.Addr, proto uint8, port uint16) {
	s.calls++
	delete(s.own, ownName(a, proto, port))
}

func ownName(a nfq.Addr, proto uint8, port uint16) string {
	return fmt.Sprintf("%s %d %d", a, proto, port)
}

func (s *fakeSets) Watch(a nfq.Addr, d time.Duration) {
	s.calls++
	s.watched[a.String()] = d
	s.endsIn(a.String(), d)
}

func (s *fakeSets) Unwatch(a nfq.Addr) {
	s.calls++
	delete(s.watched, a.String())
}

func (s *fakeSets) endsIn(name string, d time.Duration) {
	if s.clock != nil {
		s.ends[name] = s.clock.After(d)
	}
}

// expire removes elements that have timed out.
func (s *fakeSets) expire() {
	for name, end := range s.ends {
		if *s.clock >= end {
			delete(s.own, name)
			delete(s.watched, name)
			delete(s.ends, name)
		}
	}
}

// cut returns the number of elements by which a host loses something.
func (s *fakeSets) cut() int {
	if s.clock != nil {
		s.expire()
	}
	return len(s.cuts) + len(s.locks) + len(s.own)
}

func (s *fakeSets) Flush() uint64 { return 0 }
func (s *fakeSets) Room() int     { return 1 << 20 }
func (s *fakeSets) Lost() bool    { return false }

// world is an engine with its surroundings.
type world struct {
	t    *testing.T
	e    *Engine
	out  *fakeSender
	sets *fakeSets
	now  Time
	seq  uint32
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	cfg := blockAll()
	cfg.LockTime = 80 * time.Second
	if change != nil {
		change(&cfg)
	}
	w := &world{t: t, out: &fakeSender{}, sets: newFakeSets(), now: earliest}
	w.sets.clock = &w.now
	w.e = New(cfg, w.out, w.sets, 7)
	w.e.SetDevices([]Device{lan()})
	w.e.Advance(w.now)
	if _, known := lastWorlds.Swap(t, w); !known {
		t.Cleanup(func() {
			last, _ := lastWorlds.LoadAndDelete(t)
			readsBack(t, last.(*world))
		})
	}
	return w
}

// lastWorlds has the world that each running test made last. Only that one is checked: to
// keep all until the end would take gigabytes.
var lastWorlds sync.Map // of *world, by *testing.T

// readsBack checks that a new engine reads the snapshot of the test's engine.
func readsBack(t *testing.T, w *world) {
	e := New(w.e.cfg, nil, newFakeSets(), 8)
	e.SetDevices([]Device{lan()})
	e.Advance(w.now)
	if err := e.Restore(w.e.Snapshot(nil, w.now), w.now); err != nil {
		t.Errorf("the engine does not read its own snapshot: %v", err)
	}
}

// blockAll returns a configuration that blocks every protocol and lists no names.
func blockAll() Config {
	cfg := DefaultConfig()
	for i := range detect.All {
		cfg.Protocols[i].Mode, cfg.Protocols[i].Names = Block, detect.Names{}
	}
	return cfg
}

func lan() Device {
	return Device{
		Index: lanDev, Name: "br-lan",
		Addrs:    []nfq.Addr{ip("fe80::1"), ip("192.168.1.1"), ip("2001:db8:1::1")},
		Prefixes: []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24"), netip.MustParsePrefix("2001:db8:1::/64")},
	}
}

// pass moves time forward in steps, so that timers fire when they should.
func (w *world) pass(d time.Duration) {
	for end := w.now.After(d); w.now < end; {
		step := end
		if t, ok := w.e.Next(); ok && t < step {
			step = max(t, w.now+1)
		}
		w.now = step
		w.e.Advance(w.now)
	}
}

func udp(mac nfq.MAC, src string, sport uint16, dst string, dport uint16, b []byte) *nfq.Packet {
	return &nfq.Packet{
		Hook: nfq.HookForward, InDev: lanDev, OutDev: wanDev, MAC: mac, Version: 4, Proto: nfq.ProtoUDP,
		Src: ip(src), Dst: ip(dst), SrcPort: sport, DstPort: dport, Payload: b, PayloadLen: len(b),
	}
}

func tcp(mac nfq.MAC, src string, sport uint16, dst string, dport uint16, flags uint8, b []byte) *nfq.Packet {
	p := udp(mac, src, sport, dst, dport, b)
	p.Proto, p.TCPFlags = nfq.ProtoTCP, flags
	return p
}

func (w *world) expect(what string, p *nfq.Packet, want nfq.Verdict) {
	w.t.Helper()
	if got := w.e.Packet(p, w.now); got != want {
		w.t.Fatalf("%s: verdict %d, want %d", what, got, want)
	}
	w.e.Advance(w.now)
}

func (w *world) ping(dst string) *nfq.Packet {
	return udp(macA, "192.168.1.50", 1214, dst, 1214, kazaaPing)
}

// firstPeer is the peer that a client contacts first: that alone proves nothing.
const firstPeer = "192.0.2.1"

// prove makes the host ping a first peer. Then its next ping is the second sign of a
// client, and proves it.
func (w *world) prove() {
	w.e.Packet(w.ping(firstPeer), w.now)
	w.e.Advance(w.now)
}

func (w *world) syn(dst string) *nfq.Packet {
	w.seq++
	p := tcp(macA, "192.168.1.50", uint16(40000+w.seq), dst, 1214, nfq.SYN, nil)
	p.Seq = w.seq << 16
	return p
}

func (w *world) locked(a string) bool {
	for _, c := range w.e.Clients(w.now) {
		if c.Addr == ip(a) {
			return c.Locked
		}
	}
	return false
}

func TestPingIsDroppedAndAnsweredInThePeersName(t *testing.T) {
	w := newWorld(t, nil)
	w.prove()
	w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
	want := sent{
		src: nfq.AddrPort{Addr: ip("198.51.100.7"), Port: 1214},
		dst: nfq.AddrPort{Addr: ip("192.168.1.50"), Port: 1214},
	}
	if len(w.out.udp) != 1 || w.out.udp[0].src != want.src || w.out.udp[0].dst != want.dst {
		t.Fatalf("sent %+v, want one pong from the peer", w.out.udp)
	}
	if b := w.out.udp[0].payload; !strings.HasPrefix(b, "28000000a900") || !strings.HasSuffix(b, "4b615a614100") {
		t.Errorf("pong %s does not fit the ping", b)
	}
	clients := w.e.Clients(w.now)
	if len(clients) != 1 || clients[0].Protocol.Name != "fasttrack" || clients[0].MAC != macA || clients[0].Peers != 2 ||
		clients[0].Proof != ProofConduct {
		t.Errorf("clients: %+v", clients)
	}
	if peers := w.e.Peers(nfq.Addr{}); len(peers) != 2 || peers[0].Addr != ip("198.51.100.7") || peers[0].Port != 1214 {
		t.Errorf("peers: %+v", peers)
	}
	if w.sets.cuts["192.168.1.50 198.51.100.7"] == 0 || w.sets.locks["192.168.1.50"] == 0 {
		t.Errorf("the kernel was not told: %v %v", w.sets.cuts, w.sets.locks)
	}
}

func TestTheThreeModes(t *testing.T) {
	w := newWorld(t, nil)
	w.expect("an unknown host's SYN", w.syn("203.0.113.1"), nfq.Accept)
	w.expect("its DNS", udp(macA, "192.168.1.50", 5353, "203.0.113.53", 53, mustHex("1234010000010000000000000161")), nfq.Accept)
	w.expect("mode 1: ping", w.ping(firstPeer), nfq.Drop)
	w.expect("its SYN to the peer as long as nothing is proved", w.syn(firstPeer), nfq.Accept)
	w.expect("ping to another", w.ping("198.51.100.7"), nfq.Drop)
	w.expect("mode 2: SYN to the peer", w.syn("198.51.100.7"), nfq.Drop)
	w.expect("SYN to anybody while locked", w.syn("203.0.113.80"), nfq.Drop)
	w.expect("other UDP of the locked host", udp(macA, "192.168.1.50", 5353, "203.0.113.53", 53, mustHex("1234010000010000000000000161")), nfq.Accept)
	w.expect("anything to a peer", udp(macA, "192.168.1.50", 1214, "198.51.100.7", 1214, []byte("xyz")), nfq.Drop)
	w.expect("a neighbour's SYN to the peer", tcp(macB, "192.168.1.51", 4000, "198.51.100.7", 1214, nfq.SYN, nil), nfq.Accept)

	// Mode 3: only probes keep the lock, for ten periods.
	for range 10 {
		before := len(w.out.udp)
		w.pass(41 * time.Second)
		if len(w.out.udp) != before+1 {
			t.Fatalf("%d probes at half the lock time, want 1", len(w.out.udp)-before)
		}
		probe := w.out.udp[before]
		if probe.src != (nfq.AddrPort{Addr: ip("192.168.1.1"), Port: detect.ProbePort}) ||
			probe.dst != (nfq.AddrPort{Addr: ip("192.168.1.50"), Port: 1214}) || probe.payload != hex.EncodeToString(kazaaPing) {
			t.Fatalf("probe %+v", probe)
		}
		answer := udp(macA, "192.168.1.50", 1214, "192.168.1.1", detect.ProbePort, kazaaPong)
		answer.Hook, answer.OutDev = nfq.HookInput, 0
		w.expect("the answer", answer, nfq.Drop)
		if !w.locked("192.168.1.50") {
			t.Fatal("the lock was lost")
		}
		w.expect("SYN while the lock is held by probes", w.syn("203.0.113.99"), nfq.Drop)
	}
	// The client closes: probes at 1/2, 3/4 and 7/8 of the lock, then the release.
	before := len(w.out.udp)
	w.pass(79 * time.Second)
	if n := len(w.out.udp) - before; n != 3 {
		t.Errorf("%d probes without an answer, want 3", n)
	}
	if !w.locked("192.168.1.50") {
		t.Fatal("released before the lock time was over")
	}
	w.pass(time.Second + table.WheelTick)
	if w.locked("192.168.1.50") {
		t.Fatal("not released one lock time after the last sign of life")
	}
	if _, ok := w.sets.locks["192.168.1.50"]; ok {
		t.Error("the kernel still has the lock")
	}
	w.expect("SYN after the release", w.syn("203.0.113.80"), nfq.Accept)
	w.expect("SYN to a former peer", w.syn("198.51.100.7"), nfq.Accept)
	w.expect("ping after the release", w.ping("198.51.100.7"), nfq.Drop)
	w.expect("the same again", w.ping("198.51.100.7"), nfq.Drop)
	if w.locked("192.168.1.50") {
		t.Error("locked again without a new proof")
	}
	w.expect("ping to another", w.ping(firstPeer), nfq.Drop)
	if !w.locked("192.168.1.50") {
		t.Error("not locked again")
	}
}

// TestLateProgram: the machine stalls beyond a lock's end. The client is still probed
// before it is released.
func TestLateProgram(t *testing.T) {
	for _, stall := range []time.Duration{46 * time.Second, 79 * time.Second, 85 * time.Second, 10 * time.Minute} {
		w := newWorld(t, nil)
		w.prove()
		w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
		before := len(w.out.udp)
		w.now = w.now.After(stall)
		w.e.Advance(w.now)
		if n := len(w.out.udp) - before; n != 1 || !w.locked("192.168.1.50") {
			t.Fatalf("after %v: %d probes, want one, locked: %v", stall, n, w.locked("192.168.1.50"))
		}
		if w.sets.locks["192.168.1.50"] == 0 {
			t.Errorf("after %v: not locked in the kernel", stall)
		}
		w.pass(39 * time.Second)
		if n := len(w.out.udp) - before; n != 3 || !w.locked("192.168.1.50") {
			t.Errorf("after %v and a half lock time less a second: %d probes, want 3, locked: %v", stall, n, w.locked("192.168.1.50"))
		}
		w.pass(time.Second + 2*table.WheelTick)
		if w.locked("192.168.1.50") {
			t.Errorf("after %v: not released half a lock time after its end", stall)
		}
	}
}

// TestLateRelease: the machine stalls when all probes are sent. What the client said
// meanwhile is read before it is released.
func TestLateRelease(t *testing.T) {
	for _, runs := range []bool{true, false} {
		w := newWorld(t, nil)
		w.prove()
		w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
		w.pass(75 * time.Second)
		w.now = w.now.After(time.Minute)
		w.e.Advance(w.now)
		if !w.locked("192.168.1.50") || w.sets.locks["192.168.1.50"] == 0 {
			t.Fatal("released before the queue was read")
		}
		if runs {
			w.expect("ping that waited", w.ping("198.51.100.7"), nfq.Drop)
		}
		w.pass(4 * table.WheelTick)
		if got := w.locked("192.168.1.50"); got != runs || w.e.Counters.Unlocks != 0 == runs {
			t.Errorf("it runs: %v, locked: %v, released %d times", runs, got, w.e.Counters.Unlocks)
		}
	}
}

func TestForgottenAfterAWhile(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Forget = 10 * time.Minute })
	w.prove()
	w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
	w.pass(11 * time.Minute)
	if n, _ := w.e.Len(); n != 0 {
		t.Errorf("%d clients after the time to forget", n)
	}
	if len(w.sets.cuts) != 0 {
		t.Errorf("pairs left in the kernel: %v", w.sets.cuts)
	}
	w.expect("SYN to the former peer", w.syn("198.51.100.7"), nfq.Accept)
}

func TestPairsAreRenewedWhileTheClientLives(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Forget = 10 * time.Minute })
	w.prove()
	w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
	for range 60 {
		w.pass(30 * time.Second)
		w.expect("ping to another", w.ping("198.51.100.8"), nfq.Drop)
		for i := range w.e.clients[0].peers.peers[:w.e.clients[0].peers.n] {
			if p := &w.e.clients[0].peers.peers[i]; p.cutUntil < w.now.seconds() {
				t.Fatalf("the pair with %s ran out", p.addr)
			}
		}
	}
}

func TestLockedByMACOnIPv6(t *testing.T) {
	w := newWorld(t, nil)
	w.prove()
	w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
	v6 := tcp(macA, "2001:db8:1::50", 4000, "2001:db8:ff::80", 443, nfq.SYN, nil)
	v6.Version = 6
	w.expect("IPv6 SYN of the locked host", v6, nfq.Drop)
	other := tcp(macB, "2001:db8:1::51", 4000, "2001:db8:ff::80", 443, nfq.SYN, nil)
	other.Version = 6
	w.expect("IPv6 SYN of another host", other, nfq.Accept)
}

func TestForgedSourceDoesNotLockTheOwner(t *testing.T) {
	w := newWorld(t, nil)
	w.expect("the owner's SYN", w.syn("203.0.113.1"), nfq.Accept)
	for _, dst := range []string{firstPeer, "198.51.100.7"} {
		w.expect("a ping in its name", udp(macB, "192.168.1.50", 1214, dst, 1214, kazaaPing), nfq.Drop)
	}
	w.expect("the owner's next SYN", w.syn("203.0.113.1"), nfq.Accept)
	w.expect("the owner's SYN to the address", w.syn("198.51.100.7"), nfq.Accept)
	if len(w.sets.cuts) != 0 {
		t.Errorf("the kernel was told to cut the owner off: %v", w.sets.cuts)
	}
	if len(w.sets.locks) != 0 {
		t.Errorf("locks %v: the address is another's", w.sets.locks)
	}
	if w.e.Counters.Forged == 0 {
		t.Error("not counted")
	}
}

func TestForgerFirstThenOwner(t *testing.T) {
	w := newWorld(t, nil)
	for _, dst := range []string{firstPeer, "198.51.100.7"} {
		w.expect("a ping in its name", udp(macB, "192.168.1.50", 1214, dst, 1214, kazaaPing), nfq.Drop)
	}
	w.expect("the owner's SYN", w.syn("203.0.113.1"), nfq.Accept)
	if len(w.sets.cuts) != 0 {
		t.Errorf("the owner is still cut off: %v", w.sets.cuts)
	}
}

func TestRoutedHostsShareAMAC(t *testing.T) {
	w := newWorld(t, nil)
	// 10.9.0.0/16 is behind another router. All its packets have that router's MAC.
	d := lan()
	d.Routed = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}
	w.e.SetDevices([]Device{d})
	for _, dst := range []string{firstPeer, "198.51.100.7"} {
		w.expect("ping", udp(macB, "10.9.0.5", 1214, dst, 1214, kazaaPing), nfq.Drop)
	}
	w.expect("its SYN", tcp(macB, "10.9.0.5", 4000, "203.0.113.1", 80, nfq.SYN, nil), nfq.Drop)
	w.expect("SYN of its neighbour", tcp(macB, "10.9.0.6", 4000, "203.0.113.1", 80, nfq.SYN, nil), nfq.Accept)
	if w.sets.locks["10.9.0.5"] == 0 || len(w.sets.locks) != 1 {
		t.Errorf("locks: %v", w.sets.locks)
	}
}

func TestWhatIsNotOurs(t *testing.T) {
	w := newWorld(t, nil)
	lanToLAN := w.ping("192.168.1.60")
	lanToLAN.OutDev = lanDev
	w.expect("LAN to LAN", lanToLAN, nfq.Accept)
	notLAN := w.ping("198.51.100.7")
	notLAN.InDev = wanDev + 5
	w.expect("from a device that is not the LAN's", notLAN, nfq.Accept)
	w.expect("unparsable", &nfq.Packet{Hook: nfq.HookForward, InDev: lanDev, OutDev: wanDev}, nfq.Accept)
	frag := w.ping("198.51.100.7")
	frag.Fragment, frag.Payload = true, nil
	w.expect("fragment", frag, nfq.Accept)
	if n, _ := w.e.Len(); n != 0 {
		t.Errorf("%d clients found", n)
	}
	if w.e.Counters.Unparsable != 1 {
		t.Errorf("unparsable: %d", w.e.Counters.Unparsable)
	}
}

func TestWeakTypesCountOnlyTowardsPeers(t *testing.T) {
	w := newWorld(t, nil)
	weak := mustHex("2a00000001")
	w.expect("unknown host", udp(macA, "192.168.1.50", 1214, "198.51.100.7", 1214, weak), nfq.Accept)
	w.prove()
	w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
	w.expect("to the peer", udp(macA, "192.168.1.50", 1214, "198.51.100.7", 1214, weak), nfq.Drop)
	w.expect("to another", udp(macA, "192.168.1.50", 1214, "198.51.100.8", 1214, weak), nfq.Accept)
}

func TestOptions(t *testing.T) {
	ft := detect.ByName("fasttrack")
	for _, tt := range []struct {
		name     string
		change   func(*Config)
		ping     nfq.Verdict
		syn      nfq.Verdict // to a peer
		other    nfq.Verdict // SYN to other hosts
		pong     bool
		locked   bool
		resets   int
		rejected int
	}{
		{"default", nil, nfq.Drop, nfq.Drop, nfq.Drop, true, true, 0, 0},
		{"no lock", func(c *Config) { c.LockTime = 0 }, nfq.Drop, nfq.Accept, nfq.Accept, true, false, 0, 0},
		{"no answer", func(c *Config) { c.Protocols[ft].Answer = detect.AnswerNone }, nfq.Drop, nfq.Drop, nfq.Drop, false, true, 0, 0},
		{"UDP passes", func(c *Config) { c.Protocols[ft].BlockUDP = false }, nfq.Accept, nfq.Drop, nfq.Drop, true, true, 0, 0},
		{"monitor", func(c *Config) { c.Protocols[ft].Mode = Monitor }, nfq.Accept, nfq.Accept, nfq.Accept, false, false, 0, 0},
		{"off", func(c *Config) { c.Protocols[ft].Mode = Off }, nfq.Accept, nfq.Accept, nfq.Accept, false, false, 0, 0},
		{"exempt address", func(c *Config) { c.ExemptNets = []netip.Prefix{netip.MustParsePrefix("192.168.1.50/32")} }, nfq.Accept, nfq.Accept, nfq.Accept, false, false, 0, 0},
		{"exempt network", func(c *Config) { c.ExemptNets = []netip.Prefix{netip.MustParsePrefix("192.168.1.0/26")} }, nfq.Accept, nfq.Accept, nfq.Accept, false, false, 0, 0},
		{"exempt MAC", func(c *Config) { c.ExemptMACs = []nfq.MAC{macA} }, nfq.Accept, nfq.Accept, nfq.Accept, false, false, 0, 0},
		{"exempt other", func(c *Config) { c.ExemptMACs = []nfq.MAC{macB} }, nfq.Drop, nfq.Drop, nfq.Drop, true, true, 0, 0},
		{"reset", func(c *Config) { c.Action = Reset }, nfq.Drop, nfq.Drop, nfq.Drop, true, true, 2, 0},
		{"reject", func(c *Config) { c.Action = Reject }, nfq.Drop, nfq.Drop, nfq.Drop, true, true, 0, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.change)
			w.prove()
			w.expect("ping", w.ping("198.51.100.7"), tt.ping)
			w.expect("SYN to the peer", w.syn("198.51.100.7"), tt.syn)
			w.expect("SYN to another", w.syn("203.0.113.1"), tt.other)
			// The peer itself answers UDP that passes. Our answer keeps the client in its
			// UDP mode all the same.
			if got := len(w.out.udp) > 0; got != tt.pong {
				t.Errorf("answered: %v, want %v", got, tt.pong)
			}
			if got := w.locked("192.168.1.50"); got != tt.locked {
				t.Errorf("locked: %v, want %v", got, tt.locked)
			}
			if w.out.resets != tt.resets || w.out.icmps != tt.rejected {
				t.Errorf("%d resets, %d rejects; want %d, %d", w.out.resets, w.out.icmps, tt.resets, tt.rejected)
			}
		})
	}
}

func TestPeerTableEvictsTheOldest(t *testing.T) {
	w := newWorld(t, nil)
	for i := range MaxPeers + 10 {
		w.expect("ping", w.ping(fmt.Sprintf("198.51.%d.%d", 100+i/200, 1+i%200)), nfq.Drop)
		w.pass(time.Millisecond)
	}
	peers := w.e.Peers(nfq.Addr{})
	if len(peers) != MaxPeers {
		t.Fatalf("%d peers, want %d", len(peers), MaxPeers)
	}
	for _, p := range peers {
		if p.Addr == ip("198.51.100.10") {
			t.Error("one of the ten oldest is still there")
		}
	}
	if w.e.Counters.PeersEvicted != 10 || len(w.sets.cuts) != MaxPeers {
		t.Errorf("evicted %d, pairs in the kernel %d", w.e.Counters.PeersEvicted, len(w.sets.cuts))
	}
}

func TestFakeHostsDoNotPushOutALockedClient(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxClients = 8 })
	full := 0
	w.e.OnEvent = func(ev *Event) {
		if ev.What == EventTableFull {
			full++
		}
	}
	flood := func(dsts ...string) {
		for i := range 10000 {
			mac := nfq.MAC{2, 1, 0, byte(i >> 16), byte(i >> 8), byte(i)}
			src := nfq.AddrFrom4([4]byte{192, 168, 1, byte(i)})
			if src == ip("192.168.1.50") {
				continue
			}
			for _, dst := range dsts {
				p := udp(mac, "192.168.1.9", 1214, dst, 1214, kazaaPing)
				p.Src = src
				w.e.Packet(p, w.now)
				w.now++
			}
		}
		w.e.Advance(w.now)
	}
	w.prove()
	w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
	// Hosts without proof displace each other.
	flood("198.51.100.9")
	if n, locked := w.e.Len(); n != 1 || locked != 1 || w.e.Counters.ClientsEvicted == 0 || full != 0 {
		t.Errorf("%d clients, %d locked, %d evicted, told %d times that the table is full", n, locked, w.e.Counters.ClientsEvicted, full)
	}
	// When all places have locked clients, there is no place for another.
	flood("198.51.100.9", "198.51.100.10")
	if !w.locked("192.168.1.50") {
		t.Fatal("the locked client was pushed out")
	}
	w.expect("its SYN", w.syn("203.0.113.1"), nfq.Drop)
	if w.e.Counters.ClientsRefused == 0 {
		t.Error("a full table was not counted")
	}
	if full != 1 {
		t.Errorf("a full table was told %d times within a minute, want once", full)
	}
}

func TestUnlockedClientsGiveWay(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxClients = 2 })
	pings := func(mac nfq.MAC, src string) {
		t.Helper()
		for _, dst := range []string{firstPeer, "198.51.100.7"} {
			w.expect(src, udp(mac, src, 1214, dst, 1214, kazaaPing), nfq.Drop)
		}
	}
	pings(macA, "192.168.1.50")
	w.pass(5 * time.Minute) // its lock ends, and as much time passes again
	pings(macB, "192.168.1.51")
	pings(nfq.MAC{2, 9}, "192.168.1.52")
	if w.locked("192.168.1.50") || !w.locked("192.168.1.51") || !w.locked("192.168.1.52") {
		t.Errorf("clients: %+v", w.e.Clients(w.now))
	}
}

func TestUnlockAndExempt(t *testing.T) {
	w := newWorld(t, nil)
	w.prove()
	w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
	if !w.e.Unlock(netip.MustParseAddr("192.168.1.50"), w.now) || w.e.Unlock(netip.MustParseAddr("192.168.1.50"), w.now) {
		t.Fatal("unlock")
	}
	w.expect("SYN after unlock", w.syn("198.51.100.7"), nfq.Accept)
	w.expect("ping again", w.ping("198.51.100.7"), nfq.Drop)
	if !w.e.Exempt(netip.MustParseAddr("192.168.1.50"), time.Hour, w.now) {
		t.Fatal("exempt")
	}
	if len(w.sets.cuts) != 0 || len(w.sets.locks) != 0 {
		t.Errorf("left in the kernel: %v %v", w.sets.cuts, w.sets.locks)
	}
	w.expect("ping while exempt", w.ping("198.51.100.7"), nfq.Accept)
	w.pass(time.Hour + time.Second)
	w.expect("ping afterwards", w.ping("198.51.100.7"), nfq.Drop)
}

// TestExemptions: exemptions can be listed, and ended by any address of the host.
func TestExemptions(t *testing.T) {
	w := newWorld(t, nil)
	w.prove()
	w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
	six := udp(macA, "2001:db8:1::50", 1214, "2001:db8:ff::7", 1214, kazaaPing)
	six.Version = 6
	w.expect("its ping by IPv6", six, nfq.Drop)
	exempt := func(a string, d time.Duration) {
		t.Helper()
		if !w.e.Exempt(netip.MustParseAddr(a), d, w.now) {
			t.Fatalf("%s: no room", a)
		}
	}
	list := func() (out []string) {
		for _, x := range w.e.Exemptions(w.now) {
			out = append(out, strings.TrimSpace(fmt.Sprint(x.Addr, " ", x.MAC, " ", x.Left)))
		}
		return out
	}
	wantList := func(want ...string) {
		t.Helper()
		if got := list(); !slices.Equal(got, want) {
			t.Errorf("exemptions %q, want %q", got, want)
		}
	}
	wantList()
	exempt("192.168.1.77", time.Minute)
	exempt("192.168.1.50", time.Hour)
	exempt("192.168.1.78", time.Hour)
	mac := macA.String()
	wantList("192.168.1.77  1m0s", "192.168.1.50 "+mac+" 1h0m0s", "192.168.1.78  1h0m0s")
	exempt("192.168.1.50", 2*time.Hour) // again: no second entry
	wantList("192.168.1.77  1m0s", "192.168.1.78  1h0m0s", "192.168.1.50 "+mac+" 2h0m0s")
	w.pass(2 * time.Minute)
	wantList("192.168.1.78  58m0s", "192.168.1.50 "+mac+" 1h58m0s")
	w.expect("ping while exempt", w.ping("198.51.100.7"), nfq.Accept)
	w.expect("IPv6 while exempt", six, nfq.Accept)

	end := func(a string) bool { return w.e.EndExemption(netip.MustParseAddr(a), w.now) }
	if end("192.168.1.77") || end("192.168.1.99") {
		t.Error("ended what ran out, or never was")
	}
	var events []Event
	w.e.OnEvent = func(ev *Event) { events = append(events, *ev) }
	if !end("2001:db8:1::50") || end("192.168.1.50") {
		t.Error("the other address of the host does not end it")
	}
	if len(events) != 1 || events[0].What != EventWatched || events[0].MAC != macA {
		t.Errorf("events %+v", events)
	}
	w.e.OnEvent = nil
	wantList("192.168.1.78  58m0s")
	w.expect("ping afterwards", w.ping("198.51.100.7"), nfq.Drop)
	if !end("192.168.1.78") || !w.e.noExempt {
		t.Error("the last one is not ended, or still looked for")
	}
	for i := range maxExempt {
		exempt(fmt.Sprintf("192.168.1.%d", 100+i), time.Hour)
	}
	if w.e.Exempt(netip.MustParseAddr("192.168.1.99"), time.Hour, w.now) {
		t.Error("there is room without end")
	}
	exempt("192.168.1.100", 2*time.Hour)
	if !end("192.168.1.130") {
		t.Error("one in the midst is not ended")
	}
	exempt("192.168.1.99", time.Hour)
	if n := len(list()); n != maxExempt {
		t.Errorf("%d exemptions", n)
	}
}

// TestDroppedByKernel: packets dropped by the kernel alone count as dropped everywhere.
func TestDroppedByKernel(t *testing.T) {
	w := newWorld(t, nil)
	w.prove()
	w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
	w.expect("SYN", w.syn("198.51.100.7"), nfq.Drop)
	w.e.DroppedByKernel(30, 4, w.now)
	w.pass(2 * time.Minute)
	w.e.DroppedByKernel(500, 0, w.now)
	c := w.e.Counters
	if got, want := [...]uint64{c.Packets, c.Dropped, c.DroppedTCP, c.DroppedUDP, c.DroppedKernel}, [...]uint64{3, 537, 531, 6, 534}; got != want {
		t.Errorf("counters %v, want %v", got, want)
	}
	h := w.e.History(w.now)
	if b := h[HistoryMinutes-3]; b.DroppedTCP != 31 || b.DroppedUDP != 6 {
		t.Errorf("two minutes ago %+v", b)
	}
	if b := h[HistoryMinutes-1]; b.DroppedTCP != 500 || b.DroppedUDP != 0 {
		t.Errorf("this minute %+v", b)
	}
}

func TestConfigureKeepsLocks(t *testing.T) {
	w := newWorld(t, nil)
	w.prove()
	w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
	cfg := w.e.cfg
	cfg.Action = Reset
	w.e.Configure(cfg)
	if !w.locked("192.168.1.50") {
		t.Error("the lock was lost")
	}
	cfg.ExemptMACs = []nfq.MAC{macA}
	w.e.Configure(cfg)
	if n, _ := w.e.Len(); n != 0 {
		t.Error("an exempt host is still a client")
	}
}

// TestNoAllocations runs every kind of packet. None may allocate.
func TestNoAllocations(t *testing.T) {
	w := newWorld(t, nil)
	w.out.recordNothing = true
	w.e.sets = nil
	for name, p := range map[string]*nfq.Packet{
		"accepted UDP":     udp(macB, "192.168.1.51", 5353, "203.0.113.53", 53, mustHex("12340100000100000000")),
		"accepted SYN":     tcp(macB, "192.168.1.51", 5353, "203.0.113.53", 80, nfq.SYN, nil),
		"ping and pong":    w.ping("198.51.100.7"),
		"SYN to a peer":    w.syn("198.51.100.7"),
		"SYN while locked": w.syn("203.0.113.9"),
		"UDP to a peer":    udp(macA, "192.168.1.50", 1214, "198.51.100.7", 1214, []byte("x")),
		"hello":            tcp(macB, "192.168.1.52", 1024, "198.51.100.9", 1214, nfq.ACK, giftHello),
		"transfer":         tcp(macB, "192.168.1.52", 1025, "198.51.100.9", 80, nfq.ACK, []byte("GET /.hash=00 HTTP/1.1\r\nX-Kazaa-SupernodeIP: 198.51.100.10:1214\r\n\r\n")),
		"web":              tcp(macB, "192.168.1.52", 1026, "203.0.113.9", 80, nfq.ACK, []byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")),
		"TLS":              tcp(macB, "192.168.1.52", 1027, "203.0.113.9", 443, nfq.ACK, []byte{0x16, 3, 1, 0, 200}),
		"unparsable":       {Hook: nfq.HookForward},
	} {
		if n := testing.AllocsPerRun(200, func() {
			w.now += Time(time.Millisecond)
			p.Dst[15]++ // new peers, too
			w.e.Packet(p, w.now)
			w.e.Advance(w.now)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	// Only time passes: probes, releases, and clients that are forgotten.
	if n := testing.AllocsPerRun(200, func() {
		w.now += Time(30 * time.Second)
		w.e.Advance(w.now)
	}); n != 0 {
		t.Errorf("timers: %v allocations", n)
	}
}

// TestSampledIsDropped: a sample of what the kernel's sets drop is dropped, even by an
// engine that knows of no lock.
func TestSampledIsDropped(t *testing.T) {
	w := newWorld(t, nil)
	p := w.syn("203.0.113.80")
	w.expect("SYN", p, nfq.Accept)
	p.Mark = nfq.DefaultMarks().Sample | 0x100
	w.expect("sampled SYN", p, nfq.Drop)
	if c := w.e.Counters; c.Dropped != 1 || c.DroppedTCP != 1 || c.Accepted != 1 {
		t.Errorf("counted %+v", c)
	}
}
