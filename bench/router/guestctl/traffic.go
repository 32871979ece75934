// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// floodPort is the first destination port of the load. Each flow has its own destination
// port, so that one socket makes many flows.
const floodPort = 20000

// flood sends count small datagrams to addr, spread evenly over flows. It pauses after
// each burst, so that the reader of the queue can run on a machine with one processor.
func flood(addr string, count, flows, burst, pauseMicros int) error {
	to, err := netip.ParseAddr(addr)
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	payload := make([]byte, 32)
	sent := 0
	for i := range count {
		port := uint16(floodPort + i%flows)
		if _, err := conn.WriteToUDPAddrPort(payload, netip.AddrPortFrom(to, port)); err == nil {
			sent++
		}
		if burst > 0 && i%burst == burst-1 {
			time.Sleep(time.Duration(pauseMicros) * time.Microsecond)
		}
	}
	fmt.Println(sent)
	return nil
}

// echo answers every datagram and every TCP byte on port, until it is ended.
func echo(port int) error {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{Port: port})
	if err != nil {
		return err
	}
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{Port: port})
	if err != nil {
		return err
	}
	go accept(listener, func(c net.Conn) { _, _ = io.Copy(c, c) })
	fmt.Println("ready")
	buf := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		if _, err := conn.WriteToUDPAddrPort(buf[:n], from); err != nil {
			return err
		}
	}
}

// udp sends one datagram and waits for its echo.
func udp(addr string, timeout int) error {
	conn, err := net.Dial("udp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hello, is there anybody?")); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Duration(timeout) * time.Millisecond)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 64))
	return err
}

// tcp opens a connection, sends size bytes and reads them back.
func tcp(addr string, timeout, size int) error {
	limit := time.Duration(timeout) * time.Millisecond
	conn, err := net.DialTimeout("tcp", addr, limit)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	block := make([]byte, 1024)
	for done := 0; done < size; done += len(block) {
		if _, err := conn.Write(block); err != nil {
			return err
		}
		if _, err := io.ReadFull(conn, block); err != nil {
			return err
		}
	}
	return nil
}
