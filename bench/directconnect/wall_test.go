// SPDX-License-Identifier: GPL-2.0-or-later

package directconnect

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, "directconnect", 4)) }

// situation is one way to run a client.
type situation struct {
	name    string
	kind    *kind
	hub     string // the hub's protocol
	hubs    int    // number of hubs, each at its own address; 0 means 1
	active  bool   // the router forwards the client's port
	seed    bool   // the client has the file, and a peer on the internet downloads it
	clear   bool   // no TLS between clients
	running bool   // the wall starts when the transfer already runs
	// mute: nothing shows what the client is. It need not be found, but no data may pass.
	mute bool
	// late: the client sends nothing until it requests the next part of the file, and
	// nothing to its hub for a minute. So less than one part may pass. The wall finds the
	// client when it sends something to its hub.
	late bool
	more bool // runs only with -all
}

// all runs every situation. Without it only a few are run.
var all = flag.Bool("all", false, "run every situation")

func chosen() (out []situation) {
	for _, s := range situations {
		if *all || !s.more {
			out = append(out, s)
		}
	}
	return out
}

var situations = []situation{
	{name: "passive", kind: eiskalt, hub: "adc"},
	{name: "passive", kind: ncdc, hub: "adc", more: true},
	{name: "passive in clear", kind: eiskalt, hub: "dchub", clear: true, more: true},
	{name: "passive", kind: ncdc, hub: "dchub"},
	{name: "active", kind: eiskalt, hub: "adc", active: true, more: true},
	{name: "active in clear", kind: eiskalt, hub: "dchub", active: true, clear: true, more: true},
	{name: "active", kind: ncdc, hub: "dchub", active: true, more: true},
	{name: "seeding", kind: eiskalt, hub: "adc", active: true, seed: true},
	{name: "seeding in clear", kind: ncdc, hub: "dchub", active: true, seed: true, clear: true, more: true},
	{name: "one hub by TLS", kind: eiskalt, hub: "adcs", mute: true, more: true},
	{name: "two hubs by TLS", kind: eiskalt, hub: "adcs", hubs: 2},
	{name: "running in clear", kind: eiskalt, hub: "adc", clear: true, running: true, late: true},
}

func (s situation) title() string { return s.name + " " + s.kind.name + " " + s.hub }

const (
	clientPort = 6412
	otherPort  = 7412
	adcPort    = 1511
	nmdcPort   = 4111
	rate       = 400 // KiB/s

	// grace is the time after which no more data of the file may come. findTime is the
	// time within which the wall must report the client.
	grace    = 2 * time.Second
	findTime = 10 * time.Second
	lateTime = 90 * time.Second
	partSize = 1 << 20
	timelock = 40 * time.Second
	holdTime = 60 * time.Second
	slack    = 3 * time.Second
)

var (
	hubAddrs = []netip.Addr{netip.MustParseAddr("198.51.100.10"), netip.MustParseAddr("203.0.113.200")}
	other4   = netip.MustParseAddr("192.0.2.77") // the other user's address
)

// env is a running situation.
type env struct {
	t             *testing.T
	s             situation
	lab           *lab.Lab
	host          *lab.Host
	dir           string
	client, other *program
}

func newEnv(t *testing.T, s situation) *env {
	t.Helper()
	if why := lab.Needs("iptables", "ip6tables", "eiskaltdcpp-daemon", "ncdc", "uhub", "script", "openssl"); why != "" {
		t.Skip(why)
	}
	cfg := lab.Config{NoServers: true, NoOffload: true, NAT: true}
	if s.active {
		cfg.Forward = clientPort
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
	e := &env{t: t, s: s, lab: l, host: l.Clients[0], dir: t.TempDir()}
	if err := l.Firewall(); err != nil {
		t.Fatal(err)
	}
	if s.active { // the port for TLS must be forwarded too
		for _, table := range [][]string{
			{"-t", "nat", "-A", "PREROUTING", "-i", lab.WANDev, "-p", "tcp", "--dport", fmt.Sprint(clientPort + 1), "-j", "DNAT", "--to-destination", e.host.Addr4.String()},
			{"-I", "FORWARD", "-i", lab.WANDev, "-p", "tcp", "-d", e.host.Addr4.String(), "--dport", fmt.Sprint(clientPort + 1), "-j", "ACCEPT"},
		} {
			if out, err := l.Router.Run("iptables", table...); err != nil {
				t.Fatal(err, out)
			}
		}
	}
	for _, a := range append(hubAddrs, other4) {
		if _, err := l.Inet.Run("ip", "addr", "add", a.String()+"/32", "dev", lab.HostDev); err != nil {
			t.Fatal(err)
		}
	}
	e.capture()
	e.hub()
	o := e.options("other", l.Inet)
	o.bind, o.seen, o.port, o.rpc, o.upload = other4, other4, otherPort, 3122, rate
	if s.seed {
		o.port = 0
	} else {
		e.write(o)
	}
	if e.other, err = start(l, eiskalt, o); err != nil {
		t.Fatal(err)
	}
	return e
}

// capture records a pcap file in the folder P2PWALL_PCAP, if that is set.
func (e *env) capture() {
	dir := os.Getenv("P2PWALL_PCAP")
	if dir == "" {
		return
	}
	file := filepath.Join(dir, strings.NewReplacer("/", "-", "+", "").Replace(e.t.Name())+".pcap")
	c := e.lab.Router.Command("tcpdump", "-U", "-q", "-Z", "root", "-i", lab.BridgeDev, "-w", file)
	if err := c.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.lab.OnClose(func() {
		c.Process.Signal(os.Interrupt)
		c.Wait()
	})
}

func (e *env) write(o options) {
	e.t.Helper()
	if err := os.MkdirAll(o.share(), 0o755); err != nil {
		e.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.share(), fileName), content(), 0o644); err != nil {
		e.t.Fatal(err)
	}
}

