// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// muleSituation is one way to run an eDonkey client.
type muleSituation struct {
	name    string
	current bool
	hides   bool // accepts and makes only obfuscated connections
	plain   bool // makes no obfuscated connections
	noUDP   bool
	running bool // the wall starts when the transfer already runs
	leech   bool // peers on the internet download from the client, whose port is forwarded
	more    bool // runs with -all only
}

var muleSituations = []muleSituation{
	{name: "defaults", more: true},
	{name: "defaults", current: true},
	{name: "clear", current: true, plain: true, more: true},
	{name: "obfuscated", hides: true, current: true},
	{name: "no UDP", current: true, noUDP: true, more: true},
	{name: "running", current: true, running: true, more: true},
	{name: "running and obfuscated", current: true, running: true, hides: true, more: true},
	{name: "forwarded port", current: true, leech: true, more: true},
}

func (s muleSituation) title() string {
	if s.current {
		return s.name + " current aMule"
	}
	return s.name + " aMule"
}

// The ports of the eDonkey clients and of their server.
const (
	muleTCP    = 4662
	muleUDP    = 4672
	donkeyPort = 4661
	// muleRate is the upload limit of each seed in KiB/s.
	muleRate = 300
	muleSize = 4 << 20
	// muleHash is the MD4 hash of the content. It is the eDonkey hash of a file with one
	// part.
	muleHash = "f77ff4f610a6e82f07cb6ada91aecbc2"
)

// muleEnv is a running situation.
type muleEnv struct {
	t      *testing.T
	s      muleSituation
	lab    *lab.Lab
	host   *lab.Host
	dir    string
	resolv string
	server *donkeyServer
	seeds  []*mule
	client *mule
	link   string
	sum    [32]byte
}

