// SPDX-License-Identifier: GPL-2.0-or-later

// Package netns manages network namespaces for tests and the lab: named ones, in which
// functions and commands run, and an unnamed one for a single test and its programs.
package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Dir is the folder where iproute2 keeps the handles of named namespaces.
const Dir = "/var/run/netns"

// Namespace is a named network namespace.
type Namespace struct {
	Name string
	file *os.File
}

// Open opens a namespace that "ip netns add" made.
func Open(name string) (*Namespace, error) {
	f, err := os.Open(Dir + "/" + name)
	if err != nil {
		return nil, err
	}
	return &Namespace{Name: name, file: f}, nil
}

// Close closes the handle. The namespace and its contents remain.
func (n *Namespace) Close() error { return n.file.Close() }

// Do runs fn on a thread in the namespace. Sockets that fn makes stay in the namespace.
// fn must not start goroutines that make sockets.
func (n *Namespace) Do(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		var err error
		defer func() { done <- err }() // also if fn ends the goroutine, as t.Fatal does
		runtime.LockOSThread()
		home, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
		if err != nil {
			runtime.UnlockOSThread()
			return
		}
		defer home.Close()
		if err = unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			err = fmt.Errorf("setns %s: %w", n.Name, err)
			return
		}
		err = fn()
		// If the switch back fails, the goroutine stays locked to the thread. The runtime
		// then ends both together.
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
	}()
	return <-done
}

// Pending is a TCP connection whose SYN was sent.
type Pending struct {
	file   *os.File
	Remote netip.AddrPort // the address to connect to
}

// StartTCP sends the SYN of a connection and does not wait for the answer. The local
// address may be the zero value.
func (n *Namespace) StartTCP(local, remote netip.AddrPort) (*Pending, error) {
	family := unix.AF_INET6
	if remote.Addr().Is4() {
		family = unix.AF_INET
	}
	var fd int
	err := n.Do(func() (err error) {
		fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		return os.NewSyscallError("socket", err)
	})
	if err != nil {
		return nil, err
	}
	p := &Pending{os.NewFile(uintptr(fd), "tcp"), remote}
	if local.IsValid() {
		err = os.NewSyscallError("bind", unix.Bind(fd, sockaddr(local)))
	}
	if err == nil {
		err = unix.Connect(fd, sockaddr(remote))
		if err == unix.EINPROGRESS {
			err = nil
		}
		err = os.NewSyscallError("connect", err)
	}
	if err != nil {
		p.file.Close()
		return nil, err
	}
	return p, nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// Wait returns the connection when it is established. It gives up when ctx ends.
func (p *Pending) Wait(ctx context.Context) (net.Conn, error) {
	defer p.file.Close()
	raw, err := p.file.SyscallConn()
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { p.file.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && code != 0 {
			err = unix.Errno(code)
		}
		if err != nil {
			failed = err
			return true
		}
		_, err = unix.Getpeername(int(fd))
		return err == nil
	})
	if err == nil {
		err = os.NewSyscallError("connect", failed)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Remote, err)
	}
	return net.FileConn(p.file)
}

// Dial connects to an address from within the namespace: "tcp" or "udp". The
// local address may be the zero value.
func (n *Namespace) Dial(ctx context.Context, network string, local, remote netip.AddrPort) (net.Conn, error) {
	if network == "tcp" {
		p, err := n.StartTCP(local, remote)
		if err != nil {
			return nil, err
		}
		return p.Wait(ctx)
	}
	var c net.Conn
	err := n.Do(func() (err error) {
		var d net.Dialer
		if local.IsValid() {
			d.LocalAddr = net.UDPAddrFromAddrPort(local)
			d.Control = Reusable
		}
		c, err = d.DialContext(ctx, network, remote.String())
		return err
	})
	return c, err
}

// DialWithin connects within a time. The connection's deadline comes as long after that,
// unless the caller sets another.
func (n *Namespace) DialWithin(limit time.Duration, network string, local, remote netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c, err := n.Dial(ctx, network, local, remote)
	if err == nil {
		_ = c.SetDeadline(time.Now().Add(limit))
	}
	return c, err
}

// Reusable lets a port be used again at once; it is the Control function of a dialer. A
// program that another goroutine starts has a copy of each socket for a moment, even of one
// that is closed here.
func Reusable(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
}

// Connects reports whether a TCP connection to an address can be established within a
// time.
func (n *Namespace) Connects(to netip.AddrPort, patience time.Duration) bool {
	c, err := n.DialWithin(patience, "tcp", netip.AddrPort{}, to)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// ListenTCP listens in the namespace. The zero address means all addresses, IPv4 and
// IPv6.
func (n *Namespace) ListenTCP(local netip.AddrPort) (*net.TCPListener, error) {
	var l net.Listener
	err := n.Do(func() (err error) {
		lc := net.ListenConfig{KeepAlive: -1}
		lc.SetMultipathTCP(false)
		l, err = lc.Listen(context.Background(), "tcp", listenAddr(local))
		return err
	})
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// ListenUDP opens a UDP socket in the namespace. The zero address means all addresses,
// IPv4 and IPv6.
func (n *Namespace) ListenUDP(local netip.AddrPort) (*net.UDPConn, error) {
	var c net.PacketConn
	err := n.Do(func() (err error) {
		var lc net.ListenConfig
		c, err = lc.ListenPacket(context.Background(), "udp", listenAddr(local))
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

func listenAddr(a netip.AddrPort) string {
	if !a.Addr().IsValid() {
		return fmt.Sprintf(":%d", a.Port())
	}
	return a.String()
}

// Command prepares a command in the namespace. The process of "ip netns exec" becomes the
// command, so signals reach it.
func (n *Namespace) Command(name string, arg ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", n.Name, name}, arg...)...)
}

// Run runs a command in the namespace and returns its output. An error contains the
// output and the error output.
func (n *Namespace) Run(name string, arg ...string) (string, error) {
	var out, complaints strings.Builder
	cmd := n.Command(name, arg...)
	cmd.Stdout, cmd.Stderr = &out, &complaints // separate, so that error messages do not split the lines of a list
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %s %s: %w: %s", n.Name, name, strings.Join(arg, " "), err, strings.TrimSpace(out.String()+complaints.String()))
	}
	return out.String(), nil
}

// Sysctl sets kernel parameters of the namespace. The keys are paths below /proc/sys. A
// missing parameter is no error: the kernel was built without it.
func (n *Namespace) Sysctl(values map[string]string) error {
	return n.Do(func() error {
		for path, v := range values {
			err := os.WriteFile("/proc/sys/"+path, []byte(v), 0)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		return nil
	})
}

// IPBatch runs several ip commands in the namespace in one process.
func (n *Namespace) IPBatch(lines ...string) error {
	cmd := exec.Command("ip", "-netns", n.Name, "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip -netns %s -batch: %w: %s", n.Name, err, strings.TrimSpace(string(out)))
	}
	return nil
}
