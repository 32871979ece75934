// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// kazaa shows an official client and its three modes.
func (s *story) kazaa(h *lab.Host) error {
	k := lab.NewKazaa(h, lab.KazaaConfig{
		Peers: s.lab.Peers, Speed: 4, Mode: 1,
		Patience: 2 * time.Second, Gap: time.Hour,
	})
	s.head("Kazaa, mode 1: it pings the 200 supernodes it knows, and connects to those that answer")
	stop := s.start(k.Run)
	s.say("client", "Kazaa starts on %s and pings", h.Addr4)
	if err := s.until("the wall to find the client", func() bool { _, ok := s.seen(h, "found", 0); return ok }); err != nil {
		return err
	}
	found, _ := s.seen(h, "found", 0)
	s.say("wall", "recognised: %s", describe(found))
	s.say("wall", "drops the pings and answers in the supernodes' names, so that the client names them all")
	for _, share := range []int{50, 150, 240} {
		if err := s.until("pings", func() bool { return k.Seen().Pings >= share*len(s.lab.Peers)/100 }); err != nil {
			return err
		}
		o := k.Seen()
		s.say("client", "%d pings sent, answers of %d supernodes; TCP tried %d times, connected %d times", o.Pings, len(o.PongsFrom), o.Attempts, total(o))
		s.report(h)
	}

	s.head("Kazaa, mode 2: many connections at the same time")
	before := k.Seen().Attempts
	k.SetMode(2)
	if err := s.until("connections", func() bool { return k.Seen().Attempts >= before+60 }); err != nil {
		return err
	}
	o := k.Seen()
	s.say("client", "tried %d connections, 20 at a time; connected: %d", o.Attempts-before, total(o))
	s.say("wall", "drops every SYN; what it sees of them keeps the lock going")
	s.report(h)

	s.head("Kazaa, mode 3: it lies in wait, one connection an hour")
	k.SetMode(3)
	time.Sleep(timelock)
	s.say("client", "sends nothing of its own accord now")
	began, answers := time.Now(), k.Seen().Answers
	for i := range 4 {
		time.Sleep(time.Until(began.Add(time.Duration(i+1) * timelock)))
		s.say("wall", "sent the client its own ping; it answered %d times: it still runs, the lock goes on", k.Seen().Answers-answers)
		if s.tries(h) {
			s.say("client", "a connection of that host got out: that must not be")
		}
	}
	s.report(h)

	s.head("Kazaa is closed")
	since := s.last()
	stop()
	s.say("client", "closed; nobody answers the probes any more")
	if err := s.until("the release", func() bool { _, ok := s.seen(h, "released", since); return ok }); err != nil {
		return err
	}
	s.say("wall", "the lock ran out: %s is released", h.Addr4)
	if err := s.until("the web", func() bool { return s.tries(h) }); err != nil {
		return err
	}
	s.say("client", "the host opens a web page: it has its TCP back")
	return nil
}

// gift shows a free client. Its first packets are TCP connections, before anything
// that the wall can recognise.
func (s *story) gift(h *lab.Host) error {
	s.head("giFT: five connections first, then pings to others; no answer to any probe by UDP")
	// Its rounds are shortened by the same factor as the lock time.
	g := lab.NewGiFT(h, lab.OpenConfig{Peers: s.lab.Peers, Speed: 120 / timelock.Seconds()})
	stop := s.start(g.Run)
	s.say("client", "giFT starts on %s", h.Addr4)
	if err := s.until("the wall to find the client", func() bool { _, ok := s.seen(h, "found", 0); return ok }); err != nil {
		return err
	}
	found, _ := s.seen(h, "found", 0)
	s.say("wall", "recognised: %s; connections it opened just before are cut as well", describe(found))
	for range 3 {
		time.Sleep(2 * time.Second)
		o := g.Seen()
		s.say("client", "%d pings, %d connections tried, %d sessions, %d searches answered", o.Pings, o.Attempts, o.Sessions, o.Searches)
	}
	s.report(h)
	since := s.last()
	stop()
	s.say("client", "closed")
	if err := s.until("the release", func() bool { _, ok := s.seen(h, "released", since); return ok }); err != nil {
		return err
	}
	s.say("wall", "%s is released", h.Addr4)
	return nil
}

func describe(e lab.Event) string {
	if e.Text != "" {
		return e.Text
	}
	return fmt.Sprintf("client %s, %s, by a packet to %s", e.Client, e.Protocol, e.Peer)
}

func total(o lab.Observations) (n int) {
	for _, c := range o.Connected {
		n += c
	}
	return n
}

// summary prints the result; ok says whether the wall stopped everything that it should.
func (s *story) summary(in *lab.Innocent) (ok bool) {
	s.head("Summary")
	reached := map[string]bool{}
	early := 0
	for _, h := range s.lab.Clients {
		first, pinged := s.lab.FirstPing(h)
		for _, c := range s.lab.Leaks(h, 0) {
			// Nothing in a SYN before the first ping shows that it is file
			// sharing. It must only not lead to a connection.
			if pinged && c.IsSYN() && c.Entered < first {
				early++
				continue
			}
			if c.IsSYN() || c.Proto == lab.UDP || c.Len > 0 {
				reached[c.Dst.Addr().String()] = true
			}
		}
	}
	for _, c := range s.lab.Internet.Sessions() {
		if c.BytesIn > 0 {
			reached[c.Server.Addr().String()] = true
		}
	}
	m, failed := in.Counts()
	if early > 0 {
		s.plain("%d SYNs left before their sender could be recognised; none of them carried a byte", early)
	}
	s.plain("the innocent host: %s", in.Kinds())
	for _, e := range in.Errors() {
		s.plain("failed: %s", e)
	}
	if n := s.lab.Packets.Dropped(); n > 0 {
		s.plain("the recorder missed %d packets: the result is not certain", n)
		reached["unknown"] = true
	}
	s.plain("peers reached: %d of %d; innocent host: %d of %d", len(reached), len(s.lab.Peers), m-failed, m)
	return len(reached) == 0 && failed == 0
}
