// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"

	"github.com/gotd/td/bin"
	"github.com/gotd/td/internal/mtproxy"
	"github.com/gotd/td/internal/mtproxy/obfuscator"
	"github.com/gotd/td/transport"
)

// greeting is the length of a client's first message, which asks for a key.
const greeting = 40

// telegram is a connection with Telegram's obfuscated transport.
type telegram struct {
	transport.Conn
}

func serveTelegram(address string, took func(link)) (string, error) {
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	// The library's listener reads the head of a connection before it takes the next, so
	// each connection gets a listener of its own.
	go accept(tcp, func(c net.Conn) {
		conn, err := transport.Listen(transport.ObfuscatedListener(&single{whole{c}})).Accept()
		if err != nil {
			c.Close()
			return
		}
		t := &telegram{conn}
		var hello bin.Buffer
		if err := conn.Recv(context.Background(), &hello); err != nil || hello.Len() != greeting {
			c.Close()
			return
		}
		took(t)
	})
	return address, nil
}

// whole is a connection that reads as much as it is asked for: gotd's decryption takes
// each read for a full one.
type whole struct{ net.Conn }

func (w whole) Read(b []byte) (int, error) { return io.ReadFull(w.Conn, b) }

// single is a listener with one connection.
type single struct{ net.Conn }

func (s *single) Accept() (net.Conn, error) { return s.Conn, nil }
func (s *single) Addr() net.Addr            { return s.LocalAddr() }

func dialTelegram(ctx context.Context, name string) (link, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", name)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (link, error) {
		c.Close()
		return nil, err
	}
	// Telegram's own programs send the head and the first message at once.
	first := &together{Conn: whole{c}}
	o := obfuscator.Obfuscated2(rand.Reader, first)
	if err := o.Handshake([4]byte{0xef, 0xef, 0xef, 0xef}, 2, mtproxy.Secret{}); err != nil {
		return fail(err)
	}
	conn, err := transport.NewProtocol(transport.Abridged.CodecNoHeader).Handshake(o)
	if err != nil {
		return fail(err)
	}
	if err := conn.Send(ctx, &bin.Buffer{Buf: make([]byte, greeting)}); err != nil {
		return fail(err)
	}
	return &telegram{conn}, nil
}

// together is a connection whose first data waits until there are head and message.
type together struct {
	net.Conn
	waits []byte
	begun bool
}

func (t *together) Write(b []byte) (int, error) {
	if t.begun {
		return t.Conn.Write(b)
	}
	if t.waits = append(t.waits, b...); len(t.waits) < 64+1+greeting {
		return len(b), nil
	}
	t.begun = true
	_, err := t.Conn.Write(t.waits)
	return len(b), err
}

// A message has a length that four divides. So the data's own length stands before it.

func (t *telegram) send(data []byte) error {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(data)))
	b = append(b, data...)
	b = append(b, make([]byte, -len(b)&3)...)
	return t.Send(context.Background(), &bin.Buffer{Buf: b})
}

func (t *telegram) receive() ([]byte, error) {
	var m bin.Buffer
	if err := t.Recv(context.Background(), &m); err != nil {
		return nil, err
	}
	if m.Len() < 4 || int(binary.LittleEndian.Uint32(m.Buf)) > m.Len()-4 {
		return nil, errors.New("telegram: a message without its length")
	}
	return m.Buf[4 : 4+binary.LittleEndian.Uint32(m.Buf)], nil
}

func (t *telegram) close() { t.Close() }