func (e *env) options(nick string, h *lab.Host) options {
	o := options{ns: h.Namespace, dir: filepath.Join(e.dir, nick), nick: nick, clear: e.s.clear, rpc: 3121}
	port := adcPort
	if e.s.hub == "dchub" {
		port = nmdcPort
	}
	for _, a := range hubAddrs[:max(e.s.hubs, 1)] {
		o.hubs = append(o.hubs, fmt.Sprintf("%s://%s:%d", e.s.hub, a, port))
	}
	return o
}

// hub starts the hub.
func (e *env) hub() {
	e.t.Helper()
	if e.s.hub == "dchub" {
		l, err := e.lab.Inet.ListenTCP(netip.AddrPortFrom(hubAddrs[0], nmdcPort))
		if err != nil {
			e.t.Fatal(err)
		}
		e.lab.OnClose(func() { l.Close() })
		go (&hub{}).serve(l)
		return
	}
	key, cert := filepath.Join(e.dir, "key.pem"), filepath.Join(e.dir, "cert.pem")
	if e.s.hub == "adcs" {
		if _, err := e.lab.Inet.Run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=hub", "-keyout", key, "-out", cert); err != nil {
			e.t.Fatal(err)
		}
	}
	for i := range max(e.s.hubs, 1) {
		conf := fmt.Sprintf("server_port=%d\nserver_bind_addr=%s\nmax_users=500\nflood_ctl_interval=1\nflood_ctl_search=50\n", adcPort, hubAddrs[i])
		if e.s.hub == "adcs" {
			conf += fmt.Sprintf("tls_enable=1\ntls_require=1\ntls_certificate=\"%s\"\ntls_private_key=\"%s\"\n", cert, key)
		}
		e.uhub(filepath.Join(e.dir, fmt.Sprintf("uhub%d.conf", i)), conf, hubAddrs[i])
	}
}

// uhub starts an ADC hub.
func (e *env) uhub(file, conf string, at netip.Addr) {
	e.t.Helper()
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		e.t.Fatal(err)
	}
	c := e.lab.Inet.Command("uhub", "-c", file)
	var log lab.Output
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.lab.OnClose(func() {
		c.Process.Kill()
		c.Wait()
		if e.t.Failed() {
			e.t.Logf("hub:\n%s", log.String())
		}
	})
	e.until("the hub", func() bool {
		return e.lab.Inet.Connects(netip.AddrPortFrom(at, adcPort), time.Second)
	})
}

// launch starts the client in the LAN.
func (e *env) launch() {
	e.t.Helper()
	o := e.options("client", e.host)
	if e.s.active {
		o.port, o.seen = clientPort, lab.WAN4
	}
	if e.s.seed {
		o.upload = rate
		e.write(o)
	}
	p, err := start(e.lab, e.s.kind, o)
	if err != nil {
		e.t.Fatal(err)
	}
	e.client = p
}

// taker is the program that downloads.
func (e *env) taker() *program {
	if e.s.seed {
		return e.other
	}
	return e.client
}

// fetch makes the taker download the file. It returns when the condition is true or the
// time is over.
func (e *env) fetch(during time.Duration, until func() bool) bool {
	e.t.Helper()
	next := time.Now()
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if until() {
			return true
		}
		if time.Now().After(next) && e.taker().have() == 0 {
			if err := e.taker().kind.fetch(e.taker()); err != nil {
				e.t.Logf("fetch: %v", err)
			}
			next = time.Now().Add(6 * time.Second)
		}
	}
	return false
}

func (e *env) until(what string, cond func() bool) {
	e.t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			e.t.Fatalf("did not come: %s", what)
		}
	}
}

// logs shows the programs' output after a failed test.
func (e *env) logs() {
	if !e.t.Failed() {
		return
	}
	for _, p := range []*program{e.client, e.other} {
		if p != nil && p.kind == eiskalt {
			e.t.Logf("%s:\n%s", p.opt.nick, p.log.String())
		}
	}
}

