// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// Addresses of the outside. What belongs to the swarm has addresses that nothing
// else has, so that its packets are told by them.
var (
	seedA4  = netip.MustParseAddr("198.51.100.10")
	seedB4  = netip.MustParseAddr("203.0.113.20")
	track4  = netip.MustParseAddr("198.51.100.69")
	seedA6  = netip.MustParseAddr("2001:db8:ff::a10")
	seedB6  = netip.MustParseAddr("2001:db8:ff::b20")
	track6  = netip.MustParseAddr("2001:db8:ff::69")
	server4 = netip.MustParseAddr("192.0.2.10")
	server6 = netip.MustParseAddr("2001:db8:ff::10")
	names4  = netip.MustParseAddr("192.0.2.53")
	names6  = netip.MustParseAddr("2001:db8:ff::53")
	caller4 = netip.MustParseAddr("192.0.2.77")
	caller6 = netip.MustParseAddr("2001:db8:ff::77")
)

const (
	seedPort    = 51413
	trackerPort = 6969
	dhtPort     = 6881
	dhtNodes    = 24
	// seedRate bounds the seeds' upload, so that no download is over within
	// the seconds that the wall has: KiB a second, each.
	seedRate = 400
)

// bootNames are the DHT's public entrances, as clients have them built in.
var bootNames = []string{
	"dht.transmissionbt.com", "router.bittorrent.com", "router.utorrent.com",
	"dht.libtorrent.org", "dht.aelitis.com",
}

// dhtAddrs are the addresses of the DHT's nodes of one family.
func dhtAddrs(v6 bool) (all []netip.AddrPort) {
	for i := range dhtNodes {
		a := lab.Internet4[i%3].Addr().As4()
		a[3] = byte(100 + i)
		addr := netip.AddrFrom4(a)
		if v6 {
			a := lab.Internet6.Addr().As16()
			a[14], a[15] = 0xd, byte(i+1)
			addr = netip.AddrFrom16(a)
		}
		all = append(all, netip.AddrPortFrom(addr, dhtPort))
	}
	return all
}

// swarm is the outside of one torrent: seeds, a tracker and a DHT.
type swarm struct {
	lab     *lab.Lab
	dir     string
	resolv  string
	torrent *torrent
	seeds   []netip.AddrPort
	node    netip.AddrPort
	tracker *tracker
	dht     *dht
	v6      bool
	running []*program
}

// swarmConfig says what of it there is.
type swarmConfig struct {
	v6        bool   // all of it on IPv6, instead of IPv4
	tracker   string // "http", "udp" or "" for none
	pieces    int
	encrypted bool // seeds refuse what is not encrypted
}

