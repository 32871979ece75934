// SPDX-License-Identifier: GPL-2.0-or-later

package directconnect

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
	"github.com/p2pwall/p2pwall/bench/netns"
)

// options say how to run a client.
type options struct {
	ns     *netns.Namespace
	dir    string // for its settings and files
	nick   string
	hubs   []string   // addresses, such as adc://198.51.100.10:1511
	bind   netip.Addr // the only address to use, if valid
	seen   netip.Addr // the address that others connect to, if the client is active
	port   uint16     // listening port; TLS uses the next one; 0 means passive
	rpc    uint16     // for its control interface on 127.0.0.1
	upload int        // KiB/s; 0 means no limit
	clear  bool       // no TLS between clients
}

func (o *options) share() string { return filepath.Join(o.dir, "share") }
func (o *options) files() string { return filepath.Join(o.dir, "files") }

// kind is a real client.
type kind struct {
	name, program string
	// command writes the settings and returns the program and its arguments.
	command func(*options) (args []string, err error)
	// enter makes the client connect to its hubs. It fails while the client is not ready.
	enter func(*program) error
	// fetch makes the client download the file. It is called again until data comes.
	fetch func(*program) error
}

// program is a running client.
type program struct {
	*lab.Process
	kind  *kind
	opt   options
	http  http.Client
	input io.WriteCloser
	asked bool
}

func start(l *lab.Lab, k *kind, o options) (*program, error) {
	for _, dir := range []string{o.share(), o.files()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	// Hubs want their users to share something. The other user has the file to transfer.
	if o.nick != "other" {
		if err := os.WriteFile(filepath.Join(o.share(), "a list.txt"), []byte("nothing yet\n"), 0o644); err != nil {
			return nil, err
		}
	}
	p := &program{kind: k, opt: o}
	p.http.Timeout = 10 * time.Second
	p.http.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), o.rpc)
		return o.ns.Dial(ctx, "tcp", netip.AddrPort{}, to)
	}}
	args, err := k.command(&o)
	if err != nil {
		return nil, err
	}
	cmd := o.ns.Command(args[0], args[1:]...)
	cmd.Dir = o.dir
	cmd.Env = append(os.Environ(), "HOME="+o.dir, "TERM=xterm", "COLUMNS=120", "LINES=40")
	if p.input, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if p.Process, err = l.Start(cmd); err != nil {
		return nil, err
	}
	return p, p.Until(k.name+" to be ready", lab.Patience, func() bool { return k.enter(p) == nil })
}

func (p *program) say(s string) { io.WriteString(p.input, s) }

// have is the number of bytes on disk of the largest download.
func (p *program) have() (n int64) {
	for _, dir := range []string{p.opt.files(), filepath.Join(p.opt.dir, "inc")} {
		filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
			if err != nil || !info.Mode().IsRegular() {
				return nil
			}
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				n = max(n, min(st.Blocks*512, info.Size())) // a new file may have its full size at once
			}
			return nil
		})
	}
	return n
}

// The file to transfer. The user who has it is named "other".
const (
	fileName = "film.mkv"
	fileSize = 8 << 20
	// fileRoot is the root of the file's hash tree, as ncdc shows it.
	fileRoot = "K6BVF7OJBWTSR5VID44FFMAEMQGMTO7DERXKWQA"
)

func content() []byte {
	b := make([]byte, fileSize)
	rand.NewChaCha8([32]byte{3}).Read(b)
	return b
}

