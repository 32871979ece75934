// SPDX-License-Identifier: GPL-2.0-or-later

package directconnect

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, "directconnect", 6)) }

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
	v6   bool // all of it over IPv6; EiskaltDC++ has none
	// late: the client sends nothing until it requests the next part of the file, so that the
	// wall finds it only then. The rest of the part before that may pass.
	late bool
	// ends: the running transfer ends within findTime, although the client may be found later.
	ends  bool
	odd   bool // the hub is at a port where no hub is expected
	talks bool // its users search now and then
	more  bool // runs only with -all
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
	{name: "IPv6", kind: ncdc, hub: "adc", v6: true, more: true},
	{name: "seeding and running in clear", kind: eiskalt, hub: "adc", active: true, seed: true, clear: true, running: true, more: true},
	{name: "running in clear", kind: eiskalt, hub: "adc", clear: true, running: true},
	{name: "running in clear", kind: eiskalt, hub: "dchub", clear: true, running: true, more: true},
	{name: "running in clear", kind: ncdc, hub: "adc", clear: true, running: true, late: true, ends: true},
	{name: "running in clear", kind: ncdc, hub: "dchub", clear: true, running: true, late: true, ends: true, more: true},
	{name: "running with a hub elsewhere", kind: eiskalt, hub: "dchub", odd: true, clear: true, running: true, late: true, more: true},
	{name: "running with a hub elsewhere that talks", kind: ncdc, hub: "dchub", odd: true, talks: true, clear: true, running: true, late: true, ends: true, more: true},
	{name: "running by TLS", kind: eiskalt, hub: "adc", running: true},
	{name: "seeding and running by TLS", kind: eiskalt, hub: "adcs", odd: true, active: true, seed: true, running: true, more: true},
}

func (s situation) title() string { return s.name + " " + s.kind.name + " " + s.hub }

const (
	clientPort = 6412
	otherPort  = 7412
	adcPort    = 1511
	oddPort    = 5111
	nmdcPort   = 4111
	usualPort  = 411 // of NMDC
	rate       = 400 // KiB/s

	// grace is the time after which no more data of the file may come. findTime is the
	// time within which the wall must report the client.
	grace    = 2 * time.Second
	findTime = 10 * time.Second
	lateTime = 110 * time.Second // ncdc asks again after a minute, and connects again half a minute later
	timelock = 40 * time.Second
	holdTime = 60 * time.Second
)

var (
	hubAddrs = []netip.Addr{netip.MustParseAddr("198.51.100.10"), netip.MustParseAddr("203.0.113.200")}
	hub6     = netip.MustParseAddr("2001:db8:ff::10")
	other4   = netip.MustParseAddr("192.0.2.77") // the other user's address
	other6   = netip.MustParseAddr("2001:db8:ff:2::77")
)

// hubAddrs are the addresses of the situation's hubs, otherAddr is the other user's.
func (s situation) hubAddrs() []netip.Addr {
	if s.v6 {
		return []netip.Addr{hub6}
	}
	return hubAddrs[:max(s.hubs, 1)]
}

func (s situation) otherAddr() netip.Addr {
	if s.v6 {
		return other6
	}
	return other4
}

// hubPort is where the hubs are.
func (s situation) hubPort() uint16 {
	switch {
	case s.hub != "dchub" && s.odd:
		return oddPort
	case s.hub != "dchub":
		return adcPort
	case s.running && !s.odd:
		return usualPort
	}
	return nmdcPort
}

// env is a running situation.
type env struct {
	*lab.Trial
	s             situation
	client, other *program
	next          time.Time // when the taker asks for the file again
}

