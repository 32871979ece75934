// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// This file shows what becomes of programs that are no file sharing and whose connections
// look random, on hosts without file sharing.

// obscurities are these programs as pastimes, with one server.
var obscurities = []pastime{
	{name: "Telegram, obfuscated", loses: 1, begin: downloads(oneObscure("telegram", 5222, 1083))},
	{name: "Bitcoin, BIP 324", loses: 1, begin: downloads(oneObscure("bip324", 8333, 1084))},
	{name: "Ethereum, RLPx and discovery", begin: downloads(oneObscure("rlpx", 30303, 1085))},
}

// obscureProgram builds the program in the folder random at most once, and keeps it.
var obscureProgram = sync.OnceValues(func() (string, error) {
	cache, unlock, err := lab.Cache("random")
	if err != nil {
		return "", err
	}
	defer unlock()
	bin := filepath.Join(cache, "random")
	build := exec.Command("go", "build", "-o", bin, ".")
	build.Dir = "random"
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building bench/e2e/random: %w\n%s", err, out)
	}
	return bin, nil
})

// obscure runs a protocol of that program: a server at each of several addresses, and one
// client with a local port for each, from a first one up.
func obscure(protocol string, on []netip.Addr, port, local uint16) func(*programs) ([]route, error) {
	return func(p *programs) ([]route, error) {
		bin, err := obscureProgram()
		if err != nil {
			return nil, err
		}
		args := []string{"server", protocol, fmt.Sprint("127.0.0.1:", portWeb)}
		for _, a := range on {
			args = append(args, netip.AddrPortFrom(a, port).String())
		}
		r, err := p.serve(bin, args...)
		if err != nil {
			return nil, err
		}
		names := func() []string {
			lines := strings.Split(r.Log.String(), "\n")
			return lines[:len(lines)-1] // what follows the last newline is not whole
		}
		if err := r.Until("the servers' names", patience, func() bool { return len(names()) == len(on) }); err != nil {
			return nil, err
		}
		args = []string{"client", protocol, fmt.Sprint(local)}
		all := make([]route, len(on))
		for i, name := range names() {
			args = append(args, name)
			all[i] = route{at: loopback(local + uint16(i)).String()}
		}
		if r, err = p.run(p.host.Namespace, nil, bin, args...); err != nil {
			return nil, err
		}
		return all, says(r, "ready")
	}
}

func oneObscure(protocol string, port, local uint16) func(*programs) (route, error) {
	all := obscure(protocol, besideAddrs[:1], port, local)
	return func(p *programs) (route, error) {
		r, err := all(p)
		if err != nil {
			return route{}, err
		}
		return r[0], nil
	}
}

// randomServers are the addresses of each program's servers.
var randomServers = []netip.Addr{
	netip.MustParseAddr("198.51.100.61"), netip.MustParseAddr("203.0.113.61"), netip.MustParseAddr("192.0.2.61"),
}

// way is how a program goes to one of its servers.
type way struct {
	use   func() error // makes new connections; an error is one that failed
	lasts func() error // makes one connection that lasts; nil for tunnels, which TestSessions has
}

// randomPrograms are programs with several servers, each on a host of its own.
var randomPrograms = []struct {
	name string
	// asked is whether each connection begins as BitTorrent's encrypted ones may. The first
	// data of obfs4 and Bitcoin has a random length, and is seldom short enough.
	asked bool
	begin func(*programs) ([]way, error)
}{
	{"Shadowsocks", true, routes(each(func(i int, on netip.Addr) func(*programs) (route, error) {
		return shadowsocks("chacha20-ietf-poly1305", on, 8388, 1081+uint16(i))
	}))},
	{"obfs4", false, routes(each(func(_ int, on netip.Addr) func(*programs) (route, error) { return obfs4(on) }))},
	{"Telegram, obfuscated", true, routes(obscure("telegram", randomServers, 443, 1081))},
	{"Bitcoin, BIP 324", false, routes(obscure("bip324", randomServers, 8333, 1081))},
	{"Ethereum, RLPx and discovery", false, routes(obscure("rlpx", randomServers, 30303, 1081))},
	{"OpenVPN, TCP, tls-crypt", false, vpnTo("tcp4", 100)},
	{"OpenVPN, UDP, tls-crypt", false, vpnTo("udp4", 100+len(randomServers))},
}

// each begins a program at each of the servers.
func each(one func(i int, on netip.Addr) func(*programs) (route, error)) func(*programs) ([]route, error) {
	return func(p *programs) (all []route, err error) {
		for i, on := range randomServers {
			r, err := one(i, on)(p)
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		}
		return all, nil
	}
}

// routes uses each route for downloads and uploads.
func routes(begin func(*programs) ([]route, error)) func(*programs) ([]way, error) {
	return func(p *programs) ([]way, error) {
		all, err := begin(p)
		ways := make([]way, len(all))
		for i, r := range all {
			slow := route{r.at, r.with + " --limit-rate 60K"}
			lasts := func() error { return p.fetches(slow.at, middle, slow.with) }
			if i%2 == 1 {
				lasts = func() error { return p.sends(slow, middle) }
			}
			ways[i] = way{func() error { return p.exchanges(r) }, lasts}
		}
		return ways, err
	}
}

