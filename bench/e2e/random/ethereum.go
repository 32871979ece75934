// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/p2p/enode"
)

// peer is a connection of two nodes with RLPx.
type peer struct {
	p2p.MsgReadWriter
	ended chan struct{}
	end   func() // at most once
}

// newNode prepares a node. It calls took with each connection to another one.
func newNode(took func(link)) (*p2p.Server, error) {
	key, err := crypto.GenerateKey()
	if err != nil {
		return nil, err
	}
	return &p2p.Server{Config: p2p.Config{
		PrivateKey: key, Name: "random", MaxPeers: 100, NoDiscovery: true,
		Protocols: []p2p.Protocol{{
			Name: "data", Version: 1, Length: 1,
			Run: func(_ *p2p.Peer, rw p2p.MsgReadWriter) error {
				p := &peer{MsgReadWriter: rw, ended: make(chan struct{})}
				p.end = sync.OnceFunc(func() { close(p.ended) })
				go took(p)
				<-p.ended
				return errors.New("done")
			},
		}},
	}}, nil
}

// finds switches on both versions of discovery, by UDP at the port for connections.
func finds(n *p2p.Server, at string) {
	n.ListenAddr, n.NoDiscovery = at, false
	n.Config.DiscoveryV4, n.Config.DiscoveryV5 = true, true
}

func serveRLPx(address string, took func(link)) (string, error) {
	n, err := newNode(took)
	if err != nil {
		return "", err
	}
	finds(n, address)
	n.NoDial = true
	if err := n.Start(); err != nil {
		return "", err
	}
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return "", err
	}
	return enode.NewV4(&n.PrivateKey.PublicKey, at.IP, at.Port, at.Port).URLv4(), nil
}

// dialRLPx starts a new node for each connection: a node waits before it goes to the same
// one again.
func dialRLPx(ctx context.Context, name string) (link, error) {
	to, err := enode.ParseV4(name)
	if err != nil {
		return nil, err
	}
	up := make(chan link, 1)
	n, err := newNode(func(l link) { up <- l })
	if err != nil {
		return nil, err
	}
	n.StaticNodes = []*enode.Node{to}
	if err := n.Start(); err != nil {
		return nil, err
	}
	select {
	case l := <-up:
		p := l.(*peer)
		go func() {
			<-p.ended
			n.Stop()
		}()
		return p, nil
	case <-ctx.Done():
		n.Stop()
		return nil, ctx.Err()
	}
}

// discover runs a node that looks for others, and keeps connections to some.
func discover(names []string) error {
	n, err := newNode(func(l link) {
		for {
			if _, err := l.receive(); err != nil {
				l.close()
				return
			}
		}
	})
	if err != nil {
		return err
	}
	for _, name := range names {
		boot, err := enode.ParseV4(name)
		if err != nil {
			return err
		}
		n.BootstrapNodes = append(n.BootstrapNodes, boot)
	}
	n.BootstrapNodesV5 = n.BootstrapNodes
	finds(n, ":30303")
	return n.Start()
}

func (p *peer) send(data []byte) error {
	return p.WriteMsg(p2p.Msg{Size: uint32(len(data)), Payload: bytes.NewReader(data)})
}

func (p *peer) receive() ([]byte, error) {
	m, err := p.ReadMsg()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(m.Payload)
}

func (p *peer) close() { p.end() }