func newMuleEnv(t *testing.T, s muleSituation) *muleEnv {
	t.Helper()
	programs := []string{"iptables", "ip6tables", "amuled"}
	if s.current {
		programs = append(programs, "mmdebstrap")
	}
	if why := lab.Needs(programs...); why != "" {
		t.Skip(why)
	}
	cfg := lab.Config{NoServers: true, NoOffload: true, NAT: true}
	if s.leech {
		cfg.Forward = muleTCP
	}
	l, err := lab.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	e := &muleEnv{t: t, s: s, lab: l, host: l.Clients[0], dir: t.TempDir()}
	if err := l.Firewall(); err != nil {
		t.Fatal(err)
	}
	e.capture()
	e.resolv = filepath.Join(e.dir, "resolv.conf")
	if err := os.WriteFile(e.resolv, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, a := range []netip.Addr{seedA4, seedB4} {
		if _, err := l.Inet.Run("ip", "addr", "add", a.String()+"/32", "dev", lab.HostDev); err != nil {
			t.Fatal(err)
		}
	}
	hash, err := hex.DecodeString(muleHash)
	if err != nil {
		t.Fatal(err)
	}
	e.server = &donkeyServer{
		open: func(a netip.Addr) bool { return isMule(a) || s.leech },
		has:  func(a netip.Addr) bool { return isMule(a) != s.leech },
		hash: [16]byte(hash),
	}
	e.link = donkeyLink("film.mkv", muleSize, e.server.hash)
	if err := startDonkeyServer(l, e.serverAt(), e.server); err != nil {
		t.Fatal(err)
	}
	return e
}

// isMule reports whether an address belongs to one of the peers on the internet.
func isMule(a netip.Addr) bool { return a == seedA4 || a == seedB4 }

func (e *muleEnv) serverAt() netip.AddrPort { return netip.AddrPortFrom(track4, donkeyPort) }

// capture records a pcap file if the environment variable asks for it.
func (e *muleEnv) capture() {
	dir := os.Getenv(pcapEnv)
	if dir == "" {
		return
	}
	file := filepath.Join(dir, strings.NewReplacer("/", "-", " ", "-").Replace(e.t.Name())+".pcap")
	c := e.lab.Router.Command("tcpdump", "-U", "-q", "-Z", "root", "-i", lab.BridgeDev, "-w", file)
	if err := c.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.lab.OnClose(func() {
		c.Process.Signal(os.Interrupt)
		c.Wait()
	})
}

// nodeID is the Kad ID of a seed.
func nodeID(i int) (id [16]byte) {
	rand.NewChaCha8([32]byte{byte(i + 1)}).Read(id[:])
	return id
}

// outside starts the peers on the internet. If they have the file, it waits until the
// server knows that.
func (e *muleEnv) outside(have bool) {
	e.t.Helper()
	addrs := []netip.Addr{seedA4, seedB4}
	for i, a := range addrs {
		m := &mule{
			ns: e.lab.Inet.Namespace, dir: filepath.Join(e.dir, fmt.Sprintf("outside%d", i)), resolv: e.resolv,
			bind: a, tcp: muleTCP, udp: muleUDP, server: e.serverAt(), self: nodeID(i), upload: muleRate, rpc: uint16(4712 + i),
			contact: []kadContact{{nodeID(1 - i), addrs[1-i], muleUDP, muleTCP}},
			hides:   e.s.hides, plain: e.s.plain,
		}
		e.begin(m, have)
		e.seeds = append(e.seeds, m)
	}
}

// begin starts a client, with the file if have is set.
func (e *muleEnv) begin(m *mule, have bool) {
	e.t.Helper()
	if have {
		if err := os.MkdirAll(m.incoming(), 0o755); err != nil {
			e.t.Fatal(err)
		}
		content := make([]byte, muleSize)
		rand.NewChaCha8([32]byte{1}).Read(content)
		e.sum = sha256.Sum256(content)
		if err := os.WriteFile(filepath.Join(m.incoming(), "film.mkv"), content, 0o644); err != nil {
			e.t.Fatal(err)
		}
	}
	if err := m.start(e.lab); err != nil {
		e.t.Fatal(err)
	}
}

// offered waits until n clients with the file are logged in at the server.
func (e *muleEnv) offered(n int) {
	e.t.Helper()
	e.until("those who have the file", func() bool { return e.server.known() >= n })
}

// launch starts the client in the LAN.
func (e *muleEnv) launch() {
	e.t.Helper()
	m := &mule{
		ns: e.host.Namespace, dir: filepath.Join(e.dir, "client"), resolv: e.resolv, current: e.s.current,
		tcp: muleTCP, udp: muleUDP, server: e.serverAt(), self: nodeID(9), upload: muleRate, rpc: 4712,
		hides: e.s.hides, plain: e.s.plain,
		contact: []kadContact{{nodeID(0), seedA4, muleUDP, muleTCP}, {nodeID(1), seedB4, muleUDP, muleTCP}},
	}
	if e.s.noUDP {
		m.udp, m.contact = 0, nil
	}
	e.client = m
	e.begin(m, e.s.leech)
	if !e.s.leech {
		if err := m.download(e.link); err != nil {
			e.t.Fatal(err)
		}
	}
}

// until waits for a condition and ends the test if it does not become true.
func (e *muleEnv) until(what string, cond func() bool) {
	e.t.Helper()
	for end := time.Now().Add(2 * patience); !cond(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			said := ""
			for _, m := range append(e.seeds, e.client) {
				if m != nil {
					text, _ := os.ReadFile(filepath.Join(m.config(), "logfile"))
					said += m.dir + ":\n" + string(text) + m.log.String()
				}
			}
			e.t.Fatalf("did not come: %s; %d logins, %d obfuscated\n%s", what, e.server.logins, e.server.hidden, said)
		}
	}
}

