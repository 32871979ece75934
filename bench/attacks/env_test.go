// SPDX-License-Identifier: GPL-2.0-or-later

package attacks

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// patience limits every wait. It only ends a run that hangs.
const patience = 60 * time.Second

func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, "attacks", 10)) }

// setup describes a lab with a wall.
type setup struct {
	lab    lab.Config
	serial bool // it does not run in parallel with others
	// firewall: the router drops unsolicited packets from the internet.
	firewall  bool
	main      map[string]string
	protocols map[string]map[string]string
}

// env is a lab with a wall.
type env struct {
	t    *testing.T
	lab  *lab.Lab
	wall *lab.Wall
}

// timelock is the lock time of all scenarios unless they set another.
const timelock = 4 * time.Second

// newEnv makes the lab and starts the wall. At the end of the test it stops the wall and
// checks that the wall ran until then and left nothing behind.
func newEnv(t *testing.T, s setup) *env {
	t.Helper()
	if !s.serial {
		t.Parallel()
	}
	lab.Need(t, "iptables", "ip6tables")
	s.lab.NoOffload = true
	l := lab.ForTest(t, s.lab)
	e := &env{t: t, lab: l}
	if s.firewall {
		e.ok(l.Firewall())
	}
	before := l.Leftovers()
	main := map[string]string{"timelock": fmt.Sprint(int(timelock.Seconds()))}
	maps.Copy(main, s.main)
	var err error
	e.wall, err = l.StartWall(lab.WallConfig{Bin: lab.Program(t), Dir: t.TempDir(), Main: main, Protocols: s.protocols})
	e.ok(err)
	e.wall.ShowLog(t)
	t.Cleanup(func() {
		if !e.wall.Running() {
			t.Error("the wall ended by itself")
		} else {
			if err := e.wall.Stop(); err != nil {
				t.Errorf("the wall did not end as it should: %v", err)
			}
			for _, f := range l.Leftovers() {
				if !slices.Contains(before, f) {
					t.Errorf("left behind: %s", f)
				}
			}
		}
		l.Packets.Complete(t)
	})
	return e
}

// comes reports whether a condition becomes true within a limit.
func (e *env) comes(limit time.Duration, cond func() bool) bool {
	for end := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		if cond() {
			return true
		}
		if time.Now().After(end) || !e.wall.Running() {
			return false
		}
	}
}

// until waits for a condition and ends the test if it does not become true.
func (e *env) until(what string, cond func() bool) {
	e.t.Helper()
	if e.comes(patience, cond) {
		return
	}
	if !e.wall.Running() {
		e.t.Fatalf("the wall ended by itself while waiting for %s", what)
	}
	e.t.Fatalf("did not come: %s", what)
}

// start runs a function until stop is called or the test ends.
func (e *env) start(run func(context.Context) error) (stop func()) { return lab.Background(e.t, run) }

func (e *env) ok(err error) { e.t.Helper(); lab.OK(e.t, err) }

func (e *env) raw(h *lab.Host) *lab.Raw { return lab.OpenRaw(e.t, h) }

// counter returns one of the wall's counters.
func (e *env) counter(name string) uint64 {
	e.t.Helper()
	n, err := e.wall.Counter(name)
	e.ok(err)
	return n
}

// locked waits until a client is found and locked. This shows that the wall works.
func (e *env) locked(h *lab.Host) {
	e.t.Helper()
	e.until("the lock of the client", func() bool { return e.wall.LastLock(h) == "locked" })
}

// released waits for a host's lock to end after its client ended. The limit is one lock
// time plus enough for a busy machine.
func (e *env) released(h *lab.Host) {
	e.t.Helper()
	if !e.comes(timelock+10*time.Second, func() bool { return e.wall.LastLock(h) == "released" }) {
		e.t.Errorf("not released %v after the end of the client, with a lock of %v", timelock+10*time.Second, timelock)
	}
}

// victim is a user whose traffic must not be disturbed.
type victim struct {
	e    *env
	host *lab.Host
	addr []netip.Addr
	// alone: no other host has this hardware address.
	alone  bool
	user   *lab.Innocent
	stop   func()
	events uint64 // number of the last event before the attack
}

// victim starts a user who uses a host in the usual ways, over IPv4 and IPv6.
func (e *env) victim(h *lab.Host) *victim {
	e.t.Helper()
	return e.user(h, true, lab.InnocentConfig{IPv6: true})
}

func (e *env) user(h *lab.Host, alone bool, cfg lab.InnocentConfig) *victim {
	e.t.Helper()
	v := &victim{e: e, host: h, addr: []netip.Addr{h.Addr4, h.Addr6}, alone: alone}
	for _, ev := range e.wall.Seen() {
		v.events = ev.Seq
	}
	// On a busy machine an action may take long. Lost packets show whether the wall is
	// the cause.
	cfg.Timeout = 15 * time.Second
	v.user = lab.NewInnocent(h, cfg)
	v.stop = e.start(v.user.Run)
	e.until("the victim's first things", func() bool { n, _ := v.user.Counts(); return n >= 14 })
	return v
}

