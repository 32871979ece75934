// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// The beginnings of TLS hellos, by their cipher suites.
const (
	helloChrome  = "\x5a\x5a\x13\x01\x13\x02\x13\x03\xc0\x2b"
	helloOpenSSL = "\x13\x02\x13\x03\x13\x01\xc0\x2c\xc0\x30"
)

func tlsHello(suites string) string {
	return "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("r", 32) + "\x20" + strings.Repeat("s", 32) + "\x00\x22" + suites + strings.Repeat("\x00", 429)
}

// visit is one connection of a kind.
type visit struct {
	name string
	do   func(h *lab.Host, i int) error
}

// everydayAddr is the servers' address.
var everydayAddr = netip.MustParseAddr("198.51.100.30")

// visits are what a user's programs do.
func visits() []visit {
	tcp := func(name string, port uint16, request string) visit {
		return visit{name, func(h *lab.Host, _ int) error { return fetch(h, netip.AddrPortFrom(everydayAddr, port), request) }}
	}
	return []visit{
		tcp("HTTPS, a browser", 443, tlsHello(helloChrome)),
		tcp("HTTPS, another program (OpenSSL)", 443, tlsHello(helloOpenSSL)),
		tcp("HTTP", 80, webRequest),
		tcp("SSH", 22, "SSH-2.0-OpenSSH_9.2\r\n"),
		tcp("mail", 587, "EHLO host\r\n"),
		{"HTTP/3", func(h *lab.Host, _ int) error {
			return datagrams(h, netip.AddrPortFrom(everydayAddr, 443), false,
				"\xc3\x00\x00\x00\x01"+strings.Repeat("q", 1195), "\x43"+strings.Repeat("q", 40), "\x43"+strings.Repeat("q", 900))
		}},
		{"a name, of a server outside", lookup},
	}
}

// lookup asks a name server outside.
func lookup(h *lab.Host, i int) error {
	return datagrams(h, netip.AddrPortFrom(everydayAddr, 53), true, string(lab.DNSQuery(uint16(i), "www.example.com", lab.TypeA)))
}

// datagrams sends datagrams from a new port, and waits for an answer if there is one.
func datagrams(h *lab.Host, to netip.AddrPort, answered bool, what ...string) error {
	c, err := h.DialWithin(10*time.Second, "udp", netip.AddrPort{}, to)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, b := range what {
		if _, err := c.Write([]byte(b)); err != nil {
			return err
		}
	}
	if answered {
		_, err = c.Read(make([]byte, 512))
	}
	return err
}

// settle is how long after its start the program has read the connection table.
const settle = 3 * time.Second

// everyday measures how much of usual connections reaches user space, and what a page costs.
func (b *bench) everyday() error {
	l, err := newLab(lab.Config{NAT: true})
	if err != nil {
		return err
	}
	defer l.Close()
	for _, port := range []uint16{443, 80, 22, 587} {
		s, err := l.Inet.ListenTCP(netip.AddrPortFrom(everydayAddr, port))
		if err != nil {
			return err
		}
		defer s.Close()
		go lab.Accept(s, serve)
	}
	quic, err := l.Inet.ListenUDP(netip.AddrPortFrom(everydayAddr, 443))
	if err != nil {
		return err
	}
	defer quic.Close()
	if err := l.StartDNS(l.Inet, netip.AddrPortFrom(everydayAddr, 53), lab.Names{Else: []netip.Addr{everydayAddr}}); err != nil {
		return err
	}
	settings := map[string]string{"off": "", nameWall: b.wall}
	names := []string{"off", nameWall}
	if b.base != "" {
		settings[nameBase] = b.base
		names = append(names, nameBase)
	}
	for run := range b.runs {
		for _, i := range turns(run, len(names)) {
			var p *program
			if bin := settings[names[i]]; bin != "" {
				if p, err = b.startWallHere(l, bin, false, nil); err != nil {
					return err
				}
				// The program reads the connection table at its start. A host that has connections
				// then is watched for some time.
				time.Sleep(settle)
			}
			err = b.everydayOnce(l, p, names[i])
			if p != nil {
				err = errors.Join(err, p.stop())
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// everydayOnce measures one setting. p is nil without a wall.
func (b *bench) everydayOnce(l *lab.Lab, p *program, who string) error {
	h, note := l.Innocent, func(name, unit string, value float64) {
		x := b.report.result(name, unit)
		x.add(who, value)
		if unit != "1/s" {
			x.compare(nameWall, nameBase)
		} else if who != "off" {
			x.compare(who, "off")
		}
	}
	// The first packet of an address in a minute is queued.
	if err := fetch(h, netip.AddrPortFrom(everydayAddr, 443), tlsHello(helloChrome)); err != nil {
		return err
	}
	if p != nil {
		for _, v := range visits() {
			n, _, err := use(l, p, 20, func(i int) error { return v.do(h, i) })
			if err != nil {
				return fmt.Errorf("%s: %w", v.name, err)
			}
			note("packets that reach user space of one connection: "+v.name, "", n)
		}
	}
	for _, v := range []struct {
		name    string
		port    uint16
		request string
	}{
		{"HTTPS connections with a reply of 16 KiB, 4 at a time", 443, tlsHello(helloChrome)},
		{"HTTP connections with a reply of 16 KiB, 4 at a time", 80, webRequest},
	} {
		n, err := short(h, b.window, netip.AddrPortFrom(everydayAddr, v.port), v.request)
		if err != nil {
			return err
		}
		note(v.name, "1/s", n)
	}
	if p == nil {
		return nil
	}
	n, cost, err := use(l, p, 10, func(int) error { return page(h) })
	note("a page of 40 connections and 20 names: packets that reach user space", "", n)
	note("the same, CPU time of the program", "us", cost)
	return err
}

// use does something several times. It returns how many packets reached user space each
// time, and the CPU time of the program in microseconds.
func use(l *lab.Lab, p *program, times int, do func(i int) error) (packets, cost float64, err error) {
	n0, err := queued(l)
	cpu0, e := processTime(p.pid)
	err = errors.Join(err, e)
	for i := 0; i < times && err == nil; i++ {
		err = do(i)
	}
	n1, e := queued(l)
	cpu1, e2 := processTime(p.pid)
	return float64(n1-n0) / float64(times), float64((cpu1 - cpu0).Microseconds()) / float64(times), errors.Join(err, e, e2)
}

// page asks for 20 names and makes 40 connections, 6 at a time.
func page(h *lab.Host) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	turn := make(chan bool, 6)
	for i := range 60 {
		turn <- true
		wg.Add(1)
		go func() {
			defer wg.Done()
			var err error
			if i%3 == 0 {
				err = lookup(h, i)
			} else {
				err = fetch(h, netip.AddrPortFrom(everydayAddr, 443), tlsHello(helloChrome))
			}
			mu.Lock()
			failed = errors.Join(failed, err)
			mu.Unlock()
			<-turn
		}()
	}
	wg.Wait()
	return failed
}
