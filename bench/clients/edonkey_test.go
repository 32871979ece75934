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
	{name: "clear", plain: true, more: true},
	{name: "obfuscated", hides: true, more: true},
	{name: "no UDP", noUDP: true, more: true},
	{name: "running", running: true, more: true},
	{name: "running and obfuscated", running: true, hides: true, more: true},
	{name: "forwarded port", leech: true, more: true},
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
	*lab.Trial
	s      muleSituation
	resolv string
	server *donkeyServer
	seeds  []*mule
	client *mule
	link   string
	sum    [32]byte
}

func newMuleEnv(t *testing.T, s muleSituation) *muleEnv {
	t.Helper()
	programs := []string{"amuled"}
	if s.current {
		programs = append(programs, "mmdebstrap")
	}
	cfg := lab.Config{NoServers: true, NAT: true}
	if s.leech {
		cfg.Forward = muleTCP
	}
	e := &muleEnv{s: s, Trial: lab.NewTrial(t, "edonkey", muleLock, cfg, programs...)}
	e.State = e.said
	e.resolv = filepath.Join(e.Dir, "resolv.conf")
	e.OK(os.WriteFile(e.resolv, nil, 0o644))
	for _, a := range []netip.Addr{seedA4, seedB4} {
		e.OK(e.Lab.Inet.IPBatch("addr add " + a.String() + "/32 dev " + lab.HostDev))
	}
	hash, err := hex.DecodeString(muleHash)
	e.OK(err)
	e.server = &donkeyServer{
		open: func(a netip.Addr) bool { return isMule(a) || s.leech },
		has:  func(a netip.Addr) bool { return isMule(a) != s.leech },
		hash: [16]byte(hash),
	}
	e.link = donkeyLink("film.mkv", muleSize, e.server.hash)
	lab.Serve(t, e.Lab.Inet, e.serverAt(), e.server.serve)
	return e
}

// isMule reports whether an address belongs to one of the peers on the internet.
func isMule(a netip.Addr) bool { return a == seedA4 || a == seedB4 }

func (e *muleEnv) serverAt() netip.AddrPort { return netip.AddrPortFrom(track4, donkeyPort) }

// nodeID is the Kad ID of a seed.
func nodeID(i int) (id [16]byte) {
	rand.NewChaCha8([32]byte{byte(i + 1)}).Read(id[:])
	return id
}

// outside starts the peers on the internet. If they have the file, it waits until the
// server knows that.
func (e *muleEnv) outside(have bool) {
	e.T.Helper()
	addrs := []netip.Addr{seedA4, seedB4}
	for i, a := range addrs {
		m := &mule{
			ns: e.Lab.Inet.Namespace, dir: filepath.Join(e.Dir, fmt.Sprintf("outside%d", i)), resolv: e.resolv,
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
	e.T.Helper()
	if have {
		e.OK(os.MkdirAll(m.incoming(), 0o755))
		content := make([]byte, muleSize)
		rand.NewChaCha8([32]byte{1}).Read(content)
		e.sum = sha256.Sum256(content)
		e.OK(os.WriteFile(filepath.Join(m.incoming(), "film.mkv"), content, 0o644))
	}
	e.OK(m.start(e.Lab))
}

// offered waits until n clients with the file are logged in at the server.
func (e *muleEnv) offered(n int) {
	e.T.Helper()
	e.Until("those who have the file", func() bool { return e.server.known() >= n })
}

// launch starts the client in the LAN.
func (e *muleEnv) launch() {
	e.T.Helper()
	m := &mule{
		ns: e.Host.Namespace, dir: filepath.Join(e.Dir, "client"), resolv: e.resolv, current: e.s.current,
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
		e.OK(m.download(e.link))
	}
}

// said is what the clients have logged.
func (e *muleEnv) said() string {
	said := fmt.Sprintf("%d logins, %d obfuscated", e.server.logins, e.server.hidden)
	for _, m := range append(e.seeds, e.client) {
		if m != nil {
			text, _ := os.ReadFile(filepath.Join(m.config(), "logfile"))
			said += "\n" + m.dir + ":\n" + string(text) + m.Log.String()
		}
	}
	return said
}

// moved sums the TCP payload after a time between the LAN and the peers on the internet,
// in the direction of the file.
func (e *muleEnv) moved(after time.Time) (n int) {
	for _, p := range e.Lab.Packets.All(func(p *lab.Packet) bool {
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
	e.T.Helper()
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
	e.T.Helper()
	if !e.s.leech {
		return
	}
	// The wall blocks the client's connection to its server. So the peers get the
	// client's address with the link.
	link := fmt.Sprintf("%s|sources,%s:%d|/", e.link, lab.WAN4, muleTCP)
	for _, m := range e.seeds {
		e.OK(m.download(link))
	}
}

// TestMuleWithoutWall shows that every situation can fail: without the wall the file is
// transferred.
func TestMuleWithoutWall(t *testing.T) {
	t.Parallel()
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
			e.resumed(func() bool {
				first = time.Now()
				return e.moved(time.Time{}) > blockSize
			})
			// With the wall much less comes.
			e.resumed(func() bool { return e.moved(first.Add(grace)) >= muleSize/8 })
			t.Logf("%d logins, %d obfuscated", e.server.logins, e.server.hidden)
		})
	}
}

// resumed waits for the transfer. aMule 2.3.3 sometimes stops reading in the middle of the
// file, without any wall. Then the test starts the downloading client again, and it resumes.
func (e *muleEnv) resumed(cond func() bool) {
	e.T.Helper()
	for range 3 {
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			if cond() {
				return
			}
		}
		all := []*mule{e.client}
		if e.s.leech {
			all = e.seeds
		}
		for _, m := range all {
			e.T.Logf("%s is started again", filepath.Base(m.dir))
			m.Stop()
			e.OK(m.start(e.Lab))
		}
	}
	e.Until("the transfer", cond)
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
	t.Parallel()
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
				e.Until("the first bytes", func() bool { return e.moved(time.Time{}) > 16*blockSize })
			}
			e.StartWall(lab.WallConfig{})
			first := e.starts()
			e.fetch()
			found, _ := e.Found(first, findTime, true)
			e.Held(found, muleHold, true, nil)
			// 17 KB of a connection that ran before have to be seen before it is told from TLS,
			// and there are two.
			most := blockSize
			if s.running {
				most += 2 * 17 << 10
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
			e.client.Stop()
			e.Released(time.Now())
			e.Lab.Packets.Complete(t)
		})
	}
}

// starts starts the client and returns when its first packet to the internet came to the
// router. If the client runs already, it returns the current time.
func (e *muleEnv) starts() time.Time {
	e.T.Helper()
	if e.s.running {
		return time.Now()
	}
	after := e.Lab.Packets.Now()
	e.launch()
	return e.First(after, func(p *lab.Packet) bool { return p.Dst.Addr().Is4() && !p.Dst.Addr().IsPrivate() })
}