// unharmed lets the victim continue for a while. Then it checks that the victim lost
// nothing except packets from or to the addresses in but. Those belong to the recognised
// flows.
func (v *victim) unharmed(but ...netip.Addr) {
	v.e.t.Helper()
	v.goesOn()
	v.stop()
	v.kept(but...)
}

// goesOn lets the victim perform every kind of action, and more, after the attack.
func (v *victim) goesOn() {
	before, _ := v.user.Counts()
	v.e.comes(12*time.Second, func() bool { n, _ := v.user.Counts(); return n >= before+28 })
}

// kept checks that none of the victim's actions failed, that none of its packets was
// lost, and that the wall never took it for a client.
func (v *victim) kept(but ...netip.Addr) {
	t := v.e.t
	t.Helper()
	if n, failed := v.user.Counts(); failed > 0 {
		t.Errorf("the victim failed %d of %d times (%s): %s", failed, n, v.user.Kinds(), strings.Join(v.user.Errors(), "; "))
	}
	v.lostNothing(but...)
	v.notFound()
}

// lostNothing checks that none of the victim's packets was lost.
func (v *victim) lostNothing(but ...netip.Addr) {
	t := v.e.t
	t.Helper()
	lost := slices.DeleteFunc(v.e.lab.Lost(v.host), func(p lab.Packet) bool {
		if p.Proto != lab.TCP && p.Proto != lab.UDP {
			return true // ICMP errors of its kernel about unsolicited packets
		}
		src, dst := p.Src.Addr(), p.Dst.Addr()
		return !slices.Contains(v.addr, src) && !slices.Contains(v.addr, dst) ||
			slices.Contains(but, src) || slices.Contains(but, dst)
	})
	for i := range lost[:min(len(lost), 3)] {
		t.Errorf("of %d packets of the victim's that were lost: %s", len(lost), &lost[i])
	}
}

// notFound checks that the wall does not take the victim for a client and never did.
func (v *victim) notFound() {
	t := v.e.t
	t.Helper()
	mac := v.host.MACText()
	for _, ev := range v.e.wall.Seen() {
		about := v.alone && ev.MAC == mac
		for _, a := range v.addr {
			about = about || ev.Client == a.String()
		}
		if about && ev.Seq > v.events && ev.Class == "client" && (ev.Event == "found" || ev.Event == "locked") {
			t.Errorf("the wall says of the victim: client %s (%s, MAC %s, %s, %s)", ev.Event, ev.Client, ev.MAC, ev.Protocol, ev.Text)
		}
	}
	clients, err := v.e.wall.Clients()
	v.e.ok(err)
	for _, c := range clients {
		about := v.alone && c.MAC == mac
		for _, a := range v.addr {
			about = about || c.Address == a.String() || slices.Contains(c.Addresses, a.String())
		}
		if about {
			t.Errorf("the victim is listed as a client: %+v", c)
		}
	}
}

// The addresses of attackers on the internet. Nothing else uses them.
var (
	stranger4  = netip.MustParseAddr("203.0.113.251")
	stranger6  = netip.MustParseAddr("2001:db8:ff::bad")
	stranger4b = netip.MustParseAddr("198.51.100.251")
	stranger6b = netip.MustParseAddr("2001:db8:ff:1::bad")
)

// port is an address with a port.
func port(a netip.Addr, p uint16) netip.AddrPort { return netip.AddrPortFrom(a, p) }

// Messages of file-sharing programs.
const (
	handshake = "\x13BitTorrent protocol\x00\x00\x00\x00\x00\x10\x00\x05" + "ABCDEFGHIJKLMNOPQRST" + "-qB4650-abcdefghijkl"
	krpcPing  = "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"
	// pongFull is a supernode's answer that it is full.
	pongFull = "\x29\x00\x00\x00\xa9\x01\x00\x00\x00\x12\x34\x56\x78"
)

// Messages of eDonkey and Kad clients: a hello to another client, MLDonkey's login, aMule's
// query for nodes, and an obfuscated form of the query.
const donkeyHello = "\xe3\x2a\x00\x00\x00\x01\x10\xe4\x3e\x12\x79\xff\x0e\x0e\x64\x12\x55\x58\x3b\xd9\x72\x6f\x44\xc0\xa8\x01\x32\x36\x12\x01\x00\x00\x00" +
	"\x03\x01\x00\x11\x3c\x00\x00\x00\x00\x00\x00\x00\x00\x00"

