// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
)

// other is a program with QUIC that is none of libp2p.
func other(at string, peers []string) error {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		return err
	}
	cfg := &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}},
		NextProtos:   []string{"pieces"}, InsecureSkipVerify: true,
	}
	addr, err := net.ResolveUDPAddr("udp", at)
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp", addr)
	if err != nil {
		return err
	}
	echo, err := net.Listen("tcp", at)
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	transport := &quic.Transport{Conn: conn}
	listener, err := transport.Listen(cfg, nil)
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := listener.Accept(context.Background())
			if err != nil {
				return
			}
			go func() {
				for {
					s, err := c.OpenUniStream()
					if err != nil {
						return
					}
					s.Write(make([]byte, piece))
					s.Close()
					time.Sleep(time.Second)
				}
			}()
		}
	}()
	fmt.Printf("%s/p2p/-\n", at)
	var got atomic.Int64
	for _, p := range peers {
		to, err := net.ResolveUDPAddr("udp", p)
		if err != nil {
			return err
		}
		go func() {
			for ; ; time.Sleep(time.Second) {
				receive(transport, to, cfg, &got)
			}
		}()
	}
	return report(&got)
}

// receive counts what comes in a session, until it ends.
func receive(t *quic.Transport, from net.Addr, cfg *tls.Config, got *atomic.Int64) {
	c, err := t.Dial(context.Background(), from, cfg, nil)
	if err != nil {
		return
	}
	defer c.CloseWithError(0, "")
	for {
		s, err := c.AcceptUniStream(context.Background())
		if err != nil {
			return
		}
		n, _ := io.Copy(io.Discard, s)
		got.Add(n)
	}
}
