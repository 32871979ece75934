// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/p2pwall/p2pwall/bench/router/wire"
)

//go:embed tunnel/tunnel.c
var tunnelSource string

// remote runs tools for a machine that cannot run them itself. It reads calls from the
// machine's channel, starts the tool on the host under user-mode emulation, and carries the
// tool's netlink messages to the machine and back.
type remote struct {
	root string // what bed.outside made
	dir  string // for this run's sockets and files
	conn io.ReadWriter

	mu  sync.Mutex // one exchange with the machine at a time
	in  *json.Decoder
	out *json.Encoder
	// session is the call that is served now. next is a new call that came instead of
	// an answer: the tool of the previous call was killed inside the machine.
	session int
	next    *wire.Message
	log     io.Writer
}

// serve handles calls until the machine goes away.
func (r *remote) serve() error {
	r.in, r.out = json.NewDecoder(r.conn), json.NewEncoder(r.conn)
	for {
		m := r.next
		r.next = nil
		if m == nil {
			m = &wire.Message{}
			if err := r.in.Decode(m); err != nil {
				if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
					return nil
				}
				return err
			}
		}
		if m.Call == nil {
			continue // the rest of an aborted call
		}
		r.session = m.Session
		begin := time.Now()
		end, err := r.run(m.Call)
		if err != nil {
			end = &wire.End{Code: 1, Stderr: []byte(err.Error() + "\n")}
		}
		fmt.Fprintf(r.log, "outside: %s %s: exit %d after %v\n", m.Call.Tool, strings.Join(m.Call.Args, " "), end.Code, time.Since(begin).Round(time.Millisecond))
		if r.next != nil {
			continue // nobody waits for this call any more
		}
		if err := r.out.Encode(wire.Message{Session: m.Session, End: end}); err != nil {
			return err
		}
	}
}

func (r *remote) run(c *wire.Call) (*wire.End, error) {
	path := filepath.Join(r.dir, "tunnel")
	_ = os.Remove(path)
	listener, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	go r.accept(listener)

	args := append([]string(nil), c.Args...)
	for i, data := range c.Files {
		name := filepath.Join(r.dir, "file"+strconv.Itoa(i))
		if err := os.WriteFile(name, data, 0o600); err != nil {
			return nil, err
		}
		args[i] = name
	}
	var stdout, stderr bytes.Buffer
	tool := exec.Command("qemu-s390x", append([]string{
		"-L", r.root,
		"-E", "LD_PRELOAD=" + filepath.Join(r.root, "tunnel.so"),
		"-E", "P2PW_TUNNEL=" + path,
		filepath.Join(r.root, "usr/sbin", filepath.Base(c.Tool)),
	}, args...)...)
	tool.Stdin = bytes.NewReader(c.Stdin)
	tool.Stdout, tool.Stderr = &stdout, &stderr
	err = tool.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, fmt.Errorf("%s: %w", c.Tool, err)
	}
	return &wire.End{Code: tool.ProcessState.ExitCode(), Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}, nil
}

// accept serves the tool's sockets. Each of them is one connection.
func (r *remote) accept(listener *net.UnixListener) {
	for id := 0; ; id++ {
		conn, err := listener.AcceptUnix()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_ = r.socket(conn, id)
		}()
	}
}

// exchange sends the machine one message and returns the answer.
func (r *remote) exchange(m wire.Message) (*wire.Answer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next != nil {
		return nil, errors.New("the call was broken off")
	}
	m.Session = r.session
	if err := r.out.Encode(m); err != nil {
		return nil, err
	}
	for {
		var reply wire.Message
		if err := r.in.Decode(&reply); err != nil {
			return nil, err
		}
		if reply.Call != nil {
			r.next = &reply
			return nil, errors.New("the call was broken off")
		}
		if reply.Answer != nil && reply.Session == r.session {
			return reply.Answer, nil
		}
	}
}

// socket serves one socket of the tool; tunnel/tunnel.c has the format. Numbers are
// big-endian like the tool's.
func (r *remote) socket(conn *net.UnixConn, id int) error {
	buf := make([]byte, 1<<20)
	number := func(n uint32) error {
		_, err := conn.Write(binary.BigEndian.AppendUint32(nil, n))
		return err
	}
	n, err := conn.Read(buf)
	if err != nil || n != 4 {
		return err
	}
	a, err := r.exchange(wire.Message{Open: &wire.Open{ID: id, Protocol: int(binary.BigEndian.Uint32(buf))}})
	if err != nil || a.Errno != 0 {
		return err
	}
	if err := number(a.PortID); err != nil {
		return err
	}
	for {
		n, err := conn.Read(buf)
		if err != nil || n == 0 {
			return err
		}
		a, err := r.exchange(wire.Message{Send: &wire.Send{ID: id, Data: buf[:n]}})
		if err != nil {
			return err
		}
		if a.Errno != 0 {
			if err := number(1<<31 | uint32(a.Errno)); err != nil {
				return err
			}
			continue
		}
		if err := number(uint32(len(a.Datagrams))); err != nil {
			return err
		}
		for _, d := range a.Datagrams {
			if _, err := conn.Write(d); err != nil {
				return err
			}
		}
	}
}
