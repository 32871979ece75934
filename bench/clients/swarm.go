// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// Addresses on the internet. Only the swarm uses the swarm's addresses, so they identify
// its packets.
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
	clientPort  = 6890 // the client's port for peers
	seedPort    = 51413
	trackerPort = 6969
	dhtPort     = 6881
	dhtNodes    = 24
	// seedRate is the upload limit of each seed in KiB/s. With it no download completes
	// within the grace.
	seedRate = 400
)

// bootNames are the names of the DHT's public nodes that clients have built in.
var bootNames = []string{
	"dht.transmissionbt.com", "router.bittorrent.com", "router.utorrent.com",
	"dht.libtorrent.org", "dht.aelitis.com",
}

// dhtAddrs are the addresses of the DHT nodes of one family.
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

// swarm is everything on the internet for one torrent: seeds, a tracker and a DHT.
type swarm struct {
	cfg     swarmConfig
	lab     *lab.Lab
	dir     string
	resolv  string
	torrent *torrent
	seeds   []netip.AddrPort
	node    netip.AddrPort
	tracker *tracker
	dht     *dht
	ca      string
	names   map[string][]netip.Addr
	proxy   proxy       // the zero value means none
	ssl     *sslTorrent // nil for a torrent without SSL
	running []*program  // the seeds, or with leech the downloaders
}

// swarmConfig describes a swarm.
type swarmConfig struct {
	v6        bool   // IPv6 instead of IPv4
	tracker   string // "http", "https", "udp", "wss" or "" for none
	pieces    int
	encrypted bool   // seeds accept only encrypted connections
	private   bool   // the torrent has the private flag
	port      uint16 // of the seeds; 0 means seedPort
	proxy     string // kind of proxy that the client uses for everything
	ssl       bool   // SSL torrent
	pion      bool   // WebTorrent's seeds use pion, not libdatachannel
	listed    bool   // WebTorrent's tracker is one that the wall knows by name
	// leech reverses the transfer: the peers on the internet want the file and connect to
	// the client's port, which the router forwards. They start last.
	leech bool
	by    transport // transport of the peers
}

