// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/bench/router/wire"
)

// channel is the port to the test bed; one tool uses it at a time.
const channel = "/dev/vport0p1"

// remote runs a tool outside the machine. It sends out the tool's command line and input.
// It receives the tool's netlink messages, hands them to this machine's kernel in the
// caller's network namespace, and sends the kernel's answers back.
func remote(tool string, args []string) (int, error) {
	port, err := os.OpenFile(channel, os.O_RDWR, 0)
	for err != nil { // the port is busy while another tool runs
		if errors.Is(err, unix.EBUSY) {
			unix.Nanosleep(&unix.Timespec{Nsec: 20e6}, nil)
			port, err = os.OpenFile(channel, os.O_RDWR, 0)
			continue
		}
		return 1, err
	}
	defer port.Close()
	call, err := command(tool, args)
	if err != nil {
		return 1, err
	}
	out, in := json.NewEncoder(port), json.NewDecoder(port)
	if err := out.Encode(wire.Message{Session: os.Getpid(), Call: call}); err != nil {
		return 1, err
	}
	sockets := map[int]*socket{}
	for {
		var m wire.Message
		if err := in.Decode(&m); err != nil {
			return 1, fmt.Errorf("channel: %w", err)
		}
		if m.Session != os.Getpid() {
			continue
		}
		reply := wire.Message{Session: m.Session}
		switch {
		case m.End != nil:
			_, _ = os.Stdout.Write(m.End.Stdout)
			_, _ = os.Stderr.Write(m.End.Stderr)
			return m.End.Code, nil
		case m.Open != nil:
			s, err := open(m.Open.Protocol, tool == "nft")
			sockets[m.Open.ID] = s
			reply.Answer = &wire.Answer{PortID: s.portid, Errno: errno(err)}
		case m.Send != nil:
			list, err := sockets[m.Send.ID].talk(m.Send.Data)
			reply.Answer = &wire.Answer{Datagrams: list, Errno: errno(err)}
		}
		if err := out.Encode(reply); err != nil {
			return 1, err
		}
	}
}

// command collects what the tool will read: standard input if the arguments say so, and
// files named with -f.
func command(tool string, args []string) (*wire.Call, error) {
	c := &wire.Call{Tool: tool, Args: args, Files: map[int][]byte{}}
	for i, a := range args {
		if i == 0 || (args[i-1] != "-f" && args[i-1] != "--file" && args[i-1] != "-file") {
			continue
		}
		var err error
		if a == "-" || a == "/dev/stdin" {
			c.Files[i], err = io.ReadAll(os.Stdin)
		} else {
			c.Files[i], err = os.ReadFile(a)
		}
		if err != nil {
			return nil, err
		}
	}
	if tool == "ipset" && len(c.Files) == 0 && (slices.Contains(args, "restore") || slices.Contains(args, "-")) {
		data, err := io.ReadAll(os.Stdin)
		if err != nil {
			return nil, err
		}
		c.Stdin = data
	}
	return c, nil
}

func errno(err error) int {
	if e, ok := err.(unix.Errno); ok {
		return int(e)
	}
	if err != nil {
		return int(unix.EIO)
	}
	return 0
}

// socket is a netlink socket that the tool has opened.
type socket struct {
	fd     int
	portid uint32 // the socket's address in the kernel's answers
	// size is the largest datagram that the tool reads. The kernel makes the datagrams
	// of a dump as large as the reader's buffer.
	size int
}

// open makes a socket of a protocol. nft's sockets for netfilter get other options.
func open(protocol int, nft bool) (*socket, error) {
	s := &socket{size: 4096}
	var err error
	s.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return s, err
	}
	if err := unix.Bind(s.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return s, err
	}
	if nft && protocol == unix.NETLINK_NETFILTER {
		s.size = 64 << 10
		// Without the offsets nft cannot say which rule was refused.
		_ = unix.SetsockoptInt(s.fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	}
	_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 1<<20)
	_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 1<<20)
	name, err := unix.Getsockname(s.fd)
	if err != nil {
		return s, err
	}
	s.portid = name.(*unix.SockaddrNetlink).Pid
	return s, nil
}

// talk sends one message and reads all answers that are there. The kernel has answered a
// request when the send returns. It continues a dump while it is read.
func (s *socket) talk(message []byte) ([][]byte, error) {
	if err := unix.Sendto(s.fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	var list [][]byte
	buf := make([]byte, s.size)
	for {
		n, _, err := unix.Recvfrom(s.fd, buf, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		list = append(list, append([]byte(nil), buf[:n]...))
	}
}
