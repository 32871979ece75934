// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// discardPort is the destination port of the small datagrams. Nobody listens there.
const discardPort = 9

var sinkAddr = netip.MustParseAddr("198.51.100.7")

// small returns a datagram of 32 bytes. All of them belong to one flow.
func small(h *lab.Host, to netip.AddrPort) []byte {
	return frame(h.MAC, lab.UDPPacket(netip.AddrPortFrom(h.Addr4, 4000), to, make([]byte, 32)))
}

// newLab makes a network without servers. Its internet drops packets to the ports of the
// benchmark.
func newLab(cfg lab.Config) (*lab.Lab, error) {
	cfg.NoServers, cfg.NoRecord, cfg.NoOffload = true, true, true
	l, err := lab.New(cfg)
	if err != nil {
		return nil, err
	}
	if err := nft(l.Inet, `table ip sink {
	counter sunk { }
	counter others { }
	chain in {
		type filter hook prerouting priority raw;
		ip daddr 203.0.113.0/24 udp dport 9 counter name others drop
		udp dport { 9, 1214 } counter name sunk drop
		tcp dport { 9, 1214 } counter name sunk drop
	}
}
`); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// newQueueLab also sends the packets through the queue.
func newQueueLab() (*lab.Lab, error) {
	l, err := newLab(lab.Config{})
	if err != nil {
		return nil, err
	}
	if err := queueRule(l); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// nft loads rules in a namespace.
func nft(h *lab.Host, rules string) error {
	cmd := h.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	return nil
}

// counter reads one of the sink's counters.
func counter(l *lab.Lab, name string) (float64, error) {
	out, err := l.Inet.Run("nft", "list", "counter", "ip", "sink", name)
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(out)
	if i := slices.Index(fields, "packets"); i >= 0 && i+1 < len(fields) {
		var n float64
		_, err = fmt.Sscan(fields[i+1], &n)
		return n, err
	}
	return 0, fmt.Errorf("no counter in %q", out)
}

// queueRule sends every forwarded datagram to the queue, so that only the queue is
// measured.
func queueRule(l *lab.Lab, extra ...string) error {
	args := append([]string{"-w", "-t", "mangle", "-A", "FORWARD", "-i", lab.BridgeDev, "-p", "udp"}, extra...)
	_, err := l.Router.Run("iptables", append(args, "-j", "NFQUEUE", "--queue-num", fmt.Sprint(queueNumber), "--queue-bypass")...)
	return err
}

// contender is a program that can be started in a lab.
type contender struct {
	name  string
	start func(*lab.Lab) (*program, error)
}

// contenders returns the C reference, p2pwall without its rules and, if there is one, the
// other revision.
func (b *bench) contenders() []contender {
	wall := func(bin string) func(*lab.Lab) (*program, error) {
		return func(l *lab.Lab) (*program, error) { return b.startWall(l, bin, true, nil) }
	}
	c := []contender{{nameC, b.startReference}, {nameWall, wall(b.wall)}}
	if b.base != "" {
		c = append(c, contender{nameBase, wall(b.base)})
	}
	return c
}

// rates are the loads of the queue in packets a second; 0 means as many as possible.
var rates = []struct {
	name string
	rate int
	goal float64
}{
	{"saturated", 0, 1.0},
	{"5 kpps", 5000, 0},
	{"20 kpps", 20000, 0.6},
	{"50 kpps", 50000, 0},
}

// queue measures the CPU time per packet that goes through the queue.
func (b *bench) queue() error {
	l, err := newQueueLab()
	if err != nil {
		return err
	}
	defer l.Close()
	h := l.Clients[0]
	frames := [][]byte{small(h, netip.AddrPortFrom(sinkAddr, discardPort))}
	all := b.contenders()
	for run := range b.runs {
		for _, i := range turns(run, len(all)) {
			c := all[i]
			p, err := c.start(l)
			if err != nil {
				return err
			}
			for _, r := range rates {
				burst := 1
				if r.rate == 0 {
					burst = 64
				}
				u, err := b.under(l, p, h, traffic{frames: frames, rate: r.rate, burst: burst})
				if err != nil {
					return errors.Join(err, p.stop())
				}
				x := b.report.result("queued packet, "+r.name, "us CPU")
				x.add(c.name, u.perPacket())
				if r.goal != 0 {
					x.atMost(nameWall, nameC, r.goal)
				} else {
					x.compare(nameWall, nameC)
				}
				if b.base != "" {
					x.compare(nameWall, nameBase)
				}
				if r.rate == 0 {
					b.report.result("verdicts, saturated", "kpps").add(c.name, u.kpps())
				}
			}
			if err := p.stop(); err != nil {
				return err
			}
		}
	}
	return nil
}

// machine measures the CPU time that the whole machine needs for a packet, for each way
// to treat it.
func (b *bench) machine() error {
	const rate = 100_000
	l, err := newLab(lab.Config{})
	if err != nil {
		return err
	}
	defer l.Close()
	h := l.Clients[0]
	frames := [][]byte{small(h, netip.AddrPortFrom(sinkAddr, discardPort))}
	x := b.report.result("forwarded packet, 100 kpps in bursts of 20, whole machine", "us CPU")
	flush := func() error {
		_, err := l.Router.Run("iptables", "-w", "-t", "mangle", "-F", "FORWARD")
		return err
	}
	all := append([]contender{
		{namePlain, func(*lab.Lab) (*program, error) { return nil, flush() }},
		{nameDrop, func(l *lab.Lab) (*program, error) {
			return nil, errors.Join(flush(), nft(l.Router, `table inet measure {
	set pairs { type ipv4_addr . ipv4_addr; flags timeout; elements = { `+h.Addr4.String()+" . "+sinkAddr.String()+` timeout 1h }; }
	chain cut { type filter hook forward priority mangle - 10; ip saddr . ip daddr @pairs drop; }
}
`))
		}},
	}, b.contenders()...)
	for run := range b.runs {
		for _, i := range turns(run, len(all)) {
			c := all[i]
			if err := flush(); err != nil {
				return err
			}
			if i > 1 {
				if err := queueRule(l); err != nil {
					return err
				}
			}
			p, err := c.start(l)
			if err != nil {
				return err
			}
			micros, err := b.whole(h, p, traffic{frames: frames, rate: rate, burst: 20, sleep: true})
			if p != nil {
				err = errors.Join(err, p.stop())
			}
			if c.name == nameDrop {
				_, e := l.Router.Run("nft", "delete", "table", "inet", "measure")
				err = errors.Join(err, e)
			}
			if err != nil {
				return err
			}
			x.add(c.name, micros)
		}
	}
	for _, c := range all[1:] {
		x.compare(c.name, namePlain)
	}
	return nil
}

// whole returns the CPU time of sender and program for each packet sent.
func (b *bench) whole(h *lab.Host, p *program, t traffic) (float64, error) {
	var cpu0, cpu1 time.Duration
	var err error
	if p != nil {
		if cpu0, err = processTime(p.pid); err != nil {
			return 0, err
		}
	}
	g, err := generate(h, t)
	if err != nil {
		return 0, err
	}
	time.Sleep(b.window)
	if err := g.end(); err != nil {
		return 0, err
	}
	if p != nil {
		if cpu1, err = processTime(p.pid); err != nil {
			return 0, err
		}
	}
	return float64((g.cpu + cpu1 - cpu0).Nanoseconds()) / 1e3 / float64(g.sent.Load()), nil
}

// latency measures the round trip of one datagram at a time.
func (b *bench) latency() error {
	l, err := newQueueLab()
	if err != nil {
		return err
	}
	defer l.Close()
	echo, err := listenEcho(l)
	if err != nil {
		return err
	}
	defer echo.Close()
	x := b.report.result("round trip of a lone datagram", "us")
	all := append([]contender{{namePlain, func(*lab.Lab) (*program, error) { return nil, nil }}}, b.contenders()...)
	for run := range b.runs {
		for _, i := range turns(run, len(all)) {
			p, err := all[i].start(l)
			if err != nil {
				return err
			}
			t, err := b.roundTrip(l.Clients[0], netip.AddrPortFrom(sinkAddr, echoPort))
			if p != nil {
				err = errors.Join(err, p.stop())
			}
			if err != nil {
				return err
			}
			x.add(all[i].name, t)
		}
	}
	x.atMost(nameWall, nameC, 1.1)
	if b.base != "" {
		x.compare(nameWall, nameBase)
	}
	return nil
}

// echoPort is where the server of listenEcho is, at sinkAddr.
const echoPort = 7

// listenEcho starts a server that sends each datagram back, until the caller closes it.
func listenEcho(l *lab.Lab) (*net.UDPConn, error) {
	c, err := l.Inet.ListenUDP(netip.AddrPortFrom(sinkAddr, echoPort))
	if err == nil {
		go answer(c)
	}
	return c, err
}

func answer(c *net.UDPConn) {
	unpin, err := pin(loadCPU)
	if err != nil {
		return
	}
	defer unpin()
	buf := make([]byte, 64)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		_, _ = c.WriteToUDPAddrPort(buf[:n], from)
	}
}

// roundTrip is the median of many round trips, in microseconds.
func (b *bench) roundTrip(h *lab.Host, to netip.AddrPort) (float64, error) {
	c, err := h.Dial(b.context(), "udp", netip.AddrPort{}, to)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	unpin, err := pin(loadCPU)
	if err != nil {
		return 0, err
	}
	defer unpin()
	var times []float64
	buf := make([]byte, 64)
	for end := time.Now().Add(b.window); time.Now().Before(end); {
		begin := time.Now()
		_ = c.SetDeadline(begin.Add(time.Second))
		if _, err := c.Write(buf[:32]); err != nil {
			return 0, err
		}
		if _, err := c.Read(buf); err != nil {
			return 0, err
		}
		times = append(times, float64(time.Since(begin).Nanoseconds())/1e3)
		time.Sleep(2 * time.Millisecond)
	}
	return spread(times).Median, nil
}
