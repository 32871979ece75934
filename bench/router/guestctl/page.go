// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

const (
	replyLen  = 16 << 10
	patience  = time.Minute
	pageNames = 20
	pageConns = 40
)

// The first data of a connection: a request, and a browser's hello.
var (
	webRequest = []byte("GET / HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: guestctl\r\n\r\n")
	webHello   = []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("r", 32) + "\x20" + strings.Repeat("s", 32) +
		"\x00\x22\x5a\x5a\x13\x01\x13\x02\x13\x03\xc0\x2b" + strings.Repeat("\x00", 429))
	// A question for the address of www.example.com.
	webName = []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01")
)

// web serves what pages are made of: replies of 16 KiB at ports 80 and 443, and an answer
// to every question for a name.
func web() error {
	names, err := net.ListenPacket("udp", ":53")
	if err != nil {
		return err
	}
	reply := make([]byte, replyLen)
	for _, port := range []string{":80", ":443"} {
		l, err := net.Listen("tcp", port)
		if err != nil {
			return err
		}
		go accept(l, func(c net.Conn) {
			if _, err := c.Read(make([]byte, 1024)); err == nil {
				_, _ = c.Write(reply)
			}
		})
	}
	fmt.Println("ready")
	buf := make([]byte, 512)
	for {
		n, from, err := names.ReadFrom(buf)
		if err != nil {
			return err
		}
		if n > 2 {
			buf[2] |= 0x80
			if _, err := names.WriteTo(buf[:n], from); err != nil {
				return err
			}
		}
	}
}

// visits opens connections to addr, or loads pages from there, and prints how many
// nanoseconds each took. kind is http or https, for connections with a reply of 16 KiB, 4
// at a time; or page: 40 connections with TLS and 20 names, 6 at a time.
func visits(kind, addr string, count int) error {
	fetch := func(port string, first []byte) error {
		return exchange("tcp", net.JoinHostPort(addr, port), first, replyLen)
	}
	do, atOnce, units := func(int) error { return fetch("80", webRequest) }, 4, count
	switch kind {
	case "http":
	case "https":
		do = func(int) error { return fetch("443", webHello) }
	case "page":
		atOnce, count = 6, count*(pageNames+pageConns)
		do = func(i int) error {
			if i%((pageNames+pageConns)/pageNames) == 0 {
				return exchange("udp", net.JoinHostPort(addr, "53"), webName, len(webName))
			}
			return fetch("443", webHello)
		}
	default:
		return fmt.Errorf("visits: %q is none of http, https, page", kind)
	}
	var wg sync.WaitGroup
	failed := make(chan error, atOnce)
	begin := time.Now()
	for w := range atOnce {
		wg.Go(func() {
			for i := w; i < count; i += atOnce {
				if err := do(i); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	close(failed)
	var err error
	for e := range failed {
		err = errors.Join(err, e)
	}
	if err == nil {
		fmt.Println(took.Nanoseconds() / int64(max(units, 1)))
	}
	return err
}

// exchange sends first and reads so many bytes.
func exchange(network, addr string, first []byte, answer int) error {
	c, err := net.DialTimeout(network, addr, patience)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write(first); err != nil {
		return err
	}
	_, err = io.CopyN(io.Discard, c, int64(answer))
	return err
}
