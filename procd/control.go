// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// maxConnections is how many may talk to the control socket at once.
const maxConnections = 16

// patience is how long a connection may take to send its request or to take the
// reply.
const patience = 10 * time.Second

// Server is the control socket. Each connection sends requests, one JSON object a
// line, and gets a JSON object a line for each.
type Server struct {
	path     string
	listener *net.UnixListener
	handle   func(Request, *Reply)
	slots    chan struct{}
	done     chan struct{}
	wg       sync.WaitGroup
}

// Reply is how a handler answers.
type Reply struct {
	conn *net.UnixConn
	done <-chan struct{}
	err  error
}

// Send writes one line; the newline is added.
func (r *Reply) Send(line []byte) {
	if r.err != nil {
		return
	}
	if r.err = r.conn.SetWriteDeadline(time.Now().Add(patience)); r.err == nil {
		_, r.err = r.conn.Write(append(line, '\n'))
	}
}

// Failed reports whether the other side is gone.
func (r *Reply) Failed() bool { return r.err != nil }

// Done is closed when the server ends.
func (r *Reply) Done() <-chan struct{} { return r.done }

// Gone returns a channel that is closed when the other side hangs up; for
// replies that go on.
func (r *Reply) Gone() <-chan struct{} {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = r.conn.SetReadDeadline(time.Time{})
		var b [64]byte
		for {
			if _, err := r.conn.Read(b[:]); err != nil {
				return
			}
		}
	}()
	return gone
}

// Error sends {"error": ...}.
func (r *Reply) Error(err error) {
	var w jsonWriter
	w.open('{')
	w.str("error", err.Error())
	w.close('}')
	r.Send(w.b)
}

// ErrRunning says that another instance holds the control socket.
var ErrRunning = errors.New("another p2pwall is running")

// Listen opens the control socket at path, mode 0600, and serves it until Close.
// A socket that a killed instance left is replaced; one that answers is
// ErrRunning.
func Listen(path string, handle func(Request, *Reply)) (*Server, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("control socket: %s exists and is no socket: move it away or set \"option control\"", path)
		}
		if c, err := dial(path); err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("control socket %s answers: %w: stop it first", path, ErrRunning)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("control socket: %w", err)
		}
	}
	// The mode must be right from the first moment on.
	old := unix.Umask(0o177)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l.SetUnlinkOnClose(true)
	s := &Server{
		path: path, listener: l, handle: handle,
		slots: make(chan struct{}, maxConnections), done: make(chan struct{}),
	}
	s.wg.Add(1)
	go s.accept()
	return s, nil
}

func (s *Server) accept() {
	defer s.wg.Done()
	for {
		c, err := s.listener.AcceptUnix()
		if err != nil {
			select {
			case <-s.done:
				return
			case <-time.After(100 * time.Millisecond): // out of descriptors
				continue
			}
		}
		select {
		case s.slots <- struct{}{}:
			s.wg.Add(1)
			go s.serve(c)
		default:
			r := Reply{conn: c}
			r.Error(errors.New("too many connections to the control socket"))
			_ = c.Close()
		}
	}
}

func (s *Server) serve(c *net.UnixConn) {
	defer func() {
		_ = c.Close()
		<-s.slots
		s.wg.Done()
	}()
	ended := make(chan struct{})
	defer close(ended)
	go func() { // the end of the server ends a connection that waits
		select {
		case <-s.done:
			_ = c.SetDeadline(time.Now())
		case <-ended:
		}
	}()
	in := bufio.NewReaderSize(c, maxRequest)
	for {
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return
		}
		line, err := in.ReadSlice('\n')
		if len(line) == 0 || err != nil && err != io.EOF {
			if err == bufio.ErrBufferFull {
				r := Reply{conn: c}
				r.Error(fmt.Errorf("a request may have %d bytes", maxRequest))
			}
			return
		}
		r := Reply{conn: c, done: s.done}
		if req, err := ParseRequest(line); err != nil {
			r.Error(err)
		} else {
			s.handle(req, &r)
		}
		if r.Failed() || err != nil {
			return
		}
		select {
		case <-s.done:
			return
		default:
		}
	}
}

// Close ends all connections and removes the socket.
func (s *Server) Close() {
	close(s.done)
	_ = s.listener.Close()
	s.wg.Wait()
}

func dial(path string) (*net.UnixConn, error) {
	return net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
}

// Call sends one request to the control socket at path and passes each line of
// the reply to each until that returns false, or until the reply ends.
func Call(path string, request []byte, each func(line []byte) bool) error {
	c, err := dial(path)
	if err != nil {
		switch {
		case errors.Is(err, fs.ErrPermission):
			return fmt.Errorf("the control socket %s may not be opened: run as root", path)
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ECONNREFUSED):
			return fmt.Errorf("p2pwall is not running (no answer at %s): start it, or name its configuration with -c", path)
		}
		return err
	}
	defer c.Close()
	if _, err := c.Write(request); err != nil {
		return err
	}
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 && !each(line[:len(line)-1]) {
			return nil
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
