// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
	"github.com/p2pwall/p2pwall/bench/netns"
)

// Everything in this file runs with the program's own rules, on a router with connection
// tracking and masquerading. The program has no processor of its own. It has no priority
// over the ends of the connections, which run on the same machine.

func (b *bench) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	time.AfterFunc(time.Minute, cancel)
	return ctx
}

// syn returns the frame of a TCP SYN.
func syn(mac [6]byte, from, to netip.AddrPort, seq uint32) []byte {
	return frame(mac, lab.TCPPacket(from, to, 2, seq, nil))
}

// drop measures how many packets of a locked client reach user space, and whether the
// lock still lasts.
func (b *bench) drop() error {
	const rate = 5000
	share := b.report.result("packets of a locked client that reach user space, of 5000 a second", "%")
	cost := b.report.result("the same, CPU time of the program per second", "us")
	held := b.report.result("lock time left after it, of 120", "s")
	for range b.runs {
		err := func() error {
			l, err := newLab(lab.Config{NAT: true})
			if err != nil {
				return err
			}
			defer l.Close()
			p, err := b.startWallHere(l, b.wall, false, nil)
			if err != nil {
				return err
			}
			h := l.Clients[0]
			var pings, frames [][]byte
			for i := range 200 {
				to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i + 1)}), peerPort)
				pings = append(pings, frame(h.MAC, lab.UDPPacket(netip.AddrPortFrom(h.Addr4, peerPort), to, ping)))
				frames = append(frames, syn(h.MAC, netip.AddrPortFrom(h.Addr4, uint16(2000+i)), to, uint32(i)))
				elsewhere := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i + 1)}), 80)
				frames = append(frames, syn(h.MAC, netip.AddrPortFrom(h.Addr4, uint16(3000+i)), elsewhere, uint32(i)))
			}
			if err := once(h, pings, 1000); err != nil {
				return errors.Join(err, p.stop())
			}
			time.Sleep(100 * time.Millisecond)
			before, err := p.wall.Status()
			if err != nil {
				return errors.Join(err, p.stop())
			}
			cpu0, _ := processTime(p.pid)
			g, err := generate(h, traffic{frames: frames, rate: rate, burst: 1, sleep: true})
			if err != nil {
				return errors.Join(err, p.stop())
			}
			const seconds = 10
			time.Sleep(seconds * time.Second)
			err = g.end()
			cpu1, _ := processTime(p.pid)
			after, e := p.wall.Status()
			c, e2 := p.wall.Client(h)
			if err := errors.Join(err, e, e2, p.stop()); err != nil {
				return err
			}
			share.add(nameWall, 100*float64(after.Counters["packets"]-before.Counters["packets"])/float64(g.sent.Load()))
			cost.add(nameWall, float64((cpu1-cpu0).Nanoseconds())/1e3/seconds)
			held.add(nameWall, c.LockRemaining)
			return nil
		}()
		if err != nil {
			return err
		}
	}
	share.atMost(nameWall, "", 1)
	held.atLeast(nameWall, "", 105)
	return nil
}

// onOff are the two settings of the wall.
var onOff = []string{"off", "on"}

// nftOnly is a third setting. This kernel may lack the nft queue that OpenWrt has. The
// cost of the rules for a decided connection can still be measured.
const nftOnly = "only its nft rules"

// oneRule is a fourth setting: a chain with the one rule that a decided connection meets
// first. No rules can cost less.
const (
	oneRule     = "only one rule"
	oneRuleText = "table inet p2pwall {\n\tchain forward {\n\t\ttype filter hook forward priority -10; policy accept;\n" +
		"\t\tct mark & 0x01000000 == 0x0 ct mark set ct mark | 0x01000000\n\t}\n}\n"
)

// loadNFT loads the rules for nft with every queue replaced by an accept.
func (b *bench) loadNFT(l *lab.Lab) error {
	file := filepath.Join(b.dir, "nft.conf")
	if err := os.WriteFile(file, []byte(lab.WallConfig{Dir: b.dir}.UCI()), 0o600); err != nil {
		return err
	}
	out, err := exec.Command(b.wall, "rules", "-c", file, "--backend", "nft").Output()
	if err != nil {
		return fmt.Errorf("rules for nft: %w", err)
	}
	rules, _, _ := strings.Cut(string(out), "\n# nft -f - (only while")
	return nft(l.Router, netns.QueueStatement.ReplaceAllString(rules, "accept"))
}

