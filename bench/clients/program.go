// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
	"github.com/p2pwall/p2pwall/bench/netns"
)

// transport is what a client may move pieces by.
type transport string

// The transports; clients without uTP know only TCP, whatever is asked for.
const (
	anyTransport transport = ""
	onlyTCP      transport = "tcp"
	onlyUTP      transport = "utp"
	onlyWebRTC   transport = "webrtc"
)

// options say how a client is to run. What they leave out is as the client has it
// when nobody configures it.
type options struct {
	ns      *netns.Namespace
	dir     string         // for its settings and files
	resolv  string         // resolv.conf of its namespace
	bind    []netip.Addr   // its addresses; none means all
	port    uint16         // for peers
	rpc     uint16         // for its control, on 127.0.0.1
	node    netip.AddrPort // a node to enter the DHT by; none where it has names for that
	torrent *torrent
	magnet  bool // given the link instead of the file
	seed    bool // has the file
	resume  bool // was told of the torrent in an earlier run
	upload  int  // KiB a second; 0 is no limit

	peer netip.AddrPort // it is told of; the zero value is none

	encrypted bool // refuses what is not encrypted
	noDHT     bool
	private   bool // tells no peer of others and opens no port of the router's
	lsd       bool // looks for peers in the LAN, also where that is not the default
	by        transport

	ca    string // file with the authority of the tracker's certificate
	proxy proxy  // for everything; the zero value is none
	ssl   *sslTorrent
}

// files is where the client puts what it downloads.
func (o *options) files() string { return filepath.Join(o.dir, "files") }

// kind is a real client.
type kind struct {
	name    string
	program string
	needs   string // another program that has to be there, or ""
	current bool   // it runs in currentTree
	// built makes the program, where there is none to install.
	built func() (path string, err error)
	// command writes the settings and returns the arguments.
	command func(*options) ([]string, error)
	// add gives it the torrent, once its control answers; nil where the
	// command does that.
	add func(*program) error
	// got is how many bytes of pieces it says that it has received.
	got func(*program) (int, error)
}

// program is a client that runs.
type program struct {
	kind *kind
	opt  options
	http http.Client // reaches its control

	cmd  *exec.Cmd
	done chan struct{}
	log  lab.Output
}

// patience bounds every wait; it only ends a run that hangs.
const patience = 60 * time.Second

// start runs a client and gives it the torrent.
func start(l *lab.Lab, k *kind, o options) (*program, error) {
	if err := os.MkdirAll(o.files(), 0o755); err != nil {
		return nil, err
	}
	if o.seed {
		if err := o.torrent.seed(o.files()); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(o.torrentFile(), o.torrent.file(), 0o644); err != nil {
		return nil, err
	}
	p := &program{kind: k, opt: o, done: make(chan struct{})}
	p.http.Timeout = 10 * time.Second
	p.http.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return o.ns.Dial(ctx, "tcp", netip.AddrPort{}, p.control())
	}}
	args, err := k.command(&o)
	if err != nil {
		return nil, err
	}
	path := k.program
	if k.built != nil {
		if path, err = k.built(); err != nil {
			return nil, err
		}
	}
	if k.current {
		root, err := currentTree()
		if err != nil {
			return nil, err
		}
		p.cmd = inTree(o.ns, root, filepath.Dir(o.dir), o.resolv, path, args...)
	} else {
		p.cmd = inNamespace(o.ns, o.resolv, path, args...)
	}
	p.cmd.Dir = o.dir
	p.cmd.Env = append(os.Environ(), "HOME="+o.dir, "TERM=dumb")
	if o.ca != "" {
		// What OpenSSL and Go read, Transmission, and Node.js.
		p.cmd.Env = append(p.cmd.Env, "SSL_CERT_FILE="+o.ca, "CURL_CA_BUNDLE="+o.ca, "NODE_EXTRA_CA_CERTS="+o.ca)
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	l.OnClose(p.stop)
	if err := p.ready(); err != nil {
		return nil, err
	}
	if k.add != nil && !o.resume {
		if err := k.add(p); err != nil {
			return nil, fmt.Errorf("%s: giving it the torrent: %w", k.name, err)
		}
	}
	return p, nil
}

// inNamespace prepares a command whose names are resolved by a resolv.conf of its
// own. "ip netns exec" gives it mounts of its own.
func inNamespace(ns *netns.Namespace, resolv, name string, args ...string) *exec.Cmd {
	const script = `mount --bind "$0" /etc/resolv.conf && exec "$@"`
	cmd := ns.Command("sh", append([]string{"-c", script, resolv, name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

func (o *options) torrentFile() string { return filepath.Join(o.dir, "film.torrent") }

// control is where the client is controlled.
func (p *program) control() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), p.opt.rpc)
}

// ready waits until the control answers.
func (p *program) ready() error {
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		select {
		case <-p.done:
			return fmt.Errorf("%s ended at its start:\n%s", p.kind.name, p.log.String())
		default:
		}
		if _, last = p.got(); last == nil || errors.Is(last, errNoTorrent) {
			return nil
		}
	}
	return fmt.Errorf("%s did not become ready: %w\n%s", p.kind.name, last, p.log.String())
}

// errNoTorrent is the answer of a client that has no torrent yet.
var errNoTorrent = errors.New("it has no torrent")

func (p *program) got() (int, error) { return p.kind.got(p) }

// account asks a client of ours how many bytes of pieces it has received.
func (p *program) account() (int, error) {
	resp, err := p.http.Get("http://localhost/")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(text))
}

// pieces counts the complete pieces that the client has on disk.
func (p *program) pieces() (int, error) { return p.opt.torrent.pieces(p.opt.files()) }

// stop ends the client as a user would, and by force when it takes too long.
func (p *program) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		p.kill()
	}
}

// kill ends the client at once.
func (p *program) kill() {
	p.cmd.Process.Kill()
	<-p.done
}