// eiskalt is EiskaltDC++'s daemon.
var eiskalt = &kind{
	name: "EiskaltDC++", program: "eiskaltdcpp-daemon",
	command: func(o *options) ([]string, error) {
		const direct, passive = 0, 3
		mode, port, tls := direct, int(o.port), 1
		if o.port == 0 {
			mode, port = passive, 20000
		}
		if o.clear {
			tls = 0
		}
		bind, external := "", ""
		if o.bind.IsValid() {
			bind = o.bind.String()
		}
		if o.seen.IsValid() {
			external = o.seen.String()
		}
		throttle := 0
		if o.upload > 0 {
			throttle = 1
		}
		id := make([]byte, 24)
		for i := range id {
			id[i] = byte(rand.Uint32())
		}
		settings := fmt.Sprintf(`<?xml version="1.0" encoding="utf-8" standalone="yes"?>
<DCPlusPlus><Settings>
<Nick type="string">%s</Nick><CID type="string">%s</CID>
<BindAddress type="string">%s</BindAddress><ExternalIp type="string">%s</ExternalIp>
<IncomingConnections type="int">%d</IncomingConnections>
<InPort type="int">%d</InPort><UDPPort type="int">%d</UDPPort><TLSPort type="int">%d</TLSPort>
<UseTLS type="int">%d</UseTLS><RequireTLS type="int">%d</RequireTLS><UseDHT type="int">0</UseDHT><HashingStartDelay type="int">0</HashingStartDelay>
<EnableThrottle type="int">%d</EnableThrottle><MaxUploadSpeedMain type="int">%d</MaxUploadSpeedMain>
<DownloadDirectory type="string">%s/</DownloadDirectory><TempDownloadDirectory type="string">%s/</TempDownloadDirectory>
</Settings><Share><Directory Virtual="share">%s/</Directory></Share></DCPlusPlus>`,
			o.nick, strings.TrimRight(base32.StdEncoding.EncodeToString(id), "="), bind, external, mode,
			port, port, port+1, tls, tls, throttle, o.upload, o.files(), o.files(), o.share())
		if err := os.WriteFile(filepath.Join(o.dir, "DCPlusPlus.xml"), []byte(settings), 0o644); err != nil {
			return nil, err
		}
		return []string{"eiskaltdcpp-daemon", "-v", "-P", fmt.Sprint(o.rpc), "-c", o.dir + "/", "-l", o.dir + "/"}, nil
	},
	enter: func(p *program) error {
		for _, h := range p.opt.hubs {
			if err := p.call("hub.add", map[string]any{"huburl": h, "enc": ""}); err != nil {
				return err
			}
		}
		return nil
	},
	fetch: func(p *program) error {
		if !p.asked {
			if err := p.call("queue.add", map[string]any{
				"directory": p.opt.files() + "/", "filename": fileName, "size": fileSize, "tth": fileRoot,
			}); err != nil {
				return err
			}
			p.asked = true
		}
		const byRoot = 8
		return p.call("search.send", map[string]any{
			"searchstring": fileRoot, "searchtype": byRoot, "sizemode": 0, "sizetype": 0, "size": 0, "huburls": "",
		})
	},
}

// call calls a method of EiskaltDC++'s JSON-RPC interface.
func (p *program) call(method string, params any) error {
	b, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	resp, err := p.http.Post("http://localhost/", "application/json", bytes.NewReader(b))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var reply struct{ Error any }
	if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil {
		return err
	}
	if reply.Error != nil {
		return fmt.Errorf("%s: %v", method, reply.Error)
	}
	return nil
}

// ncdc is a client for terminals. The program script gives it a terminal.
var ncdc = &kind{
	name: "ncdc", program: "ncdc",
	command: func(o *options) ([]string, error) {
		return []string{"script", "-qefc", "ncdc -c " + o.dir, "/dev/null"}, nil
	},
	enter: func(p *program) error {
		if !strings.Contains(p.Log.String(), "working directory") {
			return errors.New("it has not said where it works")
		}
		o := &p.opt
		lines := []string{"/nick " + o.nick, "/set download_dir " + o.files(), "/share share " + o.share()}
		if o.bind.IsValid() {
			lines = append(lines, "/set local_address "+o.bind.String())
		}
		if o.clear {
			lines = append(lines, "/set tls_policy disabled")
		}
		if o.port != 0 {
			lines = append(lines, "/set active_ip "+o.seen.String(), fmt.Sprintf("/set active_port %d", o.port), "/set active true")
		}
		if o.upload > 0 {
			lines = append(lines, fmt.Sprintf("/set upload_rate %dk", o.upload))
		}
		for i, h := range o.hubs {
			lines = append(lines, fmt.Sprintf("/open lab%d %s", i, h))
		}
		lines = append(lines, "/refresh") // with what it has hashed by now
		for _, line := range lines {
			time.Sleep(300 * time.Millisecond) // like a person who types
			p.say(line + "\r")
		}
		return nil
	},
	fetch: func(p *program) error {
		// The other user's file list opens in its own tab. There d downloads the selected
		// entry.
		p.say("\x1b2\x15/browse other\r")
		time.Sleep(1500 * time.Millisecond)
		p.say("\x1b3")
		time.Sleep(300 * time.Millisecond)
		p.say("d")
		return nil
	},
}