// moved sums the TCP payload after a time between the LAN and the peers on the internet,
// in the direction of the file.
func (e *muleEnv) moved(after time.Time) (n int) {
	for _, p := range e.lab.Packets.All(func(p *lab.Packet) bool {
		if p.Proto != lab.TCP || !p.Out || !p.Time.After(after) {
			return false
		}
		if e.s.leech {
			return p.WAN && isMule(p.Dst.Addr())
		}
		return !p.WAN && isMule(p.Src.Addr())
	}) {
		n += p.Len
	}
	return n
}

// whole reports whether a client has the whole file.
func (e *muleEnv) whole(m *mule) bool {
	b, err := os.ReadFile(filepath.Join(m.incoming(), "film.mkv"))
	return err == nil && sha256.Sum256(b) == e.sum
}

// prepare starts everything but the client.
func (e *muleEnv) prepare() {
	e.t.Helper()
	if e.s.leech {
		e.outside(false)
		return
	}
	e.outside(true)
	e.offered(2)
}

// fetch makes the peers on the internet download from the client, in situations with
// leech.
func (e *muleEnv) fetch() {
	e.t.Helper()
	if !e.s.leech {
		return
	}
	// The wall blocks the client's connection to its server. So the peers get the
	// client's address with the link.
	link := fmt.Sprintf("%s|sources,%s:%d|/", e.link, lab.WAN4, muleTCP)
	for _, m := range e.seeds {
		if err := m.download(link); err != nil {
			e.t.Fatal(err)
		}
	}
}

// TestMuleWithoutWall shows that every situation can fail: without the wall the file is
// transferred.
func TestMuleWithoutWall(t *testing.T) {
	for _, s := range muleSituations {
		if s.more && !*all {
			continue
		}
		t.Run(s.title(), func(t *testing.T) {
			t.Parallel()
			e := newMuleEnv(t, s)
			e.prepare()
			e.launch()
			e.fetch()
			var first time.Time
			e.until("the first bytes", func() bool {
				first = time.Now()
				return e.moved(time.Time{}) > blockSize
			})
			// With the wall much less comes.
			want := muleSize / 8
			if s.running && s.hides {
				want = muleSize / 2
			}
			e.resumed(func() bool { return e.moved(first.Add(grace)) >= want })
			t.Logf("%d logins, %d obfuscated", e.server.logins, e.server.hidden)
		})
	}
}

// resumed waits for the transfer. aMule 2.3.3 sometimes stops reading in the middle of the
// file, without any wall. Then the test starts the downloading client again, and it resumes.
func (e *muleEnv) resumed(cond func() bool) {
	e.t.Helper()
	for range 3 {
		for end := time.Now().Add(patience / 2); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			if cond() {
				return
			}
		}
		all := []*mule{e.client}
		if e.s.leech {
			all = e.seeds
		}
		for _, m := range all {
			e.t.Logf("%s is started again", filepath.Base(m.dir))
			m.stop()
			if err := m.start(e.lab); err != nil {
				e.t.Fatal(err)
			}
		}
	}
	e.until("the transfer", cond)
}

// The lock time is longer than for BitTorrent: a Kad node answers only ten queries a
// minute.
const (
	muleLock = 20 * time.Second
	muleHold = 5 * muleLock
)

// TestMuleWall runs every situation with the wall. The requirements are those for
// BitTorrent.
func TestMuleWall(t *testing.T) {
	for _, s := range muleSituations {
		if s.more && !*all {
			continue
		}
		t.Run(s.title(), func(t *testing.T) {
			t.Parallel()
			e := newMuleEnv(t, s)
			e.prepare()
			if s.running {
				e.launch()
				e.until("the first bytes", func() bool { return e.moved(time.Time{}) > 16*blockSize })
			}
			w := e.startWall()
			first := e.starts()
			e.fetch()
			found := e.found(w, first)
			e.held(w, found)
			// A client that ran before may still get what it had requested: three blocks
			// from each of the two peers.
			most := blockSize
			if s.running && s.hides {
				most += 2 * 3 * 180 << 10
			}
			if n := e.moved(first.Add(grace)); n >= most {
				t.Errorf("%d bytes from those who have the file after %v", n, grace)
			} else {
				t.Logf("%d bytes after %v", n, grace)
			}
			for _, m := range append(e.seeds, e.client) {
				if (m != e.client) == s.leech && e.whole(m) {
					t.Error("the file is there")
				}
			}
			e.client.stop()
			e.released(w, time.Now())
			if n := e.lab.Packets.Dropped(); n > 0 {
				t.Errorf("the recorder missed %d packets: what it shows proves nothing", n)
			}
		})
	}
}