// moved is the number of bytes after a time between the client and the other user.
func (e *env) moved(after time.Time) (n int) {
	e.lab.Packets.All(func(p *lab.Packet) bool {
		if p.Out && p.Proto == lab.TCP && p.Time.After(after) && (p.Src.Addr() == other4 || p.Dst.Addr() == other4) {
			n += p.Len
		}
		return false
	})
	return n
}

// first is the time when the client's first packet to a hub came to the router.
func (e *env) first(since lab.Moment) (first time.Time) {
	e.until("the client's first packet", func() bool {
		found := e.lab.Packets.All(func(p *lab.Packet) bool {
			return !p.WAN && !p.Out && p.At > since && p.Src.Addr() == e.host.Addr4 && (p.Dst.Addr() == hubAddrs[0] || p.Dst.Addr() == hubAddrs[1])
		})
		if len(found) > 0 {
			first = found[0].Time
		}
		return len(found) > 0
	})
	return first
}

// TestWithoutWall shows that every situation can fail.
func TestWithoutWall(t *testing.T) {
	for _, s := range chosen() {
		t.Run(s.title(), func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, s)
			defer e.logs()
			began := time.Now()
			e.launch()
			if !e.fetch(2*patience, func() bool { return e.taker().have() >= fileSize && e.moved(began) >= fileSize*9/10 }) {
				t.Errorf("only %d bytes of the file, %d on the wire", e.taker().have(), e.moved(began))
			}
		})
	}
}

// TestWall runs every situation with the wall.
func TestWall(t *testing.T) {
	for _, s := range chosen() {
		t.Run(s.title(), func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, s)
			defer e.logs()
			if s.running {
				e.launch()
				if !e.fetch(patience, func() bool { return e.taker().have() > fileSize/8 }) {
					t.Fatal(errNoTransfer)
				}
			}
			w := e.wall()
			begin := time.Now()
			if !s.running {
				since := e.lab.Packets.Now()
				e.launch()
				begin = e.first(since)
			}
			found := e.found(w, begin)
			e.held(w, found)
			most := 0
			if s.late {
				most = partSize
			}
			if n := e.moved(begin.Add(grace)); n > most {
				t.Errorf("%d bytes passed between the two after %v", n, grace)
			}
			e.client.stop()
			e.released(w, time.Now())
		})
	}
}

func (e *env) wall() *lab.Wall {
	e.t.Helper()
	bin, err := lab.TestedWall()
	if err != nil {
		e.t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "wall-")
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { os.RemoveAll(dir) })
	w, err := e.lab.StartWall(lab.WallConfig{
		Bin: bin, Dir: dir, Main: map[string]string{"timelock": fmt.Sprint(int(timelock.Seconds()))},
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

// found waits until the wall has locked the client and returns the time.
func (e *env) found(w *lab.Wall, begin time.Time) time.Time {
	e.t.Helper()
	limit := findTime
	if e.s.late {
		limit = lateTime
	}
	for ; time.Since(begin) < limit+slack; time.Sleep(50 * time.Millisecond) {
		locks := w.About(e.host, "client", "locked")
		if len(locks) == 0 {
			continue
		}
		ev := locks[0]
		took := ev.Got.Sub(begin)
		if took > limit || ev.Protocol != "directconnect" {
			e.t.Errorf("found as %q after %v", ev.Protocol, took)
		}
		c, _ := w.Client(e.host)
		e.t.Logf("found after %.1f s by %s, %s: %q", took.Seconds(), c.Proof, c.Reason, c.Program)
		return ev.Got
	}
	if !e.s.mute {
		clients, err := w.Clients()
		e.t.Errorf("not found within %v; the wall knows %+v (%v)", limit, clients, err)
	}
	return time.Now()
}

// held watches the lock for holdTime while the taker requests the file again and again.
func (e *env) held(w *lab.Wall, found time.Time) {
	e.t.Helper()
	polls, gaps := 0, 0
	e.fetch(time.Until(found.Add(holdTime)), func() bool {
		polls++
		if c, err := w.Client(e.host); err != nil || !c.Locked {
			gaps++
		}
		return false
	})
	if gaps > 0 && !e.s.mute {
		e.t.Errorf("the lock was off %d times of %d", gaps, polls)
	}
}

// released checks that the lock ends within one lock time.
func (e *env) released(w *lab.Wall, stopped time.Time) {
	e.t.Helper()
	for ; time.Since(stopped) < timelock+2*slack; time.Sleep(100 * time.Millisecond) {
		if c, err := w.Client(e.host); err != nil || !c.Locked {
			e.t.Logf("released after %.1f s", time.Since(stopped).Seconds())
			return
		}
	}
	e.t.Errorf("still locked %v after it ended: %s", time.Since(stopped), strings.TrimSpace(w.LastLock(e.host)))
}