// bulk measures the throughput of the router with the wall on and off. The noise is larger
// than the cost of the rules: see the figure for one rule. So bulk has no goal; that of
// forward counts.
func (b *bench) bulk() error {
	l, err := newLab(lab.Config{NAT: true})
	if err != nil {
		return err
	}
	defer l.Close()
	srv, err := newServers(l)
	if err != nil {
		return err
	}
	defer srv.close()
	h := l.Innocent
	settings := append(slices.Clone(onOff), nftOnly, oneRule)
	for run := range b.runs {
		for _, i := range turns(run, len(settings)) {
			var p *program
			switch settings[i] {
			case "on":
				p, err = b.startWallHere(l, b.wall, false, nil)
			case nftOnly:
				err = b.loadNFT(l)
			case oneRule:
				err = nft(l.Router, oneRuleText)
			}
			if err != nil {
				return err
			}
			var tcp, udp, conns float64
			if tcp, err = srv.stream(h, 2*b.window); err == nil {
				if udp, err = srv.datagrams(h, 2*b.window); err == nil {
					conns, err = short(h, 2*b.window, netip.AddrPortFrom(serverAddr, webPort), webRequest)
				}
			}
			var cost float64
			if err == nil {
				cost, err = b.whole(h, p, traffic{frames: [][]byte{large(h)}, rate: 50_000, burst: 10, sleep: true})
			}
			switch settings[i] {
			case "on":
				err = errors.Join(err, p.stop())
			case nftOnly, oneRule:
				_, e := l.Router.Run("nft", "delete", "table", "inet", "p2pwall")
				err = errors.Join(err, e)
			}
			if err != nil {
				return err
			}
			for _, v := range []struct {
				name, unit string
				value      float64
			}{
				{"bulk TCP, one connection", "Mbit/s", tcp},
				{"bulk UDP of 1400 bytes, one flow", "Mbit/s", udp},
				{"the same at 50 kpps, whole machine", "us CPU", cost},
				{"connections with a reply of 16 KiB, 4 at a time", "1/s", conns},
			} {
				x := b.report.result(v.name, v.unit)
				x.add("wall "+settings[i], v.value)
				x.compare("wall "+nftOnly, "wall off")
				x.compare("wall "+oneRule, "wall off")
				x.compare("wall on", "wall off")
			}
		}
	}
	return nil
}

// servers are the destinations of the bulk traffic.
type servers struct {
	tcp, web *net.TCPListener
	bytes    atomic.Uint64 // received on connections
	l        *lab.Lab
}

const (
	bulkPort = 5001
	webPort  = 80
	replyLen = 16 << 10
)

var serverAddr = netip.MustParseAddr("198.51.100.20")

func newServers(l *lab.Lab) (*servers, error) {
	s := &servers{l: l}
	var err error
	if s.tcp, err = l.Inet.ListenTCP(netip.AddrPortFrom(serverAddr, bulkPort)); err != nil {
		return nil, err
	}
	if s.web, err = l.Inet.ListenTCP(netip.AddrPortFrom(serverAddr, webPort)); err != nil {
		s.tcp.Close()
		return nil, err
	}
	go lab.Accept(s.tcp, func(c net.Conn) {
		buf := make([]byte, 256<<10)
		for {
			n, err := c.Read(buf)
			s.bytes.Add(uint64(n))
			if err != nil {
				return
			}
		}
	})
	go lab.Accept(s.web, serve)
	return s, nil
}

// serve answers a request.
func serve(c net.Conn) {
	if _, err := c.Read(make([]byte, 4096)); err == nil {
		_, _ = c.Write(webReply)
	}
}

var webReply = append([]byte("HTTP/1.1 200 OK\r\nContent-Length: 16384\r\nConnection: close\r\n\r\n"), make([]byte, replyLen)...)

const webRequest = "GET / HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: measure\r\n\r\n"

func (s *servers) close() {
	s.tcp.Close()
	s.web.Close()
}