func startSwarm(l *lab.Lab, dir string, srv *servers, cfg swarmConfig) (*swarm, error) {
	s := &swarm{lab: l, dir: dir, cfg: cfg, ca: srv.caFile, resolv: filepath.Join(dir, "resolv.conf")}
	a, b, track, names := seedA4, seedB4, track4, names4
	if cfg.v6 {
		a, b, track, names = seedA6, seedB6, track6, names6
	}
	if cfg.port == 0 {
		cfg.port = seedPort
	}
	s.seeds = []netip.AddrPort{netip.AddrPortFrom(a, cfg.port), netip.AddrPortFrom(b, cfg.port)}
	at := netip.AddrPortFrom(track, trackerPort)
	var urls []string
	var cert *lab.Certificate
	switch cfg.tracker {
	case "http":
		urls = []string{fmt.Sprintf("http://%s/announce", at)}
	case "https":
		at = netip.AddrPortFrom(track, portTLS)
		cert = srv.cert
		urls = []string{fmt.Sprintf("https://%s/announce", trackerName)}
	case "wss":
		at = netip.AddrPortFrom(track, portTLS)
		cert = srv.cert
		name := trackerName
		if cfg.listed {
			name = listedTracker
		}
		urls = []string{fmt.Sprintf("wss://%s/", name)}
	case "udp":
		urls = []string{fmt.Sprintf("udp://%s/announce", at)}
	}
	more := map[string]any{}
	if cfg.private {
		more["private"] = 1
	}
	if cfg.ssl {
		var err error
		if s.ssl, err = newSSLTorrent(dir); err != nil {
			return nil, err
		}
		more["ssl-cert"] = s.ssl.authority
	}
	s.torrent = newTorrent(cfg.pieces, more, urls...)

	for _, addr := range []netip.Addr{a, b} {
		// libtorrent needs a device with this address.
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
	s.names = map[string][]netip.Addr{trackerName: {track}, listedTracker: {track}, stunName: {caller4, caller6}}
	for _, n := range bootNames {
		s.names[n] = []netip.Addr{s.node.Addr()}
	}
	// The DNS server of the other family answers these names too.
	for _, at := range []netip.Addr{names4, names6} {
		if err := l.StartDNS(l.Inet, netip.AddrPortFrom(at, 53), lab.Names{Addrs: s.names, Else: []netip.Addr{server4, server6}}); err != nil {
			return nil, err
		}
	}
	var err error
	known := s.seeds
	if cfg.leech {
		known = nil // the peers are told of the client; the client is not told of them
	}
	if s.tracker, err = startTracker(l, at, known, cert); err != nil {
		return nil, err
	}
	if cfg.proxy != "" {
		if s.proxy, err = startProxy(l, cfg.proxy, s.names); err != nil {
			return nil, err
		}
	}
	if s.dht, err = startDHT(l, nodes, known); err != nil {
		return nil, err
	}
	if cfg.leech {
		return s, nil
	}
	return s, s.startPeers()
}

// startPeers starts the two peers on the internet and returns when both have the torrent.
// They have the file unless leech is set.
func (s *swarm) startPeers() error {
	kinds := []*kind{transmission, qbittorrent}
	by := s.cfg.by
	peer := netip.AddrPort{}
	switch {
	case s.cfg.leech:
		kinds, peer = []*kind{libtorrent, libtorrent}, netip.AddrPortFrom(lab.WAN4, clientPort)
	case s.ssl != nil:
		kinds = []*kind{libtorrent, libtorrent}
	case s.cfg.proxy != "": // qBittorrent accepts no connection from its own namespace, where the proxy runs
		kinds = []*kind{transmission, transmission}
	case s.cfg.tracker == "wss":
		kinds, by = []*kind{newLibtorrent, newLibtorrent}, onlyWebRTC
		if s.cfg.pion {
			kinds = []*kind{anacrolix, anacrolix}
		}
	}
	errs := make(chan error, len(kinds))
	s.running = make([]*program, len(kinds))
	for i, k := range kinds {
		go func() {
			p, err := start(s.lab, k, options{
				ns: s.lab.Inet.Namespace, dir: filepath.Join(s.dir, fmt.Sprintf("seed%d", i)), resolv: s.resolv,
				bind: []netip.Addr{s.seeds[i].Addr()}, port: s.seeds[i].Port(), rpc: uint16(9090 + i),
				node: s.node, torrent: s.torrent, seed: !s.cfg.leech, upload: seedRate,
				encrypted: s.cfg.encrypted, private: s.cfg.private, by: by, ca: s.ca, peer: peer, ssl: s.ssl,
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

// open waits until a peer has the torrent and accepts connections from outside its
// namespace. Then it waits until the peer has closed its end of this connection. Behind NAT
// the client's connections come from the same address, and peers refuse a second one while
// the first is open.
func (s *swarm) open(at netip.AddrPort, p *program) error {
	var last error
	for end := time.Now().Add(lab.Patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if _, last = p.got(); last != nil {
			continue
		}
		if p.opt.by == onlyWebRTC {
			return nil
		}
		var c net.Conn
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		c, last = s.lab.Router.Dial(ctx, "tcp", netip.AddrPort{}, at)
		cancel()
		if last == nil {
			defer c.Close()
			c.SetDeadline(time.Now().Add(lab.Patience))
			if last = c.(*net.TCPConn).CloseWrite(); last == nil {
				_, last = io.Copy(io.Discard, c)
			}
			return last
		}
	}
	return fmt.Errorf("the peer at %s did not become ready: %w", at, last)
}

// addrs are the addresses of the swarm, the seeds' first.
func (s *swarm) addrs() []netip.Addr {
	all := []netip.Addr{s.seeds[0].Addr(), s.seeds[1].Addr(), track4, track6, proxy4}
	for _, n := range s.dht.nodes {
		all = append(all, n.addr.Addr())
	}
	return all
}

func (s *swarm) isSwarm(a netip.Addr) bool { return slices.Contains(s.addrs(), a) }

// isPeer reports whether pieces come from an address or go to it.
func (s *swarm) isPeer(a netip.Addr) bool {
	// libtorrent and WebRTC also use the host's first address.
	return s.isSeed(a) || a == s.proxy.at.Addr() || a == s.lab.Inet.Addr4 || a == s.lab.Inet.Addr6
}

func (s *swarm) isSeed(a netip.Addr) bool {
	return a == s.seeds[0].Addr() || a == s.seeds[1].Addr()
}

// silence makes the tracker and the DHT nodes ignore all requests. A client then knows
// only peers from before. The seeds continue.
func (s *swarm) silence() {
	s.tracker.silent.Store(true)
	s.dht.silent.Store(true)
}

// moved sums the payload after a time that the router passed from the peers to a host, or
// with leech from the host to the peers. It counts TCP, and UDP that may carry pieces.
func (s *swarm) moved(h *lab.Host, after time.Time) (tcp, udp int) {
	for _, p := range s.lab.Packets.All(func(p *lab.Packet) bool {
		switch {
		case !p.Out || !p.Time.After(after):
			return false
		case s.cfg.leech: // behind NAT; only the client talks to the peers
			return p.WAN && s.isPeer(p.Dst.Addr())
		}
		return !p.WAN && s.isPeer(p.Src.Addr()) && (p.Dst.Addr() == h.Addr4 || p.Dst.Addr() == h.Addr6)
	}) {
		switch {
		case p.Proto == lab.TCP:
			tcp += p.Len
		case p.Proto == lab.UDP && !ofDHT(&p.Head) && !beginsRTC(&p.Head):
			udp += p.Len
		}
	}
	return tcp, udp
}

// ofDHT reports whether a datagram is a bencoded dictionary, as DHT datagrams are. A
// datagram from a SOCKS5 proxy has a header with the sender's address before the
// dictionary.
func ofDHT(head *[16]byte) bool {
	return head[0] == 'd' || [4]byte(head[:4]) == [4]byte{0, 0, 0, 1} && head[10] == 'd'
}

// beginsRTC reports whether a datagram belongs to the beginning of a WebRTC session: STUN, or
// DTLS without application data. Pieces are application data.
func beginsRTC(head *[16]byte) bool {
	const firstRecord, applicationData = 20, 23
	return head[0] < 2 && binary.BigEndian.Uint32(head[4:]) == stunCookie ||
		head[0] >= firstRecord && head[0] < applicationData && head[1] == 0xfe
}

// around is the first packet that went directly to a seed although there is a proxy.
func (s *swarm) around(h *lab.Host) (p lab.Packet, ok bool) {
	all := s.lab.Packets.All(func(p *lab.Packet) bool {
		return s.proxy.at.IsValid() && p.MAC == h.MAC && s.isSeed(p.Dst.Addr())
	})
	if len(all) == 0 {
		return p, false
	}
	return all[0], true
}

// pieces is the highest number of pieces that one of the peers has.
func (s *swarm) pieces() (int, error) {
	most := 0
	for _, p := range s.running {
		n, err := p.pieces()
		if err != nil {
			return 0, err
		}
		most = max(most, n)
	}
	return most, nil
}
