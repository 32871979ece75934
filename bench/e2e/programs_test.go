// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/webdav"

	"github.com/p2pwall/p2pwall/bench/lab"
	"github.com/p2pwall/p2pwall/bench/netns"
)

// This file shows what a host does besides BitTorrent. Both ends run real programs from
// Debian and npm.

// pastime is something that a person does with real programs.
type pastime struct {
	name string
	// begin starts the servers. use then does the thing once. It returns an error unless
	// all data arrived.
	begin func(*programs) (use func() error, err error)
	// loses is how often use may fail. A connection that begins as BitTorrent's encrypted
	// connections do is cut once for each server.
	loses int
	// pause is the time between two uses.
	pause time.Duration
}

// pastimes is all of them, in the order in which their servers start.
func pastimes() []pastime {
	var all []pastime
	for _, some := range [][]pastime{transfers, conversations, games, databases, proxies, obscurities, tunnels} {
		all = append(all, some...)
	}
	return all
}

// programs are real programs that run in a lab.
type programs struct {
	*env
	host     *lab.Host // where the user's programs run
	dir      string    // for the programs' files
	cert     *lab.Certificate
	patience time.Duration  // for one use
	mux      *http.ServeMux // of the web server
}

// server is the address of nearly all servers.
var server = besideAddrs[0].String()

// portWeb is the port of the web server. It listens at all addresses, also inside the
// tunnels.
const (
	portWeb    = 8000
	portWebTLS = 9443
)

// sizes are the sizes of the files in bytes. Each file is named after its size.
var sizes = []int{1 << 10, 100 << 10, 2 << 20, 30 << 20}

const (
	small  = "102400"
	middle = "2097152"
)

// newPrograms makes a lab with a torrent client's peers and a web server.
func newPrograms(t *testing.T, s scenario, wall bool) *programs {
	t.Helper()
	lab.Need(t, programNames...)
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("needs /dev/net/tun for the tunnels")
	}
	s.lab.NoServers, s.late = true, true
	e := newEnv(t, s, wall)
	p := &programs{env: e, host: e.lab.Clients[0], dir: t.TempDir(), patience: patience}
	// Some servers drop root privileges and must still reach their files.
	for _, d := range []string{filepath.Dir(p.dir), p.dir} {
		p.ok(os.Chmod(d, 0o755))
	}
	for _, size := range sizes {
		p.write(fmt.Sprint(size), string(noise(size)))
	}
	var err error
	p.cert, err = lab.NewCertificate("www.example.net")
	p.ok(err)
	p.write("cert.pem", string(p.cert.PEM))
	p.write("key.pem", string(p.cert.KeyPEM))
	p.peers()
	p.web()
	// The server's end of a tunnel must not be reachable outside the tunnel.
	for _, h := range p.lab.Clients {
		_, err := h.Run("ip", "route", "add", "unreachable", tunnelNets)
		p.ok(err)
	}
	return p
}

// programNames are the programs that the tests need.
var programNames = []string{
	"aria2c", "busybox", "curl", "fastd", "git", "gtlsclient", "gtlsserver", "iperf3", "mariadb",
	"mariadb-dump", "mariadbd", "microsocks", "/usr/games/minetest", "/usr/lib/minetest/minetestserver",
	"mosh-client", "mosquitto", "mosquitto_sub", "mumble", "murmurd", "ngircd", "node", "npm", "obfs4proxy",
	"openssl", "openvpn", "python3", "quakestat", "redis-server", "rsync", "script", "sic", "snmpd", "snmpwalk",
	"ss-server", "ssh", "/usr/sbin/sshd", "syncthing", "timeout", "tincd", "tinyproxy", "vsftpd", "wg",
	"wireguard-go", "xl2tpd",
}

// file is the path of one of the programs' files, and write makes one. Each begin uses
// its own names.
func (p *programs) file(name string) string { return filepath.Join(p.dir, name) }

func (p *programs) write(name, text string) string {
	f := p.file(name)
	err := os.MkdirAll(filepath.Dir(f), 0o755)
	if err == nil {
		err = os.WriteFile(f, []byte(text), 0o600)
	}
	if err == nil {
		err = os.Chmod(f, 0o644)
	}
	p.ok(err)
	return f
}

// peers starts the peers of the torrent client.
func (p *programs) peers() {
	for _, a := range torrentPeers {
		at := netip.AddrPortFrom(a, lab.PortTorrent)
		lab.Serve(p.t, p.lab.Inet, at, lab.Echo)
		lab.ServeUDP(p.t, p.lab.Inet, at)
	}
}