const donkeyLogin = "\xe3\x3f\x00\x00\x00\x01\xe4\x3e\x12\x79\xff\x0e\x0e\x64\x12\x55\x58\x3b\xd9\x72\x6f\x44\xc0\xa8\x01\x32\x36\x12\x04\x00\x00\x00" +
	"\x02\x01\x00\x01\x06\x00jfgboq\x03\x01\x00\x11\x3e\x00\x00\x00\x03\x01\x00\x20\x0d\x01\x00\x00\x03\x01\x00\xfb\x80\x08\x06\x0a"

var (
	kadFind   = []byte("\xe4\x21\x0b\xd2\x63\xc0\xbf\xde\x19\x98\x76\x47\x9f\xe3\xf4\x4b\xa0\x65\x15\x84\x7d\xcb\x78\x60\x32\x43\x1d\x59\x89\x88\x2a\xe4\xa6\xa6\x39")
	kadHidden = []byte("\xd0\xc8\x20\x8a\x3e\x10\xf0\x7a\x57\x64\x64\x70\xab\x5b\x32\x50\xd5\x8e")
)

// Messages of Direct Connect and Gnutella clients.
const (
	adcHello      = "HSUP ADBAS0 ADBASE ADTIGR\n"
	adcAsk        = "CSUP ADBASE ADTIGR\n"
	adcResult     = "URES DXEBCJ4N7SOGDLZBPOC5OORSA4H7IXBOQNO3GMQ SI3000000 SL2 FN/share/song.mp3 TO4098512921\n"
	nmdcHello     = "$MyNick bob|$Lock EXTENDEDPROTOCOLABCABCABCABCABCABC Pk=DCPLUSPLUS0.868ABCABC|"
	nmdcLogin     = "$Supports NoGetINFO NoHello|$Key 4|$ValidateNick bob|"
	gnutellaPing  = "\xcb\x1b\x31\x02\x3c\x1c\x74\xd5\xff\xbf\xc7\x2c\x3b\xd6\x1c\x00\x00\x01\x00\x00\x00\x00\x00"
	g2Ping        = "GND\x02\x12\x34\x01\x01\x08PI"
	gnutellaHello = "GNUTELLA CONNECT/0.6\r\nUser-Agent: gtk-gnutella/1.2.2\r\nX-Ultrapeer: False\r\n\r\n"
	gnutellaGive  = "GIV 12:0123456789abcdef0123456789abcdef/film.mkv\n\n"
	gnutellaGet   = "GET /uri-res/N2R?urn:sha1:LXIP2A72T5H3BU3GRUMZFYNU3OYDK6FI HTTP/1.1\r\nHost: x\r\nUser-Agent: Shareaza 2.7\r\nX-Features: tls/1.0\r\nX-Gnutella-Content-URN: urn:sha1:LXIP2A72\r\n\r\n"
)

// Greetings of networks that are only reported by default.
const (
	ipfsHello   = "\x13/multistream/1.0.0\n\x07/noise\n"
	xunleiHello = "\x3e\x00\x00\x00\x7d\x00\x00\x00\x64\x11\x22\x33\x44\x01" +
		"\x14\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14" +
		"\x00\x00\x10\x00\x00\x00\x00\x00\x01\x10\x00\x00\x000123456789ABCDEF\x08\x00\x00\x0010.0.0.2\x98\x3a\x00\x00"
	aresHello = "\x03\x00\x5a\x04\x03\x05"
	ajHello   = "ajprot\r\n\x00\x91"
	muteHello = "PublicKey: 30819d300d06092a864886f70d010101050003818b0030818702818100\n"
)

// sessions begin the connections of these networks' clients, with a port where each goes.
// A message to a server, a hub or another client is one of its own.
var sessions = []struct {
	name, text string
	port       uint16
}{
	{"eDonkey login", donkeyLogin, 4661},
	{"eDonkey hello", donkeyHello, 4662},
	{"Soulseek login", slskLogin, slskServer},
	{"Soulseek peer", slskInit, slskPort},
	{"hub of ADC", adcHello, 1511},
	{"client of ADC", adcAsk, 3412},
	{"hub of NMDC", nmdcLogin, 411},
	{"client of NMDC", nmdcHello, 1412},
	{"Gnutella", gnutellaHello, 6346},
	{"its download", gnutellaGet, 6346},
	{"its push", gnutellaGive, 6346},
	{"IPFS", ipfsHello, monitoredPort},
	{"Xunlei", xunleiHello, monitoredPort},
	{"Ares", aresHello, monitoredPort},
	{"appleJuice", ajHello, monitoredPort},
	{"MUTE", muteHello, monitoredPort},
}

// utpSYN opens a uTP connection.
var utpSYN = []byte("\x41\x00\x12\x34\x11\x22\x33\x44\x00\x00\x00\x00\x00\x04\x00\x00\x00\x01\x00\x00")