// stream sends over one connection and returns the Mbit/s that arrived.
func (s *servers) stream(h *lab.Host, d time.Duration) (float64, error) {
	c, err := h.DialWithin(d+d/4+10*time.Second, "tcp", netip.AddrPort{}, netip.AddrPortFrom(serverAddr, bulkPort))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	var stop atomic.Bool
	done := make(chan error, 1)
	go func() {
		buf := make([]byte, 128<<10)
		for !stop.Load() {
			if _, err := c.Write(buf); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	time.Sleep(d / 4)
	n, begin := s.bytes.Load(), time.Now()
	time.Sleep(d)
	rate := float64(s.bytes.Load()-n) * 8 / 1e6 / time.Since(begin).Seconds()
	stop.Store(true)
	return rate, <-done
}

// largeLen is the payload of a datagram of a download.
const largeLen = 1400

func large(h *lab.Host) []byte {
	return frame(h.MAC, lab.UDPPacket(netip.AddrPortFrom(h.Addr4, 5000), netip.AddrPortFrom(sinkAddr, discardPort), make([]byte, largeLen)))
}

// datagrams sends large datagrams of one flow and returns the Mbit/s that arrived.
func (s *servers) datagrams(h *lab.Host, d time.Duration) (float64, error) {
	n0, err := counter(s.l, "sunk")
	if err != nil {
		return 0, err
	}
	g, err := generate(h, traffic{frames: [][]byte{large(h)}})
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	time.Sleep(d)
	err = g.end()
	took := time.Since(begin).Seconds()
	n1, e := counter(s.l, "sunk")
	return (n1 - n0) * largeLen * 8 / 1e6 / took, errors.Join(err, e)
}

// short makes short connections, four at a time, each with a request and a reply. It
// returns how many it made in a second.
func short(h *lab.Host, d time.Duration, to netip.AddrPort, request string) (float64, error) {
	end := time.Now().Add(d)
	counts := make(chan int, 4)
	errs := make(chan error, 4)
	for range 4 {
		go func() {
			n := 0
			for time.Now().Before(end) {
				err := fetch(h, to, request)
				if err != nil {
					counts <- n
					errs <- err
					return
				}
				n++
			}
			counts <- n
			errs <- nil
		}()
	}
	total := 0
	var err error
	for range 4 {
		total += <-counts
		err = errors.Join(err, <-errs)
	}
	return float64(total) / d.Seconds(), err
}

// fetch makes one connection with a request and its whole reply.
func fetch(h *lab.Host, to netip.AddrPort, request string) error {
	c, err := h.DialWithin(10*time.Second, "tcp", netip.AddrPort{}, to)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err = c.Write([]byte(request)); err != nil {
		return err
	}
	got, err := io.Copy(io.Discard, c)
	if err == nil && got < replyLen {
		err = fmt.Errorf("a reply of %d bytes", got)
	}
	return err
}

// floodRate is how many of the smallest frames a 100 Mbit/s link carries in a second.
const floodRate = 148_800

// floods returns the frames that a hostile LAN host can send. The flow of each frame is
// new until the frames repeat.
func floods(l *lab.Lab) map[string][][]byte {
	const frames = 20_000
	all := map[string][][]byte{}
	for i := range frames {
		mac, ip := madeUp(i)
		peer := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), peerPort)
		port := uint16(1024 + i)
		client := l.Clients[0]
		own := netip.AddrPortFrom(client.Addr4, port)
		all["pings from forged hosts"] = append(all["pings from forged hosts"],
			frame(mac, lab.UDPPacket(netip.AddrPortFrom(ip, port), peer, ping)))
		all["SYNs"] = append(all["SYNs"], syn(client.MAC, own, peer, uint32(i)))
		all["datagrams of made-up hosts"] = append(all["datagrams of made-up hosts"],
			frame(mac, lab.UDPPacket(netip.AddrPortFrom(ip, port), peer, []byte("x"))))
	}
	return all
}

// flood measures how much of other hosts' traffic gets through while one host floods the
// router.
func (b *bench) flood() error {
	l, err := newLab(lab.Config{NAT: true})
	if err != nil {
		return err
	}
	all := floods(l)
	if err := l.Close(); err != nil {
		return err
	}
	for run := range b.runs {
		for _, i := range turns(run, 2) {
			if err := b.floodOnce(nil, "no flood", onOff[i]); err != nil {
				return err
			}
			for _, name := range []string{"pings from forged hosts", "SYNs", "datagrams of made-up hosts"} {
				if err := b.floodOnce(all[name], name, onOff[i]); err != nil {
					return err
				}
			}
		}
	}
	for _, x := range b.report.Results {
		for _, s := range x.Series {
			if _, ok := all[floodName(s.Name)]; ok && isFlood(x.Name) {
				wall := s.Name[len(floodName(s.Name)):]
				if wall == ", wall on" && x.Name != floodTCP {
					x.atLeast(s.Name, "no flood"+wall, 0.9)
				} else {
					x.compare(s.Name, "no flood"+wall)
				}
			}
		}
	}
	return nil
}

