// SPDX-License-Identifier: GPL-2.0-or-later

// Command node is a node of libp2p: node ADDRESS[,ADDRESS] PEER..., all of them as
// multiaddresses. It prints its first address. Each second it opens a connection to each peer
// that it has none with, and loads a piece from it. It prints how many bytes it has got.
//
// With "other" before these it does the same by QUIC, but not as libp2p does: all addresses
// are then written as HOST:PORT. By TCP it sends back what comes to its port.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	pieces = "/p2pwall-test/pieces/1.0.0"
	piece  = 64 << 10
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: node [other] ADDRESS PEER...")
		os.Exit(2)
	}
	do, args := run, os.Args[1:]
	if args[0] == "other" {
		do, args = other, args[1:]
	}
	if err := do(args[0], args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(addresses string, peers []string) error {
	all := strings.Split(addresses, ",")
	key, _, err := crypto.GenerateEd25519Key(nil)
	if err != nil {
		return err
	}
	h, err := libp2p.New(libp2p.ListenAddrStrings(all...), libp2p.Identity(key), libp2p.DisableRelay())
	if err != nil {
		return err
	}
	defer h.Close()
	h.SetStreamHandler(pieces, func(s network.Stream) {
		s.Write(make([]byte, piece))
		s.Close()
	})
	fmt.Printf("%s/p2p/%s\n", all[0], h.ID())
	var got atomic.Int64
	for _, p := range peers {
		info, err := peer.AddrInfoFromString(p)
		if err != nil {
			return err
		}
		go func() {
			for ; ; time.Sleep(time.Second) {
				got.Add(load(h, info))
			}
		}()
	}
	return report(&got)
}

// report prints again and again how many bytes have come.
func report(got *atomic.Int64) error {
	for ; ; time.Sleep(200 * time.Millisecond) {
		if _, err := fmt.Println("got", got.Load()); err != nil {
			return err
		}
	}
}

// load loads a piece from a peer and returns how many bytes came.
func load(h host.Host, from *peer.AddrInfo) int64 {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if h.Connect(network.WithForceDirectDial(ctx, "test"), *from) != nil {
		return 0
	}
	s, err := h.NewStream(ctx, from.ID, pieces)
	if err != nil {
		return 0
	}
	defer s.Reset()
	s.SetDeadline(time.Now().Add(3 * time.Second))
	n, _ := io.Copy(io.Discard, s)
	return n
}