// starts starts the client and returns when its first packet to the internet came to the
// router. If the client runs already, it returns the current time.
func (e *muleEnv) starts() time.Time {
	e.t.Helper()
	if e.s.running {
		return time.Now()
	}
	after := e.lab.Packets.Now()
	e.launch()
	var first lab.Packet
	e.until("the client's first packet", func() bool {
		all := e.lab.Packets.All(func(p *lab.Packet) bool {
			return p.At > after && !p.WAN && !p.Out && p.MAC == e.host.MAC && p.Dst.Addr().Is4() && !p.Dst.Addr().IsPrivate()
		})
		if len(all) > 0 {
			first = all[0]
		}
		return len(all) > 0
	})
	return first.Time
}

func (e *muleEnv) startWall() *lab.Wall {
	e.t.Helper()
	dir, err := os.MkdirTemp("", "wall-")
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { os.RemoveAll(dir) })
	w, err := e.lab.StartWall(lab.WallConfig{
		Bin: wallProgram(e.t), Dir: dir,
		Main:       map[string]string{"timelock": fmt.Sprint(int(muleLock.Seconds()))},
		BitTorrent: map[string]string{"mode": "block"},
	})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		if e.t.Failed() {
			e.t.Logf("log of the wall:\n%s", w.LogText())
		}
	})
	return w
}

func (e *muleEnv) locked(w *lab.Wall) bool {
	c, err := w.Client(e.host)
	return err == nil && c.Locked && c.Protocol == "edonkey"
}

// found waits until the client is locked and returns the time.
func (e *muleEnv) found(w *lab.Wall, first time.Time) time.Time {
	e.t.Helper()
	for ; time.Since(first) < findTime+slack; time.Sleep(50 * time.Millisecond) {
		for _, ev := range w.Seen() {
			if ev.Event != "locked" || ev.Class != "client" || ev.MAC != e.host.MACText() {
				continue
			}
			took := ev.Got.Sub(first)
			if took > findTime || ev.Protocol != "edonkey" {
				e.t.Errorf("found as %q after %v", ev.Protocol, took)
			}
			c, _ := w.Client(e.host)
			e.t.Logf("found after %.1f s by %s, %s", took.Seconds(), c.Proof, c.Reason)
			return ev.Got
		}
	}
	clients, err := w.Clients()
	e.t.Errorf("not found within %v; the wall knows %+v (%v)", findTime, clients, err)
	return time.Now()
}

// held watches the lock for muleHold.
func (e *muleEnv) held(w *lab.Wall, found time.Time) {
	e.t.Helper()
	polls, gaps := 0, 0
	for ; time.Since(found) < muleHold; time.Sleep(250 * time.Millisecond) {
		polls++
		if !e.locked(w) {
			if gaps++; gaps == 1 {
				e.t.Logf("off %.1f s after it was on", time.Since(found).Seconds())
			}
		}
	}
	if gaps > 0 {
		e.t.Errorf("the lock was off %d times of %d", gaps, polls)
	}
}

// released checks that the lock ends within one lock time after the client's end.
func (e *muleEnv) released(w *lab.Wall, ended time.Time) {
	e.t.Helper()
	for ; time.Since(ended) < muleLock+slack; time.Sleep(50 * time.Millisecond) {
		if !e.locked(w) {
			e.t.Logf("released after %.1f s", time.Since(ended).Seconds())
			return
		}
	}
	e.t.Errorf("not released %v after the client's end", muleLock)
}