// exchanges downloads a file by a route, and uploads it, each with a connection of its own.
// The file is small: with a large one, all programs together are too fast for the recorder.
func (p *programs) exchanges(r route) error {
	if err := p.fetches(r.at, small, r.with); err != nil {
		return fmt.Errorf("download: %w", err)
	}
	return p.sends(r, small)
}

// sends uploads a file by a route, and checks that the web server gets it whole.
func (p *programs) sends(r route, file string) error {
	err := p.shell(`[ "$(curl -sSf %s --data-binary @%s http://%s/upload)" = "$(sha256sum <%[2]s | cut -d ' ' -f 1)" ]`, r.with, file, r.at)
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	return nil
}

// vpnTo is OpenVPN with tls-crypt. Each use is a new connection, which must hold.
func vpnTo(proto string, net int) func(*programs) ([]way, error) {
	return func(p *programs) (all []way, err error) {
		for i, on := range randomServers {
			up, err := openVPN(proto, on, 31194, tlsCrypt)(p, net+i)
			if err != nil {
				return nil, err
			}
			all = append(all, way{use: func() error {
				r, err := up()
				if err != nil {
					return err
				}
				defer r.Stop()
				if err := p.reaches(r, net+i); err != nil {
					return err
				}
				if err := p.exchanges(inTunnel(net + i)); err != nil {
					return err
				}
				if strings.Contains(r.Log.String(), "SIGUSR1") {
					return errors.New("it had to connect again: " + lab.Tail(r.Log.String(), 20))
				}
				return nil
			}})
		}
		return all, nil
	}
}

// allModes sets the mode of every protocol.
func allModes(mode string) string {
	return fmt.Sprintf("\nconfig policy 'all'\n\toption mode '%s'\n", mode)
}

// randomLives is how often the wall starts, and randomLife how long it runs. A host is asked
// again ten seconds after the first question, and then only after a minute. With the wall
// started anew it is asked sooner, so that more of the servers get their turn.
const (
	randomLives = 3
	randomLife  = 14 * time.Second
)

// TestLooksRandom: on hosts without file sharing, programs with several servers open one
// connection after another, and keep some. The wall may spend one connection to each server,
// also when it starts anew, and none in mode "monitor". Nobody is ever locked. A BitTorrent
// client with everything switched off, with the same servers as its peers, is locked.
func TestLooksRandom(t *testing.T) {
	for _, mode := range []string{"block", "monitor"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p := newPrograms(t, scenario{lab: lab.Config{Clients: len(randomPrograms)}, main: map[string]string{"timelock": "4"}}, true)
			p.cfg.More = allModes(mode)
			hosts, lasting := p.beginRandom()
			var all []*doing
			for _, h := range hosts {
				all = append(all, h...)
			}
			asked := uint64(0)
			for range randomLives {
				p.startWall()
				p.spend(all, 1, randomLife)
				asked = p.counter("handshakes") // goes on over a restart
				for i, h := range p.lab.Clients {
					p.neverLocked(randomPrograms[i].name, h)
				}
				p.endWall()
			}
			most := 1
			if mode == "monitor" {
				most = 0
			}
			total := 0
			for i, o := range randomPrograms {
				total += p.loses(o.name, p.lab.Clients[i], hosts[i], most, o.asked && mode == "block")
			}
			p.must(asked == uint64(total), "the wall says that it asked %d connections, and %d were lost", asked, total)
			for i, errs := range lasting {
				for range cap(errs) {
					if err := <-errs; err != nil {
						p.fault("%s: a lasting connection: %v", randomPrograms[i].name, err)
					}
				}
			}
			p.report()
		})
	}
	t.Run("BitTorrent in their place", func(t *testing.T) {
		t.Parallel()
		p := newPrograms(t, scenario{main: map[string]string{"timelock": "4"}}, true)
		p.cfg.More = allModes("block")
		p.startWall()
		p.hiddenTorrent()
		p.until("the lock", func() bool { return p.locked(p.host) })
		p.neverLocked("aria2", p.host)
		want := regexp.MustCompile(`^aria2's host: .*locked`)
		for _, f := range p.faults {
			if want.MatchString(f) {
				t.Log(f)
				return
			}
		}
		t.Errorf("no fault of %d says %q: %q", len(p.faults), want, p.faults)
	})
}

// loses judges what the wall spent of a program's connections: at most so many to each server,
// and at least one if some must be. It returns how many that are.
func (p *programs) loses(name string, h *lab.Host, uses []*doing, most int, some bool) int {
	opened, spent := p.connections(h)
	done, lost, all := 0, 0, 0
	for i, a := range randomServers {
		d := uses[i]
		p.must(spent[a] <= most, "%s: the wall spent %d connections to %s", name, spent[a], a)
		p.must(len(d.faults) <= spent[a], "%s: %d of %d uses of %s failed: %v", name, len(d.faults), d.done, a, d.faults)
		p.must(d.done >= randomLives, "%s: %s was used %d times", name, a, d.done)
		done, lost, all = done+d.done, lost+len(d.faults), all+spent[a]
	}
	p.must(lost > 0 || !some, "%s lost nothing, so it shows nothing", name)
	p.t.Logf("%s: %d of %d uses failed; of %d connections by TCP %d were spent: %v", name, lost, done, opened, all, spent)
	return all
}

