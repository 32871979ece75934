// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"
)

// supernodeUDP answers pings.
func (in *Internet) supernodeUDP(from netip.AddrPort, b []byte) []byte {
	if !isPing(b) {
		return nil
	}
	in.mu.Lock()
	in.pings[from.Addr()]++
	in.mu.Unlock()
	switch {
	case in.Silent.Load():
		return nil
	case in.Busy.Load():
		return busyBytes(b)
	}
	return pongBytes(b)
}

// supernodeTCP serves a connection to a supernode's port: a session or a request for a
// transfer.
func (in *Internet) supernodeTCP(c net.Conn) {
	s := in.note(c, "")
	r := bufio.NewReader(&counting{c, s})
	first, err := r.Peek(5)
	if err != nil {
		return
	}
	if string(first) == "GET /" {
		s.update(func(s *Session) { s.Kind = "http" })
		in.serveTransfer(c, r, s)
		return
	}
	s.update(func(s *Session) { s.Kind = "session" })
	serveSession(c, r, s)
}

// counting counts what the client sent.
type counting struct {
	net.Conn
	s *session
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		now := time.Now()
		c.s.update(func(s *Session) { s.BytesIn += n; s.LastIn = now })
	}
	return n, err
}

// serveSession is the supernode's side of a simulated session.
func serveSession(w io.Writer, r io.Reader, s *session) {
	junk := make([]byte, listLen)
	for i := range junk {
		junk[i] = byte(i*31 + 7)
	}
	steps := []struct{ in, out int }{{helloLen, replyLen}, {nameLen, listLen}, {joinLen, 0}}
	for _, st := range steps {
		if _, err := io.ReadFull(r, make([]byte, st.in)); err != nil {
			return
		}
		if _, err := w.Write(junk[:st.out]); err != nil {
			return
		}
	}
	s.update(func(s *Session) { s.Up = true })
	in, out := newCipher(s.s.Server, 'c'), newCipher(s.s.Server, 's')
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(r, head); err != nil {
			return
		}
		in.apply(head)
		kind, size := head[0], head[1]
		body := make([]byte, size)
		if _, err := io.ReadFull(r, body); err != nil {
			return
		}
		in.apply(body)
		reply := message(kind, 0)
		if kind == msgSearch {
			s.update(func(s *Session) { s.Searches++ })
			reply = message(msgResult, 104)
		}
		if _, err := w.Write(out.apply(reply)); err != nil {
			return
		}
	}
}

// FileHash and FileSize describe the one file that can be downloaded.
const (
	FileHash = "a65b5f21a110182b2d8df6c36adcef8bbf63ffff"
	FileSize = 40000
)

// serveTransfer answers requests for the file.
func (in *Internet) serveTransfer(w io.Writer, r *bufio.Reader, s *session) {
	path, err := readRequest(r)
	if err != nil {
		return
	}
	own := s.s.Server
	names := fmt.Sprintf("X-Kazaa-Username: labpeer\r\nX-Kazaa-Network: KaZaA\r\nX-Kazaa-IP: %s\r\nX-Kazaa-SupernodeIP: %s\r\n", own, TransferSupernode)
	if path != "/.hash="+FileHash {
		fmt.Fprintf(w, "HTTP/1.1 404 Not Found\r\nServer: KazaaClient Jun  2 2003 20:00:00\r\n%s\r\n", names)
		return
	}
	fmt.Fprintf(w, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-%d/%d\r\nContent-Length: %d\r\nAccept-Ranges: bytes\r\nServer: KazaaClient Jun  2 2003 20:00:00\r\nConnection: close\r\n%sX-KazaaTag: 4=lab test song\r\nContent-Type: audio/mpeg\r\n\r\n", FileSize-1, FileSize, FileSize, names)
	io.WriteString(w, strings.Repeat("R", FileSize))
	s.update(func(s *Session) { s.Up = true })
	io.Copy(io.Discard, r)
}

// readRequest reads the head of an HTTP request and returns its path.
func readRequest(r *bufio.Reader) (path string, err error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	f := strings.Fields(line)
	for err == nil && strings.TrimSpace(line) != "" {
		line, err = r.ReadString('\n')
	}
	if len(f) < 2 {
		return "", fmt.Errorf("no request")
	}
	return f[1], err
}

// Push connects from the transfer peer to a listening client, sends GIVE, and answers the
// client's request. It returns what the peer saw, when the client has the file or ctx
// ends.
func (in *Internet) Push(ctx context.Context, client netip.AddrPort) (Session, error) {
	return in.reverse(ctx, client, func(c net.Conn, r *bufio.Reader, s *session) error {
		if _, err := fmt.Fprintf(c, "GIVE 1\r\n"); err != nil {
			return err
		}
		in.serveTransfer(c, r, s)
		return nil
	})
}

// Browse connects from the transfer peer to a client, sends GET / and returns the head of
// the answer.
func (in *Internet) Browse(ctx context.Context, client netip.AddrPort) (answer string, err error) {
	_, err = in.reverse(ctx, client, func(c net.Conn, r *bufio.Reader, _ *session) error {
		if _, err := fmt.Fprintf(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
			return err
		}
		b, err := io.ReadAll(io.LimitReader(r, 4096))
		answer = string(b)
		return err
	})
	return answer, err
}

func (in *Internet) reverse(ctx context.Context, client netip.AddrPort, f func(net.Conn, *bufio.Reader, *session) error) (Session, error) {
	c, err := in.Dial(ctx, TransferPeer.Addr(), client)
	if err != nil {
		return Session{}, err
	}
	if !in.hold(c) {
		c.Close()
		return Session{}, net.ErrClosed
	}
	defer in.release(c)
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	s := in.note(c, "push")
	// The peer is the server of the transfer, whichever side connected.
	s.update(func(s *Session) { s.Server, s.Client = TransferPeer, client })
	err = f(c, bufio.NewReader(&counting{c, s}), s)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.s, err
}
