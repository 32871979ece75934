// SPDX-License-Identifier: GPL-2.0-or-later

// Command pion is one side of a session with pion/webrtc: pion SERVER NAME. The side with
// the name "a" makes the offer.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"
)

// message is a description of a session.
type message struct {
	SDP  string `json:"sdp"`
	Type string `json:"type"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pion SERVER NAME")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(server, name string) error {
	c, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return err
	}
	var got atomic.Int64
	use := func(d *webrtc.DataChannel) {
		d.OnMessage(func(m webrtc.DataChannelMessage) { got.Add(int64(len(m.Data))) })
		d.OnOpen(func() {
			for range time.Tick(20 * time.Millisecond) {
				if d.BufferedAmount() < 65536 && d.Send(make([]byte, 8192)) != nil {
					return
				}
			}
		})
	}
	c.OnDataChannel(use)
	go func() {
		for range time.Tick(100 * time.Millisecond) {
			post(server+"/got/"+name, fmt.Appendf(nil, "%d", got.Load()))
		}
	}()
	if name == "a" {
		d, err := c.CreateDataChannel("pieces", nil)
		if err != nil {
			return err
		}
		use(d)
		offer, err := c.CreateOffer(nil)
		if err == nil {
			err = tell(server, name, c, offer)
		}
		if err != nil {
			return err
		}
	}
	for {
		m, err := next(server + "/get/" + name)
		if err != nil {
			return err
		}
		if m == nil {
			continue
		}
		d := webrtc.SessionDescription{SDP: m.SDP, Type: webrtc.NewSDPType(m.Type)}
		if err := c.SetRemoteDescription(d); err != nil {
			return err
		}
		if name == "a" {
			select {}
		}
		answer, err := c.CreateAnswer(nil)
		if err == nil {
			err = tell(server, name, c, answer)
		}
		if err != nil {
			return err
		}
	}
}

// tell sets a description and posts it, with all ICE candidates of this side.
func tell(server, name string, c *webrtc.PeerConnection, d webrtc.SessionDescription) error {
	all := webrtc.GatheringCompletePromise(c)
	if err := c.SetLocalDescription(d); err != nil {
		return err
	}
	<-all
	l := c.LocalDescription()
	b, err := json.Marshal(message{l.SDP, strings.ToLower(l.Type.String())})
	if err != nil {
		return err
	}
	return post(server+"/put/"+name, b)
}

func post(url string, b []byte) error {
	r, err := http.Post(url, "text/plain", bytes.NewReader(b))
	if err != nil {
		return err
	}
	return r.Body.Close()
}

// next returns the other side's next message, nil if none comes for a while.
func next(url string) (*message, error) {
	r, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, nil
	}
	m := new(message)
	return m, json.NewDecoder(r.Body).Decode(m)
}