func startSwarm(l *lab.Lab, dir string, cfg swarmConfig) (*swarm, error) {
	s := &swarm{lab: l, dir: dir, v6: cfg.v6, resolv: filepath.Join(dir, "resolv.conf")}
	a, b, track, names := seedA4, seedB4, track4, names4
	if cfg.v6 {
		a, b, track, names = seedA6, seedB6, track6, names6
	}
	s.seeds = []netip.AddrPort{netip.AddrPortFrom(a, seedPort), netip.AddrPortFrom(b, seedPort)}
	at := netip.AddrPortFrom(track, trackerPort)
	var urls []string
	switch cfg.tracker {
	case "http":
		urls = []string{fmt.Sprintf("http://%s/announce", at)}
	case "udp":
		urls = []string{fmt.Sprintf("udp://%s/announce", at)}
	}
	s.torrent = newTorrent(cfg.pieces, urls...)

	for _, addr := range []netip.Addr{a, b} {
		// libtorrent binds to the device that has its address.
		prefix := fmt.Sprintf("%s/%d", addr, addr.BitLen())
		if _, err := l.Inet.Run("ip", "addr", "add", prefix, "dev", lab.HostDev); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(s.resolv, []byte("nameserver "+names.String()+"\noptions timeout:2\n"), 0o644); err != nil {
		return nil, err
	}
	nodes := dhtAddrs(cfg.v6)
	s.node = nodes[0]
	boot := map[string][]netip.Addr{}
	for _, n := range bootNames {
		boot[n] = []netip.Addr{s.node.Addr()}
	}
	// The names of the other family's server are served there too.
	for _, at := range []netip.Addr{names4, names6} {
		if err := l.StartDNS(l.Inet, netip.AddrPortFrom(at, 53), lab.Names{Addrs: boot, Else: []netip.Addr{server4, server6}}); err != nil {
			return nil, err
		}
	}
	var err error
	if s.tracker, err = startTracker(l, at, s.seeds); err != nil {
		return nil, err
	}
	if s.dht, err = startDHT(l, nodes, s.seeds); err != nil {
		return nil, err
	}
	return s, s.startSeeds(cfg)
}

// startSeeds runs the two seeds, and returns when both have the file.
func (s *swarm) startSeeds(cfg swarmConfig) error {
	kinds := []*kind{transmission, qbittorrent}
	errs := make(chan error, len(kinds))
	s.running = make([]*program, len(kinds))
	for i, k := range kinds {
		go func() {
			p, err := start(s.lab, k, options{
				ns: s.lab.Inet.Namespace, dir: filepath.Join(s.dir, fmt.Sprintf("seed%d", i)), resolv: s.resolv,
				bind: []netip.Addr{s.seeds[i].Addr()}, port: s.seeds[i].Port(), rpc: uint16(9090 + i),
				node: s.node, torrent: s.torrent, seed: true, upload: seedRate, encrypted: cfg.encrypted,
			})
			s.running[i] = p
			errs <- err
		}()
	}
	var err error
	for range kinds {
		err = errors.Join(err, <-errs)
	}
	if err != nil {
		return err
	}
	for i, p := range s.running {
		if err := s.open(s.seeds[i], p); err != nil {
			return err
		}
	}
	return nil
}

// open waits until a seed has the torrent and takes connections from outside its
// namespace.
func (s *swarm) open(at netip.AddrPort, p *program) error {
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if _, last = p.got(); last != nil {
			continue
		}
		var c net.Conn
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		c, last = s.lab.Router.Dial(ctx, "tcp", netip.AddrPort{}, at)
		cancel()
		if last == nil {
			return c.Close()
		}
	}
	return fmt.Errorf("the seed at %s did not become ready: %w", at, last)
}

// addrs are the addresses of the swarm, those of the seeds first.
func (s *swarm) addrs() []netip.Addr {
	all := []netip.Addr{s.seeds[0].Addr(), s.seeds[1].Addr(), track4, track6}
	for _, n := range s.dht.nodes {
		all = append(all, n.addr.Addr())
	}
	return all
}

func (s *swarm) isSwarm(a netip.Addr) bool { return slices.Contains(s.addrs(), a) }

func (s *swarm) isSeed(a netip.Addr) bool {
	return a == s.seeds[0].Addr() || a == s.seeds[1].Addr()
}

// silence has tracker and DHT nodes answer nobody: what a client finds after that,
// it knew before. The seeds go on.
func (s *swarm) silence() {
	s.tracker.silent.Store(true)
	s.dht.silent.Store(true)
}

// asked is the first packet after a moment that a host sent to the swarm.
func (s *swarm) asked(h *lab.Host, after lab.Moment) (first lab.Packet, ok bool) {
	all := s.lab.Packets.All(func(p *lab.Packet) bool {
		return p.At > after && !p.WAN && !p.Out && p.MAC == h.MAC && s.isSwarm(p.Dst.Addr())
	})
	if len(all) == 0 {
		return first, false
	}
	return all[0], true
}

// received sums the payload that the router passed from the seeds to a host after
// a time: TCP, and UDP but for the DHT's datagrams, which are dictionaries.
func (s *swarm) received(h *lab.Host, after time.Time) (tcp, udp int) {
	for _, p := range s.lab.Packets.All(func(p *lab.Packet) bool {
		return !p.WAN && p.Out && p.Time.After(after) && s.isSeed(p.Src.Addr()) && (p.Dst.Addr() == h.Addr4 || p.Dst.Addr() == h.Addr6)
	}) {
		switch {
		case p.Proto == lab.TCP:
			tcp += p.Len
		case p.Proto == lab.UDP && p.Head[0] != 'd':
			udp += p.Len
		}
	}
	return tcp, udp
}