const (
	floodSent    = "the flood itself"
	floodQueries = "small datagrams of others that arrive, during a flood of 148.8 kpps"
	floodLarge   = "20,000 datagrams of 1400 bytes a second of others that arrive"
	floodTCP     = "bulk TCP of others, its ends on the same processors"
)

func isFlood(name string) bool {
	return name == floodQueries || name == floodLarge || name == floodTCP
}

// floodName returns a series' name without the wall's setting.
func floodName(s string) string {
	for i := range s {
		if s[i] == ',' {
			return s[:i]
		}
	}
	return s
}

// floodOnce measures other hosts during one flood, each time in a new network: a flood
// leaves thousands of entries in the router's conntrack table.
func (b *bench) floodOnce(frames [][]byte, name, wall string) error {
	l, err := newLab(lab.Config{NAT: true})
	if err != nil {
		return err
	}
	defer l.Close()
	srv, err := newServers(l)
	if err != nil {
		return err
	}
	defer srv.close()
	if wall == "on" {
		p, err := b.startWallHere(l, b.wall, false, nil)
		if err != nil {
			return err
		}
		defer p.stop()
	}
	var g *generator
	begin := time.Now()
	if frames != nil {
		if g, err = generate(l.Clients[0], traffic{frames: frames, rate: floodRate, burst: 32, sleep: true}); err != nil {
			return err
		}
	}
	arrived, err := b.queries(l)
	var arrivedLarge, tcp float64
	if err == nil {
		if arrivedLarge, err = b.stream(l); err == nil {
			tcp, err = srv.stream(l.Innocent, b.window)
		}
	}
	if g != nil {
		err = errors.Join(err, g.end())
	}
	if err != nil {
		return err
	}
	if g != nil {
		b.report.result(floodSent, "kpps").add(name+", wall "+wall, float64(g.sent.Load())/time.Since(begin).Seconds()/1000)
	}
	b.report.result(floodQueries, "%").add(name+", wall "+wall, arrived)
	b.report.result(floodLarge, "%").add(name+", wall "+wall, arrivedLarge)
	b.report.result(floodTCP, "Mbit/s").add(name+", wall "+wall, tcp)
	return nil
}

// stream sends large datagrams from the innocent host and returns the percentage that
// arrives.
func (b *bench) stream(l *lab.Lab) (float64, error) {
	h := l.Innocent
	to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, 1}), discardPort)
	f := frame(h.MAC, lab.UDPPacket(netip.AddrPortFrom(h.Addr4, 5000), to, make([]byte, largeLen)))
	n0, err := counter(l, "others")
	if err != nil {
		return 0, err
	}
	g, err := generate(h, traffic{frames: [][]byte{f}, rate: 20_000, burst: 10, sleep: true})
	if err != nil {
		return 0, err
	}
	time.Sleep(b.window)
	err = g.end()
	time.Sleep(50 * time.Millisecond)
	n1, e := counter(l, "others")
	return 100 * (n1 - n0) / float64(g.sent.Load()), errors.Join(err, e)
}

// queries sends small datagrams of new flows from the innocent host, a thousand a second,
// and returns the percentage that arrives.
func (b *bench) queries(l *lab.Lab) (float64, error) {
	const rate = 1000
	h := l.Innocent
	var frames [][]byte
	for i := range int(b.window.Seconds() * rate) {
		to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), discardPort)
		frames = append(frames, frame(h.MAC, lab.UDPPacket(netip.AddrPortFrom(h.Addr4, uint16(10000+i)), to, make([]byte, 32))))
	}
	time.Sleep(b.window / 4)
	n0, err := counter(l, "others")
	if err != nil {
		return 0, err
	}
	if err := once(h, frames, rate); err != nil {
		return 0, err
	}
	time.Sleep(50 * time.Millisecond)
	n1, err := counter(l, "others")
	return 100 * (n1 - n0) / float64(len(frames)), err
}
