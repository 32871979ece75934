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
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
	"github.com/p2pwall/p2pwall/bench/netns"
)

// transport is a protocol by which a client may transfer pieces.
type transport string

// The transports. Clients without uTP always use TCP.
const (
	anyTransport transport = ""
	onlyTCP      transport = "tcp"
	onlyUTP      transport = "utp"
	onlyWebRTC   transport = "webrtc"
)

// options say how to run a client. A zero value means the client's default.
type options struct {
	ns      *netns.Namespace
	dir     string         // for its settings and files
	resolv  string         // resolv.conf of its namespace
	bind    []netip.Addr   // its addresses; empty means all
	port    uint16         // for peers
	rpc     uint16         // for its control interface on 127.0.0.1
	node    netip.AddrPort // the first DHT node, for clients without built-in names
	torrent *torrent
	magnet  bool // gets the magnet link instead of the file
	seed    bool // has the file
	resume  bool // knows the torrent from an earlier run
	upload  int  // KiB/s; 0 means no limit

	peer netip.AddrPort // a peer to connect to; the zero value means none

	encrypted bool // accepts only encrypted connections
	noDHT     bool
	private   bool // no peer exchange, and no port mapping at the router
	lsd       bool // searches for peers in the LAN even if that is not the default
	by        transport

	ca    string // file with the tracker certificate's authority
	proxy proxy  // for all traffic; the zero value means none
	ssl   *sslTorrent
}

// files is the folder for downloads.
func (o *options) files() string { return filepath.Join(o.dir, "files") }

// kind is a real client.
type kind struct {
	name    string
	program string
	needs   string // another program that must be installed, or ""
	current bool   // it runs in currentTree
	env     []string
	// built builds the program. It is nil if the program is installed.
	built func() (path string, err error)
	// command writes the settings and returns the arguments.
	command func(*options) ([]string, error)
	// add gives the client the torrent once its control interface answers. It is nil if
	// the command does that.
	add func(*program) error
	// got returns the number of bytes of pieces that the client reports as received.
	got func(*program) (int, error)
}

// program is a running client.
type program struct {
	*lab.Process
	kind *kind
	opt  options
	http http.Client // connects to the control interface
}

// start starts a client and gives it the torrent.
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
	p := &program{kind: k, opt: o}
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
	var cmd *exec.Cmd
	if k.current {
		root, err := currentTree()
		if err != nil {
			return nil, err
		}
		cmd = inTree(o.ns, root, filepath.Dir(o.dir), o.resolv, path, args...)
	} else {
		cmd = inNamespace(o.ns, o.resolv, path, args...)
	}
	cmd.Dir = o.dir
	cmd.Env = append(append(os.Environ(), "HOME="+o.dir, "TERM=dumb"), k.env...)
	if o.ca != "" {
		// The variables of OpenSSL and Go, of Transmission, and of Node.js.
		cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+o.ca, "CURL_CA_BUNDLE="+o.ca, "NODE_EXTRA_CA_CERTS="+o.ca)
	}
	if p.Process, err = l.Start(cmd); err != nil {
		return nil, err
	}
	if err := p.Until(k.name+"'s control interface", lab.Patience, func() bool {
		_, err := p.got()
		return err == nil || errors.Is(err, errNoTorrent)
	}); err != nil {
		return nil, err
	}
	if k.add != nil && !o.resume {
		if err := k.add(p); err != nil {
			return nil, fmt.Errorf("%s: giving it the torrent: %w", k.name, err)
		}
	}
	return p, nil
}

// inNamespace prepares a command with its own resolv.conf. "ip netns exec" gives the
// command its own mounts.
func inNamespace(ns *netns.Namespace, resolv, name string, args ...string) *exec.Cmd {
	const script = `mount --bind "$0" /etc/resolv.conf && exec "$@"`
	return ns.Command("sh", append([]string{"-c", script, resolv, name}, args...)...)
}

func (o *options) torrentFile() string { return filepath.Join(o.dir, "film.torrent") }

// control is the address of the client's control interface.
func (p *program) control() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), p.opt.rpc)
}

// errNoTorrent is the answer of a client that has no torrent yet.
var errNoTorrent = errors.New("it has no torrent")

func (p *program) got() (int, error) { return p.kind.got(p) }

// account asks one of this package's own clients for the number of bytes of pieces
// received.
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
