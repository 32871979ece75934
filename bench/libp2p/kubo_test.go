// SPDX-License-Identifier: GPL-2.0-or-later

package libp2p

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
	"github.com/p2pwall/p2pwall/bench/netns"
)

// kubo is the program itself. Its modules are several hundred megabytes, so no test builds it.
var kubo = flag.String("kubo", "", "the program ipfs of Kubo, for TestKubo")

const (
	kuboPeer = "198.51.100.7"
	tcpPeer  = "203.0.113.7"
	kuboSize = 256 << 20
)

// ipfs is Kubo with a folder of its own.
type ipfs struct {
	t   *testing.T
	ns  *netns.Namespace
	dir string
}

func (k *ipfs) command(args ...string) *exec.Cmd {
	cmd := k.ns.Command(*kubo, args...)
	cmd.Env = append(os.Environ(), "IPFS_PATH="+k.dir, "HOME="+k.dir, "IPFS_TELEMETRY=off")
	return cmd
}

func (k *ipfs) run(args ...string) string {
	k.t.Helper()
	out, err := k.command(args...).CombinedOutput()
	if err != nil {
		k.t.Fatalf("ipfs %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// newIPFS makes a node with Kubo's defaults, but without any place on the internet that it
// would ask: none is there.
func newIPFS(t *testing.T, ns *netns.Namespace, dir string) *ipfs {
	t.Helper()
	k := &ipfs{t, ns, dir}
	k.run("init", "--empty-repo")
	for name, value := range map[string]string{
		"AutoConf.Enabled": "false", "Bootstrap": "[]", "DNS.Resolvers": "{}", "Routing.Type": `"dht"`,
		"Routing.DelegatedRouters": "[]", "Ipns.DelegatedPublishers": "[]", "AutoTLS.Enabled": "false",
	} {
		k.run("config", "--json", name, value)
	}
	return k
}

// TestKubo: Kubo loads a file without the wall. With it nothing comes after the grace. By
// default one of the two peers is without QUIC. Else the only one has nothing else.
func TestKubo(t *testing.T) {
	if *kubo == "" {
		t.Skip("Debian does not have Kubo: build github.com/ipfs/kubo/cmd/ipfs, and give -kubo FILE")
	}
	for _, s := range []struct {
		name                string
		wall, quic, running bool
	}{
		{name: "without the wall"},
		{name: "QUIC without the wall", quic: true},
		{name: "defaults", wall: true},
		{name: "QUIC", wall: true, quic: true},
		{name: "QUIC, running", wall: true, quic: true, running: true},
	} {
		t.Run(s.name, func(t *testing.T) {
			x := lab.NewTrial(t, "ipfs", timelock, lab.Config{NoServers: true, NAT: true})
			peer := newIPFS(t, x.Lab.Inet.Namespace, filepath.Join(x.Dir, "peer"))
			file := filepath.Join(x.Dir, "file")
			x.OK(exec.Command("dd", "if=/dev/urandom", "of="+file, "bs=1M", fmt.Sprintf("count=%d", kuboSize>>20)).Run())
			if s.quic {
				for name, value := range map[string]string{
					"Swarm.Transports.Network.TCP": "false", "Swarm.Transports.Network.Websocket": "false",
					"Addresses.Swarm": `["/ip4/0.0.0.0/udp/4001/quic-v1"]`,
				} {
					peer.run("config", "--json", name, value)
				}
			}
			content, id := peer.run("add", "-Q", file), peer.run("id", "-f", "<id>")
			_, err := x.Lab.Start(peer.command("daemon"))
			x.OK(err)
			// Kubo prefers QUIC, of which the wall reads nothing. Not every node has it.
			other := newIPFS(t, x.Lab.Inet.Namespace, filepath.Join(x.Dir, "other"))
			for name, value := range map[string]string{
				"Swarm.Transports.Network.QUIC": "false", "Swarm.Transports.Network.WebTransport": "false", "Swarm.Transports.Network.WebRTCDirect": "false",
				"Addresses.Swarm": `["/ip4/0.0.0.0/tcp/4002"]`, "Addresses.API": `"/ip4/127.0.0.1/tcp/5002"`, "Addresses.Gateway": "[]",
			} {
				other.run("config", "--json", name, value)
			}
			otherID := other.run("id", "-f", "<id>")
			_, err = x.Lab.Start(other.command("daemon"))
			x.OK(err)
			client := newIPFS(t, x.Host.Namespace, filepath.Join(x.Dir, "client"))
			list := []any{map[string]any{"ID": id, "Addrs": []string{
				"/ip4/" + kuboPeer + "/tcp/4001", "/ip4/" + kuboPeer + "/udp/4001/quic-v1",
			}}, map[string]any{"ID": otherID, "Addrs": []string{"/ip4/" + tcpPeer + "/tcp/4002"}}}
			begins := tcpPeer
			if s.quic {
				list, begins = []any{map[string]any{"ID": id, "Addrs": []string{"/ip4/" + kuboPeer + "/udp/4001/quic-v1"}}}, kuboPeer
			}
			peers, err := json.Marshal(list)
			x.OK(err)
			client.run("config", "--json", "Peering.Peers", string(peers))
			moved := func(after time.Time) (n int) {
				for _, p := range x.Lab.Packets.All(func(p *lab.Packet) bool {
					return p.Out && p.Time.After(after) && (p.WAN && p.Dst.Addr().String() == kuboPeer ||
						!p.WAN && p.Src.Addr().String() == kuboPeer && p.Dst.Addr() == x.Host.Addr4)
				}) {
					n += p.Len
				}
				return n
			}
			var daemon *lab.Process
			run := func() time.Time {
				daemon, err = x.Lab.Start(client.command("daemon"))
				x.OK(err)
				x.Until("the client", func() bool {
					return strings.Contains(daemon.Log.String(), "Daemon is ready")
				})
				get, err := x.Lab.Start(client.command("get", "-o", filepath.Join(x.Dir, "got"), content))
				x.OK(err)
				t.Cleanup(func() { t.Logf("get: %s", lab.Tail(get.Log.String(), 3)) })
				return x.First(0, func(p *lab.Packet) bool { return p.Dst.Addr().String() == begins })
			}
			got := func() int64 {
				info, err := os.Stat(filepath.Join(x.Dir, "got"))
				if err != nil {
					return 0
				}
				return info.Size()
			}
			if !s.wall {
				first := run()
				x.Until("the file", func() bool { return got() == kuboSize })
				t.Logf("complete after %.1f s, %d bytes", time.Since(first).Seconds(), moved(time.Time{}))
				return
			}
			first := time.Time{}
			if s.running {
				run()
				x.Until("a part of the file", func() bool { return moved(time.Time{}) > kuboSize/16 })
				first = time.Now()
			}
			x.StartWall(lab.WallConfig{Protocols: map[string]map[string]string{"ipfs": {"mode": "block"}}})
			if !s.running {
				first = run()
			}
			found, _ := x.Found(first, findTime, true)
			time.Sleep(time.Until(first.Add(grace)))
			after := time.Now()
			x.Held(found, 3*timelock, true, nil)
			n := moved(after)
			t.Logf("%d bytes passed after the first seconds; the file has %d", n, got())
			// Some 5 KB still pass. A block of the file is larger than this limit.
			if n > 64<<10 {
				t.Errorf("%d bytes passed after the first seconds", n)
			}
			daemon.Stop()
			x.Released(time.Now())
		})
	}
}