// web starts a server that serves files, returns the checksum of an upload, and serves
// WebDAV and git.
func (p *programs) web() {
	secure, err := p.lab.Inet.ListenTCP(lab.Any(portWebTLS))
	p.ok(err)
	mux := http.NewServeMux()
	p.mux = mux
	mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		if _, err := io.Copy(sum, r.Body); err == nil {
			io.WriteString(w, hex.EncodeToString(sum.Sum(nil)))
		}
	})
	mux.Handle("/dav/", &webdav.Handler{Prefix: "/dav", FileSystem: webdav.NewMemFS(), LockSystem: webdav.NewMemLS()})
	mux.Handle("/git/", &cgi.Handler{
		Path: "/usr/lib/git-core/git-http-backend", Root: "/git", Logger: nil,
		Env: append(p.gitEnv(), "GIT_PROJECT_ROOT="+p.file("git"), "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=a"),
	})
	mux.Handle("/", http.FileServer(http.Dir(p.dir)))
	lab.ServeHTTP(p.t, p.lab.Inet, lab.Any(portWeb), mux)
	t := &http.Server{Handler: mux, TLSConfig: &tls.Config{Certificates: []tls.Certificate{p.cert.TLS}}}
	go t.ServeTLS(secure, "", "")
	p.t.Cleanup(func() { t.Close() })
}

// run starts a program in a namespace with additional environment variables. The program
// ends with the lab.
func (p *programs) run(in *netns.Namespace, env []string, name string, args ...string) (*lab.Process, error) {
	cmd := in.Command(name, args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), append([]string{"HOME=" + p.dir, "TERM=xterm", "LC_ALL=C.UTF-8"}, env...)...)
	return p.lab.Start(cmd)
}

// serve starts a server on the internet side.
func (p *programs) serve(name string, args ...string) (*lab.Process, error) {
	return p.run(p.lab.Inet.Namespace, nil, name, args...)
}

// serveAt starts a server and waits until it listens at a TCP port.
func (p *programs) serveAt(port uint16, name string, args ...string) error {
	r, err := p.serve(name, args...)
	if err != nil {
		return err
	}
	return p.listens(p.lab.Inet.Namespace, netip.AddrPortFrom(besideAddrs[0], port), r)
}

// listens waits until a program accepts connections.
func (p *programs) listens(in *netns.Namespace, at netip.AddrPort, r *lab.Process) error {
	return r.Until(fmt.Sprint("a connection to ", at), patience, func() bool { return in.Connects(at, time.Second) })
}

// says waits until a program has printed a text.
func says(r *lab.Process, text string) error {
	return r.Until(text, patience, func() bool { return strings.Contains(r.Log.String(), text) })
}

// script returns a use that runs a script.
func (p *programs) script(script string, args ...any) func() error {
	return func() error { return p.shell(script, args...) }
}

// shell runs a script on the host. The script ends at the first command that fails, or when
// the patience ends.
func (p *programs) shell(script string, args ...any) error {
	cmd := p.host.Command("timeout", "-k", "1", fmt.Sprint(p.patience.Seconds()), "sh", "-ec", fmt.Sprintf(script, args...))
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "TERM=xterm", "LC_ALL=C.UTF-8")
	cmd.WaitDelay = p.patience // on a busy machine its last child may end later
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, lab.Tail(string(out), 6))
	}
	return nil
}

// fetches downloads a file from the web server at an address, with curl and further
// arguments, and checks that the file is complete.
func (p *programs) fetches(address, file string, more ...string) error {
	return p.shell("curl -sSf %s http://%s/%s | cmp - %[3]s", strings.Join(more, " "), address, file)
}

// doing is a pastime whose servers run.
type doing struct {
	pastime
	use    func() error
	done   int     // number of uses
	faults []error // errors of the uses that failed
}

// ready starts the servers of some pastimes.
func (p *programs) ready(some []pastime) []*doing {
	p.t.Helper()
	all := make([]*doing, len(some))
	for i, d := range some {
		use, err := d.begin(p)
		if err != nil {
			p.t.Fatalf("%s: %v", d.name, err)
		}
		all[i] = &doing{pastime: d, use: use}
	}
	return all
}

// spend performs pastimes side by side, each at least times times and for at least long.
func (p *programs) spend(all []*doing, times int, long time.Duration) {
	side := 8 // the machine may have two processors
	if p.patience < patience {
		side = len(all) // behind the wrong wall they only wait for a timeout
	}
	gate := make(chan struct{}, side)
	end := time.Now().Add(long)
	var wait sync.WaitGroup
	for _, d := range all {
		wait.Go(func() {
			for n := 0; n < times || time.Now().Before(end); n++ {
				gate <- struct{}{}
				if err := d.use(); err != nil {
					d.faults = append(d.faults, err)
				}
				<-gate
				d.done++
				time.Sleep(d.pause)
			}
		})
	}
	wait.Wait()
}

