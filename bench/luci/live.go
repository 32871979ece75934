// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// Live is a Server with a daemon in a lab. The lab has two FastTrack clients and, if
// wanted, a BitTorrent client.
type Live struct {
	*Server
	UCI *UCI

	cfg LiveConfig
	bin string
	lab *lab.Lab

	mu      sync.Mutex
	walls   []*lab.Wall // the last one runs
	clients []func()    // stop functions
	torrent *torrent
}

// LiveConfig configures a Live.
type LiveConfig struct {
	Root  string // the checkout
	Dir   string // folder for the files of daemon and server
	Lock  string // lock time in seconds
	Names [2]string
	// Stay is how long the second client stays in its first mode before it goes
	// through the others; 0 means for ever.
	Stay time.Duration
	// Torrent is the name of a third host, which runs a BitTorrent client; "" means
	// no such host.
	Torrent string
	// Closed has the router's firewall refuse connections from the internet.
	Closed bool
	Hooks  map[string]func()
}

// NewLive makes lab, daemon and clients.
func NewLive(cfg LiveConfig) (*Live, error) {
	v := &Live{cfg: cfg}
	var err error
	if v.bin, err = lab.BuildWall(cfg.Dir); err != nil {
		return nil, err
	}
	if v.lab, err = lab.New(lab.Config{Clients: suspectHost + 1, NoRecord: true}); err != nil {
		return nil, err
	}
	if err = v.begin(); err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

func (v *Live) begin() error {
	if v.cfg.Closed {
		if err := v.lab.Firewall(); err != nil {
			return err
		}
	}
	err := v.start(lab.WallConfig{Bin: v.bin, Dir: v.cfg.Dir, Main: map[string]string{"timelock": v.cfg.Lock}})
	if err != nil {
		return err
	}
	network := filepath.Join(v.cfg.Dir, "network")
	text := "config interface 'loopback'\n\toption device 'lo'\nconfig interface 'lan'\n\toption device 'br-lan'\nconfig interface 'guest'\n\toption device 'br-guest'\n"
	if err := os.WriteFile(network, []byte(text), 0o600); err != nil {
		return err
	}
	if v.UCI, err = NewUCI(map[string]string{"p2pwall": v.Wall().File, "network": network}); err != nil {
		return err
	}
	v.UCI.Committed = func(name string) {
		if name == "p2pwall" {
			v.Wall().Signal(syscall.SIGHUP)
		}
	}
	plugin, err := NewPlugin(filepath.Join(v.cfg.Root, "openwrt/files/usr/libexec/rpcd/p2pwall"), v.cfg.Dir, v.bin, v.Wall().File)
	if err != nil {
		return err
	}
	v.Server, err = NewServer(Config{
		Root: v.cfg.Root, Object: plugin.Call, UCI: v.UCI, LuCI: os.Getenv("P2PWALL_LUCI"),
		Hints: map[string]any{
			"02:00:00:00:01:32": map[string]any{"name": v.cfg.Names[0], "ipaddrs": []string{"192.168.1.50"}},
			"02:00:00:00:01:33": map[string]any{"name": v.cfg.Names[1], "ipaddrs": []string{"192.168.1.51"}},
			"02:00:00:00:01:34": map[string]any{"name": v.cfg.Torrent, "ipaddrs": []string{"192.168.1.52"}},
			"02:00:00:00:01:35": map[string]any{"name": "printer", "ipaddrs": []string{"192.168.1.53"}},
			"02:00:00:00:01:64": map[string]any{"name": "desk", "ipaddrs": []string{"192.168.1.100"}},
		},
		Init: func(command string) (int, string) {
			switch command {
			case "start":
			case "stop":
				if err := v.Wall().Stop(); err != nil {
					return 1, err.Error()
				}
				return 0, ""
			default:
				return 1, "unknown command"
			}
			if err := v.Restart(); err != nil {
				return 1, err.Error()
			}
			return 0, ""
		},
		Hooks: v.cfg.Hooks,
	})
	if err != nil {
		return err
	}
	v.StartClient(0)
	v.StartClient(1)
	if v.cfg.Torrent != "" {
		v.torrent, err = startTorrent(v.lab, v.lab.Clients[torrentHost])
	}
	return err
}

func (v *Live) start(cfg lab.WallConfig) error {
	w, err := v.lab.StartWall(cfg)
	if err != nil {
		return err
	}
	v.mu.Lock()
	v.walls = append(v.walls, w)
	v.mu.Unlock()
	return nil
}

// Wall is the running daemon.
func (v *Live) Wall() *lab.Wall {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.walls[len(v.walls)-1]
}

// LogText is what all daemons have logged so far.
func (v *Live) LogText() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	text := ""
	for _, w := range v.walls {
		text += w.LogText()
	}
	return text
}

// Restart starts the daemon with the configuration that UCI has now.
func (v *Live) Restart() error {
	w := v.Wall()
	text, err := os.ReadFile(w.File)
	if err != nil {
		return err
	}
	// The start writes a configuration of its own. Replace it with that of UCI.
	if err := v.start(w.Config); err != nil {
		return err
	}
	if err := os.WriteFile(w.File, text, 0o600); err != nil {
		return err
	}
	return v.Wall().Signal(syscall.SIGHUP)
}

// StartClient starts a client on a host of the lab. It replaces a client that runs there.
func (v *Live) StartClient(host int) {
	kind := lab.KazaaConfig{Peers: v.lab.Peers, Speed: 2, Mode: 1}
	if host == 1 && v.cfg.Stay > 0 {
		kind = lab.KazaaConfig{Peers: v.lab.Peers, Speed: 1, Stay: v.cfg.Stay, Mode2: v.cfg.Stay}
	}
	k := lab.NewKazaa(v.lab.Clients[host], kind)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		k.Run(ctx)
		close(done)
	}()
	for len(v.clients) <= host {
		v.clients = append(v.clients, func() {})
	}
	v.clients[host] = func() { cancel(); <-done }
}

// StopClient stops the client on a host.
func (v *Live) StopClient(host int) { v.clients[host]() }

// Handshake lets the BitTorrent client open a connection to a peer. The handshake names
// the program.
func (v *Live) Handshake() error { return v.torrent.shake(0, false) }

// Settle waits until the daemon's status satisfies a condition.
func (v *Live) Settle(what string, ok func(s lab.Status) bool) error {
	var last lab.Status
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if last, err = v.Wall().Status(); err == nil && ok(last) {
			return nil
		}
	}
	return fmt.Errorf("waited 20 s for %s: %+v %v", what, last, err)
}

// Close ends clients, server, daemon and lab.
func (v *Live) Close() error {
	for _, stop := range v.clients {
		stop()
	}
	if v.torrent != nil {
		v.torrent.stop()
	}
	if v.Server != nil {
		v.Server.Close()
	}
	return v.lab.Close()
}
