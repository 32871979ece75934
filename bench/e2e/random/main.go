// SPDX-License-Identifier: GPL-2.0-or-later

// Command random carries connections in protocols whose beginning looks random:
//
//	random server PROTOCOL TARGET ADDRESS...   each connection goes on to TARGET
//	random client PROTOCOL PORT NAME...        from 127.0.0.1, PORT and up, to the servers
//
// The protocols are rlpx (Ethereum), bip324 (Bitcoin) and telegram. A server prints the
// name of each address, one a line. A client prints "ready". Each connection that comes to
// a client is one connection to the server, and ends when that one ends.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
	"time"
)

// link is a connection in one of the protocols.
type link interface {
	send([]byte) error
	receive() ([]byte, error)
	close()
}

// protocol is how links are made.
type protocol struct {
	// serve calls took with each link that comes to an address. It returns the name by
	// which a client knows the server.
	serve func(address string, took func(link)) (name string, err error)
	// dial opens a link to a server. It gives up when the context ends.
	dial func(ctx context.Context, name string) (link, error)
	// besides does what such a program does besides its links. It may be nil.
	besides func(names []string) error
}

var protocols = map[string]protocol{
	"rlpx":     {serveRLPx, dialRLPx, discover},
	"bip324":   {serve: serveBitcoin, dial: dialBitcoin},
	"telegram": {serve: serveTelegram, dial: dialTelegram},
}

func main() {
	if len(os.Args) < 5 {
		fmt.Fprintln(os.Stderr, "usage: random server PROTOCOL TARGET ADDRESS... | random client PROTOCOL PORT NAME...")
		os.Exit(2)
	}
	run := client
	if os.Args[1] == "server" {
		run = server
	}
	p, ok := protocols[os.Args[2]]
	if !ok {
		log.Fatalf("no protocol %q", os.Args[2])
	}
	if err := run(p, os.Args[3], os.Args[4:]); err != nil {
		log.Fatal(err)
	}
	select {}
}

func server(p protocol, target string, addresses []string) error {
	for _, a := range addresses {
		name, err := p.serve(a, func(l link) {
			c, err := net.Dial("tcp", target)
			if err != nil {
				log.Print(err)
				l.close()
				return
			}
			join(c, l)
		})
		if err != nil {
			return err
		}
		fmt.Println(name)
	}
	return nil
}

// dialTime is how long one attempt may take.
const dialTime = 20 * time.Second

func client(p protocol, port string, names []string) error {
	first, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	if p.besides != nil {
		if err := p.besides(names); err != nil {
			return err
		}
	}
	for i, name := range names {
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", first+i))
		if err != nil {
			return err
		}
		go accept(l, func(c net.Conn) {
			ctx, cancel := context.WithTimeout(context.Background(), dialTime)
			defer cancel()
			to, err := p.dial(ctx, name)
			if err != nil {
				log.Print(err)
				c.Close()
				return
			}
			join(c, to)
		})
	}
	fmt.Println("ready")
	return nil
}

func accept(l net.Listener, took func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go took(c)
	}
}

// join carries data both ways until one side ends.
func join(c net.Conn, l link) {
	end := func() { c.Close(); l.close() }
	defer end()
	go func() {
		defer end()
		for {
			b, err := l.receive()
			if err != nil {
				return
			}
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	}()
	for b := make([]byte, 16<<10); ; {
		n, err := c.Read(b)
		if n > 0 && l.send(b[:n]) != nil || err != nil {
			return
		}
	}
}
