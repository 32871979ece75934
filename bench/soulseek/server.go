// SPDX-License-Identifier: GPL-2.0-or-later

package soulseek

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
)

// The server's message codes.
const (
	msgLogin         = 1
	msgWaitPort      = 2
	msgPeerAddress   = 3
	msgWatchUser     = 5
	msgUserStatus    = 7
	msgConnectToPeer = 18
	msgSearch        = 26
	msgParents       = 102
	msgCantConnect   = 1001
)

// maxMessage is the largest message that the server reads, in bytes.
const maxMessage = 1 << 20

// server is a small Soulseek server. It accepts any login, tells users each other's
// addresses, forwards connection requests, and sends each search to all other users. It
// has no rooms.
type server struct {
	// here is the address of clients that connect from the server's own machine.
	here netip.Addr
	// parents are offered to each user as sources of searches. A client connects to all
	// of them.
	parents []netip.AddrPort

	mu    sync.Mutex
	users map[string]*user
}

// user is a user who has logged in.
type user struct {
	name string
	addr netip.AddrPort // its listening address; the port is 0 until the client sends it

	mu   sync.Mutex
	conn net.Conn
}

// listening returns the user's listening address, or the zero value.
func (s *server) listening(name string) netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users[name]; u != nil {
		return u.addr
	}
	return netip.AddrPort{}
}

func (s *server) session(c net.Conn) error {
	from, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return err
	}
	addr := from.Addr().Unmap()
	if c.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap() == addr {
		addr = s.here
	}
	u := &user{addr: netip.AddrPortFrom(addr, 0), conn: c}
	defer s.leave(u)
	for {
		code, m, err := readMessage(c)
		if err != nil {
			return err
		}
		if u.name == "" && code != msgLogin {
			return errors.New("no login")
		}
		s.message(u, code, m)
		if m.bad {
			return errors.New("a message is too short")
		}
	}
}

func (s *server) leave(u *user) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users[u.name] == u {
		delete(s.users, u.name)
	}
}

// message handles a user's message. It ignores messages that a transfer does not need.
func (s *server) message(u *user, code uint32, m *reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch code {
	case msgLogin:
		name, password := m.text(), m.text()
		if m.bad {
			return
		}
		u.name = name
		s.users[name] = u
		sum := md5.Sum([]byte(password))
		var w writer
		w.flag(true).text("hello").addr(u.addr.Addr()).text(hex.EncodeToString(sum[:])).flag(false)
		u.send(msgLogin, w)
		if len(s.parents) > 0 {
			var w writer
			w.number(uint32(len(s.parents)))
			for _, p := range s.parents {
				w.text("parent" + p.Addr().String()).addr(p.Addr()).number(uint32(p.Port()))
			}
			u.send(msgParents, w)
		}
	case msgWaitPort:
		u.addr = netip.AddrPortFrom(u.addr.Addr(), uint16(m.number()))
	case msgPeerAddress:
		var w writer
		name := m.text()
		at := s.at(name)
		w.text(name).addr(at.Addr()).number(uint32(at.Port())).number(0).short(0)
		u.send(code, w)
	case msgWatchUser:
		var w writer
		name := m.text()
		w.text(name).flag(true).number(s.status(name)).number(0).number(0).number(0).number(0).number(0).text("")
		u.send(code, w)
	case msgUserStatus:
		var w writer
		name := m.text()
		w.text(name).number(s.status(name)).flag(false)
		u.send(code, w)
	case msgConnectToPeer:
		token, name, kind := m.number(), m.text(), m.text()
		if to := s.users[name]; to != nil && !m.bad {
			var w writer
			w.text(u.name).text(kind).addr(u.addr.Addr()).number(uint32(u.addr.Port())).number(token).flag(false).number(0).number(0)
			to.send(code, w)
		}
	case msgSearch:
		token, query := m.number(), m.text()
		for _, to := range s.users {
			if to != u && !m.bad {
				var w writer
				w.text(u.name).number(token).text(query)
				to.send(code, w)
			}
		}
	case msgCantConnect:
		token, name := m.number(), m.text()
		if to := s.users[name]; to != nil && !m.bad {
			var w writer
			w.number(token)
			to.send(code, w)
		}
	}
}

func (s *server) at(name string) netip.AddrPort {
	if u := s.users[name]; u != nil {
		return u.addr
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
}

// status is a user's status: 0 for offline, 2 for online.
func (s *server) status(name string) uint32 {
	if s.users[name] == nil {
		return 0
	}
	return 2
}

func (u *user) send(code uint32, w writer) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.conn.Write(frame(code, w))
}

// frame is a complete message.
func frame(code uint32, w writer) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(w)+4))
	return append(binary.LittleEndian.AppendUint32(b, code), w...)
}

// readMessage reads the next message.
func readMessage(r io.Reader) (code uint32, m *reader, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n < 4 || n > maxMessage {
		return 0, nil, errors.New("no message")
	}
	b := make([]byte, n-4)
	_, err = io.ReadFull(r, b)
	return binary.LittleEndian.Uint32(head[4:]), &reader{b: b}, err
}

// reader decodes a message. bad means that the message was too short.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.bad = true
		return make([]byte, 4)
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) number() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }

func (r *reader) text() string {
	n := r.number()
	if n > maxMessage || r.bad {
		r.bad = true
		return ""
	}
	return string(r.take(int(n)))
}

// writer encodes a message.
type writer []byte

func (w *writer) number(v uint32) *writer {
	*w = binary.LittleEndian.AppendUint32(*w, v)
	return w
}

func (w *writer) short(v uint16) *writer {
	*w = binary.LittleEndian.AppendUint16(*w, v)
	return w
}

func (w *writer) flag(v bool) *writer {
	b := byte(0)
	if v {
		b = 1
	}
	*w = append(*w, b)
	return w
}

func (w *writer) text(s string) *writer {
	w.number(uint32(len(s)))
	*w = append(*w, s...)
	return w
}

// addr writes an IPv4 address, last byte first.
func (w *writer) addr(a netip.Addr) *writer {
	b := a.As4()
	return w.number(binary.BigEndian.Uint32(b[:]))
}