func newEnv(t *testing.T, s situation) *env {
	t.Helper()
	cfg := lab.Config{NoServers: true, NAT: true}
	if s.active {
		cfg.Forward = clientPort
	}
	e := &env{s: s, Trial: lab.NewTrial(t, "directconnect", timelock, cfg, "eiskaltdcpp-daemon", "ncdc", "uhub", "script", "openssl")}
	if s.active { // the port for TLS must be forwarded too
		to := fmt.Sprint(" --dport ", clientPort+1, " ")
		for _, rule := range []string{
			"-t nat -A PREROUTING -i " + lab.WANDev + " -p tcp" + to + "-j DNAT --to-destination " + e.Host.Addr4.String(),
			"-I FORWARD -i " + lab.WANDev + " -p tcp -d " + e.Host.Addr4.String() + to + "-j ACCEPT",
		} {
			_, err := e.Lab.Router.Run("iptables", strings.Fields(rule)...)
			e.OK(err)
		}
	}
	for _, a := range slices.Concat(s.hubAddrs(), []netip.Addr{s.otherAddr()}) {
		e.OK(e.Lab.Inet.IPBatch(fmt.Sprintf("addr add %s/%d dev %s", a, a.BitLen(), lab.HostDev)))
	}
	e.hub()
	o := e.options("other", e.Lab.Inet)
	o.bind, o.seen, o.port, o.rpc, o.upload = s.otherAddr(), s.otherAddr(), otherPort, 3122, rate
	if s.seed {
		o.port = 0
	} else {
		e.write(o)
	}
	var err error
	kind := eiskalt
	if s.v6 {
		kind = ncdc
	}
	e.other, err = start(e.Lab, kind, o)
	e.OK(err)
	return e
}

func (e *env) write(o options) {
	e.T.Helper()
	e.OK(os.MkdirAll(o.share(), 0o755))
	e.OK(os.WriteFile(filepath.Join(o.share(), fileName), content(), 0o644))
}

func (e *env) options(nick string, h *lab.Host) options {
	o := options{ns: h.Namespace, dir: filepath.Join(e.Dir, nick), nick: nick, clear: e.s.clear, rpc: 3121}
	port := e.s.hubPort()
	for _, a := range e.s.hubAddrs() {
		o.hubs = append(o.hubs, fmt.Sprintf("%s://%s", e.s.hub, netip.AddrPortFrom(a, port)))
	}
	return o
}

// hub starts the hub.
func (e *env) hub() {
	e.T.Helper()
	if e.s.hub == "dchub" {
		h := &hub{users: map[string]*user{}}
		if e.s.talks {
			ctx, stop := context.WithCancel(context.Background())
			e.T.Cleanup(stop)
			go h.search(ctx)
		}
		lab.Serve(e.T, e.Lab.Inet, netip.AddrPortFrom(hubAddrs[0], e.s.hubPort()), h.talk)
		return
	}
	key, cert := filepath.Join(e.Dir, "key.pem"), filepath.Join(e.Dir, "cert.pem")
	if e.s.hub == "adcs" {
		_, err := e.Lab.Inet.Run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=hub", "-keyout", key, "-out", cert)
		e.OK(err)
	}
	for i, a := range e.s.hubAddrs() {
		conf := fmt.Sprintf("server_port=%d\nserver_bind_addr=%s\nmax_users=500\nflood_ctl_interval=1\nflood_ctl_search=50\n", e.s.hubPort(), a)
		if e.s.hub == "adcs" {
			conf += fmt.Sprintf("tls_enable=1\ntls_require=1\ntls_certificate=\"%s\"\ntls_private_key=\"%s\"\n", cert, key)
		}
		e.uhub(filepath.Join(e.Dir, fmt.Sprintf("uhub%d.conf", i)), conf, a)
	}
}

// uhub starts an ADC hub.
func (e *env) uhub(file, conf string, at netip.Addr) {
	e.T.Helper()
	e.OK(os.WriteFile(file, []byte(conf), 0o644))
	p, err := e.Lab.Start(e.Lab.Inet.Command("uhub", "-c", file))
	e.OK(err)
	e.OK(p.Until("the hub", lab.Patience, func() bool {
		return e.Lab.Inet.Connects(netip.AddrPortFrom(at, e.s.hubPort()), time.Second)
	}))
}

