// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// TestTunnels: the router is a VPN gateway. The client's host is away from home and
// reaches it through a tunnel without hardware addresses. The wall must find the client
// by its address in the tunnel, stop its pieces, and release it after its end. The user's
// other traffic must continue. WireGuard runs as wireguard-go, because the kernel module
// may be missing. To the wall both look the same.
func TestTunnels(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		tunnel string
		s      situation
		more   bool
	}{
		{"wireguard", situation{kind: transmission, swarm: swarmConfig{tracker: "http"}}, false},
		{"tun", situation{kind: qbittorrent, swarm: swarmConfig{tracker: "udp"}}, false},
		{"peer", situation{kind: transmission, swarm: swarmConfig{tracker: "http", encrypted: true}, opt: encrypted}, false},
		{"wireguard", situation{kind: qbittorrent, swarm: swarmConfig{tracker: "udp", v6: true}}, true},
	} {
		if x.more && !*all {
			continue
		}
		for _, wall := range []bool{false, true} {
			name := x.tunnel + " " + x.s.kind.name
			if !wall {
				name += " without the wall"
			}
			t.Run(name, func(t *testing.T) {
				if x.tunnel == "wireguard" {
					lab.Need(t, "wireguard-go", "wg")
				} else {
					t.Parallel() // wireguard-go has its socket in a folder of the whole machine
				}
				e := newEnv(t, x.s)
				dev, err := e.Lab.Tunnel(e.Host, x.tunnel)
				e.OK(err)
				if wall {
					e.StartWall(lab.WallConfig{Main: map[string]string{"device": dev}})
				}
				e.use()
				now := e.Lab.Packets.Now()
				e.launch(false)
				var first lab.Packet
				e.Until("the client's first packet to the swarm", func() bool {
					all := e.Lab.Packets.All(func(p *lab.Packet) bool {
						return p.At > now && p.WAN && p.Out && e.fromHost(p) && e.swarm.isSwarm(p.Dst.Addr())
					})
					if len(all) > 0 {
						first = all[0]
					}
					return len(all) > 0 || wall && e.Locked() // a locked client need not send anything out
				})
				if !wall {
					// The download fills the tunnel, so a call may lose a packet. The users
					// are judged with the wall.
					e.pieces(e.swarm.torrent.total())
					return
				}
				if first.Time.IsZero() {
					first.Time = time.Now()
				}
				found, _ := e.Found(first.Time, findTime, true)
				time.Sleep(time.Until(first.Time.Add(grace)))
				account, pieces := e.account()
				e.Held(found, holdTime, true, nil)
				e.judgeUsers()
				if bytes, after := e.account(); bytes-account >= blockSize || after > pieces {
					t.Errorf("%d bytes and %d pieces came after %v", bytes-account, after-pieces, grace)
				}
				c, err := e.Wall.Client(e.Host)
				if err != nil || c.Address != e.Host.Addr4.String() && c.Address != e.Host.Addr6.String() {
					t.Errorf("the wall knows %+v (%v)", c, err)
				}
				e.client.Stop()
				e.Released(time.Now())
				e.Lab.Packets.Complete(t)
			})
		}
	}
}

// fromHost reports whether a packet comes from the client's host.
func (e *env) fromHost(p *lab.Packet) bool {
	return p.Src.Addr() == e.Host.Addr4 || p.Src.Addr() == e.Host.Addr6
}
