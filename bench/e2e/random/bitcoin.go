// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"context"
	"math/rand/v2"
	"net"

	"github.com/btcsuite/btcd/v2transport"
)

// mainnet is the number of Bitcoin's network.
const mainnet = v2transport.BitcoinNet(0xd9b4bef9)

// bitcoin is a connection with Bitcoin's encrypted transport, BIP 324.
type bitcoin struct {
	net.Conn
	peer *v2transport.Peer
}

func newBitcoin(c net.Conn) *bitcoin {
	b := &bitcoin{c, v2transport.NewPeer()}
	b.peer.UseReadWriter(c)
	return b
}

// garbage is how many random bytes follow the key. The longest length that BIP 324 allows is
// left out: the library does not find the end of it.
func garbage() int { return rand.IntN(v2transport.MaxGarbageLen) }

func serveBitcoin(address string, took func(link)) (string, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	go accept(l, func(c net.Conn) {
		b := newBitcoin(c)
		err := b.peer.RespondV2Handshake(garbage(), mainnet)
		if err == nil {
			err = b.peer.CompleteHandshake(false, nil, mainnet)
		}
		if err != nil {
			c.Close()
			return
		}
		took(b)
	})
	return address, nil
}

func dialBitcoin(ctx context.Context, name string) (link, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", name)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { c.Close() })()
	b := newBitcoin(c)
	if err = b.peer.InitiateV2Handshake(garbage()); err == nil {
		err = b.peer.CompleteHandshake(true, nil, mainnet)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return b, nil
}

func (b *bitcoin) send(data []byte) error {
	_, _, err := b.peer.V2EncPacket(data, nil, false)
	return err
}

func (b *bitcoin) receive() ([]byte, error) { return b.peer.V2ReceivePacket(nil) }

func (b *bitcoin) close() { b.Close() }