// launch starts the client in the LAN.
func (e *env) launch() {
	e.T.Helper()
	o := e.options("client", e.Host)
	if e.s.active {
		o.port, o.seen = clientPort, lab.WAN4
	}
	if e.s.seed {
		o.upload = rate
		e.write(o)
	}
	var err error
	e.client, err = start(e.Lab, e.s.kind, o)
	e.OK(err)
}

// taker is the program that downloads.
func (e *env) taker() *program {
	if e.s.seed {
		return e.other
	}
	return e.client
}

// ask makes the taker download the file, every six seconds until something of it comes.
func (e *env) ask() {
	e.T.Helper()
	if time.Now().Before(e.next) || e.taker().have() > 0 {
		return
	}
	if err := e.taker().kind.fetch(e.taker()); err != nil {
		e.T.Logf("fetch: %v", err)
	}
	e.next = time.Now().Add(6 * time.Second)
}

// fetch makes the taker download the file until a condition is true.
func (e *env) fetch(what string, until func() bool) {
	e.T.Helper()
	e.State = func() string { return fmt.Sprintf("%d bytes of the file", e.taker().have()) }
	e.Until(what, func() bool { e.ask(); return until() })
}

// logs shows the programs' output after a failed test.
func (e *env) logs() {
	if !e.T.Failed() {
		return
	}
	for _, p := range []*program{e.client, e.other} {
		if p != nil && p.kind == eiskalt {
			e.T.Logf("%s:\n%s", p.opt.nick, p.Log.String())
		}
	}
}

// refused is the length of a segment. Soon after a cut, data that is sent again passes once: the
// host no longer has the connection and refuses it, and then the other side gives up. That may
// be seconds later.
const refused = 1448

// moved is the number of bytes after a time between the client and the other user.
func (e *env) moved(after time.Time) (n int) {
	e.Lab.Packets.All(func(p *lab.Packet) bool {
		if p.Out && p.Proto == lab.TCP && p.Time.After(after) && (p.Src.Addr() == e.s.otherAddr() || p.Dst.Addr() == e.s.otherAddr()) {
			n += p.Len
		}
		return false
	})
	return n
}

// TestWithoutWall shows that every situation can fail.
func TestWithoutWall(t *testing.T) {
	t.Parallel()
	for _, s := range chosen() {
		t.Run(s.title(), func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, s)
			defer e.logs()
			began := time.Now()
			e.launch()
			e.fetch("the file", func() bool { return e.taker().have() >= fileSize && e.moved(began) >= fileSize*9/10 })
		})
	}
}

// TestWall runs every situation with the wall.
func TestWall(t *testing.T) {
	t.Parallel()
	for _, s := range chosen() {
		t.Run(s.title(), func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, s)
			defer e.logs()
			if s.running {
				e.launch()
				e.fetch("a part of the file", func() bool { return e.taker().have() > fileSize/8 })
			}
			e.StartWall(lab.WallConfig{})
			begin := time.Now()
			if !s.running {
				since := e.Lab.Packets.Now()
				e.launch()
				begin = e.First(since, func(p *lab.Packet) bool { return slices.Contains(s.hubAddrs(), p.Dst.Addr()) })
			}
			within := findTime
			if s.late {
				within = lateTime
			}
			found, _ := e.Found(begin, within, !s.mute)
			t.Logf("found after %v, and %d bytes", found.Sub(begin).Round(time.Millisecond), e.moved(begin))
			quiet := begin.Add(grace)
			switch {
			case s.ends:
				quiet = begin.Add(findTime)
			case s.late:
				quiet = found.Add(grace)
			}
			// The taker requests the file again and again.
			e.Held(found, holdTime, !s.mute, e.ask)
			if n := e.moved(quiet); n > refused {
				t.Errorf("%d bytes passed between the two after %v", n, quiet.Sub(begin).Round(time.Millisecond))
			}
			e.client.Stop()
			e.Released(time.Now())
		})
	}
}