// neverLocked notes a fault if the wall found something on a host.
func (p *programs) neverLocked(who string, h *lab.Host) {
	for _, what := range []string{"found", "locked"} {
		if e := p.events(h, what); len(e) > 0 {
			p.fault("%s's host: %s: %+v", who, what, e)
		}
	}
}

// connections counts a host's connections to randomServers by TCP in which it said something,
// and those by server of which the server heard nothing.
func (p *programs) connections(h *lab.Host) (opened int, spent map[netip.Addr]int) {
	type ends struct{ src, dst netip.AddrPort }
	said, heard := map[ends]bool{}, map[ends]bool{}
	p.lab.Packets.All(func(c *lab.Packet) bool {
		if c.Proto == lab.TCP && c.Len > 0 && c.Src.Addr() == h.Addr4 && slices.Contains(randomServers, c.Dst.Addr()) {
			if c.WAN {
				heard[ends{c.Src, c.Dst}] = true
			} else {
				said[ends{c.Src, c.Dst}] = true
			}
		}
		return false
	})
	p.lab.Packets.Complete(p.t)
	spent = map[netip.Addr]int{}
	for c := range said {
		if !heard[c] {
			spent[c.dst.Addr()]++
		}
	}
	return len(said), spent
}

// beginRandom starts the programs, each on its host, and connections that last. It returns
// the ways to the servers by program, and how the lasting ones end.
func (p *programs) beginRandom() (hosts [][]*doing, lasting []chan error) {
	p.t.Helper()
	hosts, lasting = make([][]*doing, len(randomPrograms)), make([]chan error, len(randomPrograms))
	errs := make([]error, len(randomPrograms))
	var begun sync.WaitGroup
	for i, o := range randomPrograms {
		on := *p
		on.host = p.lab.Clients[i]
		begun.Go(func() {
			var ways []way
			if ways, errs[i] = o.begin(&on); errs[i] != nil {
				return
			}
			for _, w := range ways {
				hosts[i] = append(hosts[i], &doing{pastime: pastime{name: o.name, pause: time.Second}, use: w.use})
			}
			// Two of them: one alone would be less of a sign.
			if ways[0].lasts == nil {
				lasting[i] = make(chan error)
				return
			}
			lasting[i] = make(chan error, 2)
			for _, w := range ways[:2] {
				go func() { lasting[i] <- w.lasts() }()
			}
		})
	}
	begun.Wait()
	for i, err := range errs {
		if err != nil {
			p.t.Fatalf("%s: %v", randomPrograms[i].name, err)
		}
	}
	time.Sleep(2 * time.Second) // the lasting ones are up before the wall
	return hosts, lasting
}

// hiddenTorrent starts a BitTorrent client with everything switched off: no DHT, no local
// search, no peer exchange, only encrypted connections, and a tracker by HTTPS. Its peers are
// at randomServers.
func (p *programs) hiddenTorrent() {
	p.t.Helper()
	const pieceSize, port = 64 << 10, lab.PortTorrent + 1 // the other peers have that one
	content, err := os.ReadFile(p.file(middle))
	p.ok(err)
	var pieces, peers []byte
	for b := content; len(b) > 0; b = b[min(len(b), pieceSize):] {
		sum := sha1.Sum(b[:min(len(b), pieceSize)])
		pieces = append(pieces, sum[:]...)
	}
	for _, a := range randomServers {
		peers = append(append(peers, a.AsSlice()...), port>>8, port&0xff)
	}
	tracker := fmt.Sprintf("https://%s:%d/announce", server, portWebTLS)
	file := p.write("film.torrent", fmt.Sprintf("d8:announce%d:%s4:infod6:lengthi%de4:name%d:%s12:piece lengthi%de6:pieces%d:%see",
		len(tracker), tracker, len(content), len(middle), middle, pieceSize, len(pieces), pieces))
	p.mux.HandleFunc("/announce", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "d8:intervali5e5:peers%d:%se", len(peers), peers)
	})
	args := []string{
		"--no-conf", "--enable-dht=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false", "--bt-require-crypto",
		"--bt-min-crypto-level=arc4", "--check-certificate=false", fmt.Sprint("--listen-port=", port),
	}
	_, err = p.serve("aria2c", append(args, "--dir="+p.dir, "--check-integrity", "--seed-ratio=0", file)...)
	p.ok(err)
	r, err := p.run(p.host.Namespace, nil, "aria2c", append(args, "--dir="+p.file("got"), file)...)
	p.ok(err)
	p.t.Cleanup(func() {
		if p.t.Failed() {
			p.t.Logf("aria2 says:\n%s", lab.Tail(r.Log.String(), 40))
		}
	})
}
