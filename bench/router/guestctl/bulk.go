// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"io"
	"net"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	bulkLen   = 1400     // bytes of a datagram
	udpBefore = 64       // datagrams before the measurement, whole bursts
	tcpBefore = 64 << 10 // bytes before the measurement
	settling  = 300 * time.Millisecond
)

// bulk sends count datagrams, or count bytes over one connection, and prints how many
// nanoseconds each datagram, or each 1400 bytes, took. It first sends some data and
// waits, so that the wall decides about the flow before the measurement.
func bulk(network, addr string, count int) error {
	conn, err := net.DialTimeout(network, addr, 10*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		return err
	}
	var took time.Duration
	var units int
	switch network {
	case "udp":
		units = count
		took, err = bulkUDP(conn.(*net.UDPConn), count)
	case "tcp":
		units = count / bulkLen
		took, err = bulkTCP(conn.(*net.TCPConn), count)
	default:
		err = fmt.Errorf("bulk: %q is neither udp nor tcp", network)
	}
	if err != nil {
		return err
	}
	fmt.Println(took.Nanoseconds() / int64(max(units, 1)))
	return nil
}

// bulkUDP returns how long sending took. On a machine with one processor the kernel
// forwards a datagram within the call that sends it. If there is too much work, the kernel
// moves it to a thread of its own; the pauses prevent that. The calls are raw, so that
// Go's scheduler does not know of them: it would start another thread during calls longer
// than 20 us.
func bulkUDP(conn *net.UDPConn, count int) (took time.Duration, err error) {
	const burst, pause = 16, time.Millisecond
	file, err := conn.File()
	if err != nil {
		return 0, err
	}
	defer file.Close()
	payload := make([]byte, bulkLen)
	for i := 0; i < udpBefore+count; i += burst {
		if i == udpBefore {
			time.Sleep(settling)
		}
		time.Sleep(pause)
		begin := time.Now()
		for range burst {
			_, _, errno := unix.RawSyscall(unix.SYS_WRITE, file.Fd(), uintptr(unsafe.Pointer(&payload[0])), bulkLen)
			if errno != 0 {
				return 0, errno
			}
		}
		if i >= udpBefore {
			took += time.Since(begin)
		}
	}
	return took, nil
}

// bulkTCP returns how long it took until the other end, a sink, had read everything.
func bulkTCP(conn *net.TCPConn, count int) (time.Duration, error) {
	block := make([]byte, 64<<10)
	if _, err := conn.Write(block[:tcpBefore]); err != nil {
		return 0, err
	}
	time.Sleep(settling)
	begin := time.Now()
	for left := count; left > 0; {
		n, err := conn.Write(block[:min(left, len(block))])
		if err != nil {
			return 0, err
		}
		left -= n
	}
	if err := conn.CloseWrite(); err != nil {
		return 0, err
	}
	_, err := io.ReadFull(conn, block[:1])
	return time.Since(begin), err
}

// sink reads each connection to its end and then answers with one byte.
func sink(port int) error {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{Port: port})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return accept(listener, func(c net.Conn) {
		if _, err := io.Copy(io.Discard, c); err == nil {
			_, _ = c.Write([]byte{0})
		}
	})
}

// accept serves each connection on its own, and closes it then. It ends when the listener
// fails.
func accept(l net.Listener, serve func(net.Conn)) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}
