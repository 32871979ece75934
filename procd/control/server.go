// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxConnections is how many connections the control socket serves at the same time.
	maxConnections = 16
	// patience is how long the other side may take to send a request or to read the
	// reply.
	patience = 10 * time.Second
	// grace is how long Close waits for a reply to be read.
	grace = time.Second
)

// Server is the control socket. Requests and replies are JSON objects, one per line. A
// connection may send several requests.
type Server struct {
	path     string
	patience time.Duration
	listener *os.File
	handle   func(Request, *Reply)
	slots    chan struct{}
	done     chan struct{}
	wg       sync.WaitGroup
}

// Reply sends a handler's reply.
type Reply struct {
	_        [0]func() // not comparable: the code for == would cost flash
	conn     *os.File
	patience time.Duration
	done     <-chan struct{}
	err      error
}

// Send writes one line, and adds the newline.
func (r *Reply) Send(line []byte) {
	if r.err != nil {
		return
	}
	if r.err = r.conn.SetWriteDeadline(time.Now().Add(r.patience)); r.err == nil {
		_, r.err = r.conn.Write(append(line, '\n'))
	}
}

// Failed reports whether a Send has failed: the other side is gone or does not read.
func (r *Reply) Failed() bool { return r.err != nil }

// Done is closed when the server ends.
func (r *Reply) Done() <-chan struct{} { return r.done }

// Gone returns a channel that is closed when the other side hangs up. It is for replies
// without end.
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

// Listen opens the control socket at path, mode 0600, and serves it until Close. It
// replaces the socket of a killed instance. If another instance answers at path, it
// returns ErrRunning.
func Listen(path string, handle func(Request, *Reply)) (*Server, error) {
	return listen(path, patience, handle)
}

func listen(path string, patience time.Duration, handle func(Request, *Reply)) (*Server, error) {
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = removeStale(path)
	}
	var l *os.File
	if err == nil {
		l, err = listenUnix(path)
	}
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	s := &Server{
		path: path, patience: patience, listener: l, handle: handle,
		slots: make(chan struct{}, maxConnections), done: make(chan struct{}),
	}
	s.wg.Add(1)
	go s.accept()
	return s, nil
}

// removeStale removes a socket that no program serves any more.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return errors.New("exists and is no socket: move it away, or set \"option control\"")
	}
	c, err := dialUnix(path, time.Second)
	if err == nil {
		_ = c.Close()
	}
	// EAGAIN: another instance serves the socket, but is too busy to answer.
	if err == nil || errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("%w and answers: stop it first", ErrRunning)
	}
	return os.Remove(path)
}

func (s *Server) accept() {
	defer s.wg.Done()
	for {
		c, err := acceptUnix(s.listener)
		if err != nil {
			select {
			case <-s.done:
				return
			case <-time.After(100 * time.Millisecond): // no file descriptor is free
				continue
			}
		}
		select {
		case s.slots <- struct{}{}:
			s.wg.Add(1)
			go s.serve(c)
		default:
			s.reply(c).Error(errors.New("too many connections to the control socket: end a monitor"))
			_ = c.Close()
		}
	}
}

func (s *Server) reply(c *os.File) *Reply {
	return &Reply{conn: c, patience: s.patience, done: s.done}
}

func (s *Server) serve(c *os.File) {
	ended := make(chan struct{})
	defer func() {
		close(ended)
		_ = c.Close()
		<-s.slots
		s.wg.Done()
	}()
	go func() { // Close ends a connection that waits for a request
		select {
		case <-s.done:
		case <-ended:
			return
		}
		shutdownRead(c)
		select {
		case <-time.After(grace):
			_ = c.Close()
		case <-ended:
		}
	}()
	in := bufio.NewReaderSize(c, maxRequest)
	for {
		if err := c.SetReadDeadline(time.Now().Add(s.patience)); err != nil {
			return
		}
		line, err := in.ReadSlice('\n')
		r := s.reply(c)
		if err == bufio.ErrBufferFull {
			r.Error(fmt.Errorf("the request is longer than %d bytes", maxRequest))
			return
		}
		if len(line) == 0 || err != nil && err != io.EOF {
			return
		}
		if req, err := ParseRequest(line); err != nil {
			r.Error(err)
		} else {
			s.handle(req, r)
		}
		if r.Failed() || err != nil {
			return
		}
	}
}

// Close ends all connections and removes the socket.
func (s *Server) Close() {
	close(s.done)
	_ = os.Remove(s.path)
	_ = s.listener.Close()
	s.wg.Wait()
}

var errSilent = errors.New("the daemon does not answer: look at its log, or restart it")

// Call sends one request to the control socket at path. It calls each with every line of
// the reply, until each returns false or the reply ends. It waits no longer than
// patience; 0 means no limit.
func Call(path string, request []byte, patience time.Duration, each func(line []byte) bool) error {
	c, err := dialUnix(path, patience)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the control socket %s may not be opened: run as root", path)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ECONNREFUSED):
		return fmt.Errorf("p2pwall is not running (no answer at %s): start it, or name its configuration with -c", path)
	case errors.Is(err, unix.EAGAIN):
		return errSilent
	case err != nil:
		return fmt.Errorf("control socket %s: %w", path, err)
	}
	defer c.Close()
	if patience > 0 {
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
	}
	// A server with too many connections replies without reading the request. So an error
	// of Write matters only if no reply comes.
	_, unanswered := c.Write(request)
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			unanswered = nil
			if !each(bytes.TrimSuffix(line, []byte{'\n'})) {
				return nil
			}
		}
		switch {
		case err == nil:
		case err == io.EOF, errors.Is(err, unix.ECONNRESET):
			return unanswered
		case errors.Is(err, os.ErrDeadlineExceeded):
			return errSilent
		default:
			return err
		}
	}
}