// noneFailed checks that all uses worked.
func noneFailed(t *testing.T, all []*doing) {
	t.Helper()
	for _, d := range all {
		for _, err := range d.faults {
			t.Errorf("%s: %v", d.name, err)
		}
	}
}

// lockIt starts a torrent client on the host and the wall, and waits for the lock.
func (p *programs) lockIt() (c *lab.Torrent, stop func()) {
	c = lab.NewTorrent(p.host, lab.TorrentConfig{Peers: torrentPeers})
	stop = p.start(c.Run)
	p.until("queries", func() bool { return c.Seen().Queries >= 10 })
	p.startWall()
	if !p.until("the lock", func() bool { return p.wall == nil || p.locked(p.host) }) {
		s, err := p.wall.Status()
		p.t.Logf("the client: %+v; the wall: %+v, %v", c.Seen(), s, err)
	}
	time.Sleep(500 * time.Millisecond) // for packets on their way
	return c, stop
}

// TestPrograms: real programs continue on a host that is locked for BitTorrent and all
// other networks, for several lock times. They do not keep the lock when the client is
// gone. On a host without a client they lose nothing, and nothing is found. The run with
// a wrong wall shows that the test can fail. The run without a wall shows that any
// failure is the wall's.
func TestPrograms(t *testing.T) {
	t.Run("nobody", func(t *testing.T) {
		t.Parallel()
		p := newPrograms(t, scenario{main: map[string]string{"timelock": "4"}}, true)
		all := p.ready(pastimes())
		p.startWall()
		p.spend(all, 2, 0)
		noneFailed(t, all)
		for _, what := range []string{"found", "locked"} {
			if e := p.events(p.host, what); len(e) > 0 {
				t.Errorf("%s: %+v", what, e)
			}
		}
		p.finish()
	})
	t.Run("wall", func(t *testing.T) {
		t.Parallel()
		const timelock = 4 * time.Second
		p := newPrograms(t, scenario{main: map[string]string{"timelock": "4"}}, true)
		all := p.ready(pastimes())
		c, stopTorrent := p.lockIt()
		others := p.start(p.networks) // else the lock may be for one of these
		stop := func() { stopTorrent(); others() }
		before := c.Seen()
		p.spend(all, 3, 5*timelock)
		after := c.Seen()
		p.must(after.UDPIn == before.UDPIn && after.TCPIn == before.TCPIn, "the torrent client got through: %+v, then %+v", before, after)
		p.must(p.locked(p.host) && len(p.events(p.host, "released")) == 0, "the host was let go while its client ran")
		stop()
		ended := time.Now()
		p.spend(slices.DeleteFunc(slices.Clone(all), func(d *doing) bool { return d.loses == 0 }), 1, timelock)
		p.released(p.host, ended, timelock)
		for _, d := range all {
			t.Logf("%s: %d times, %d of them failed", d.name, d.done, len(d.faults))
			for i, err := range d.faults {
				if len(d.faults) > d.loses {
					t.Errorf("%s, failure %d: %v", d.name, i+1, err)
				}
			}
		}
		p.finish()
	})
	t.Run("no wall", func(t *testing.T) {
		t.Parallel()
		p := newPrograms(t, scenario{}, false)
		all := p.ready(pastimes())
		c, _ := p.lockIt()
		p.spend(all, 1, 0)
		noneFailed(t, all)
		if s := c.Seen(); s.UDPIn == 0 || s.TCPIn == 0 {
			t.Error("the torrent client gets nothing without a wall, so that it shows nothing")
		}
	})
	t.Run("wrong wall", func(t *testing.T) {
		t.Parallel()
		p := newPrograms(t, scenario{main: map[string]string{"timelock": "120"}}, true)
		p.cfg.Protocols["bittorrent"] = map[string]string{"mode": "block", "lock": "strict"}
		all := p.ready(pastimes())
		p.lockIt()
		// A strict lock leaves UDP alone. So the test drops UDP itself.
		p.dropUDP("-I")
		p.patience = 4 * time.Second
		p.spend(all, 1, 0)
		p.report()
		for _, d := range all {
			if len(d.faults) == 0 {
				t.Errorf("%s works behind a wall that cuts everything, so it shows nothing", d.name)
			}
		}
	})
}

// dropUDP makes the router drop all UDP from the LAN ("-I"), or stops this ("-D"). The
// wall still sees these packets.
func (p *programs) dropUDP(do string) {
	p.t.Helper()
	for _, tool := range []string{"iptables", "ip6tables"} {
		_, err := p.lab.Router.Run(tool, "-w", do, "FORWARD", "-i", lab.BridgeDev, "-p", "udp", "-j", "DROP")
		p.ok(err)
	}
}
