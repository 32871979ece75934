// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"bytes"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

const (
	hubA     = "203.0.113.66"
	adcHello = "HSUP ADBAS0 ADBASE ADTIGR\n"
	adcInfo  = " IDF53LCLGWTLXA5NZ4WVK7OKWUED4CEZJ77LYMODA NIalice APEiskaltDC++ VE2.4.2 U43412\n"
	nmdcLog  = "$Supports NoGetINFO|$Key 4|$ValidateNick bob|"
	nmdcInfo = "$Version 1,0091|$MyINFO $ALL bob <ncdc V:1.23.1,M:A,H:1/0/0,S:2>$ $0.1$$0$|"
)

// says returns what the host sends after first, once it has the answer.
func (w *world) says(sport uint16, dport uint16, first, next string) *nfq.Packet {
	p := w.data(sport, hubA, dport, 1000+uint32(len(first)), next)
	p.Ack = 5000 + uint32(len(w.answer()))
	return p
}

// word returns the number or the name that the last answer contained after behind.
func (w *world) word(behind string) string {
	w.t.Helper()
	_, rest, ok := bytes.Cut(w.answer(), []byte(behind))
	if !ok {
		w.t.Fatalf("answer %q", w.answer())
	}
	return string(rest[:min(8, len(rest))])
}

// TestLogin: a client of one hub is proved by its reaction to an answer in the hub's name.
func TestLogin(t *testing.T) {
	for _, tt := range []struct {
		name  string
		first string
		next  func(w *world) []string
		// whether it is proved, then the program's name and where it listens
		proved  bool
		program string
		listen  uint16
	}{
		{"ADC", adcHello, func(w *world) []string { return []string{"BINF " + w.word("ISID ")[:4] + adcInfo} }, true, "EiskaltDC++ 2.4.2", 0},
		{"another number", adcHello, func(w *world) []string { return []string{"BINF AAA1" + adcInfo} }, false, "", 0},
		{"our words come back", adcHello, func(w *world) []string { return []string{string(w.answer())} }, false, "", 0},
		{"nothing", adcHello, func(*world) []string { return nil }, false, "", 0},
		{"NMDC", nmdcLog, func(w *world) []string {
			return []string{nmdcInfo, "$ConnectToMe " + w.word("|$Hello ") + " 192.168.1.50:4412|"}
		}, true, "ncdc 1.23.1", 4412},
		{"NMDC, and no more", nmdcLog, func(*world) []string { return []string{nmdcInfo} }, true, "ncdc 1.23.1", 0},
		{"chat", nmdcLog, func(*world) []string { return []string{"<bob> hello|", "<bob> hello|"} }, false, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.wantVerdict("the beginning", w.begins(4000, hubA, 4111, tt.first), nfq.Drop)
			if len(w.out.handshakes) != 1 || w.locked(hostA) {
				t.Fatalf("answered %d times, locked: %v", len(w.out.handshakes), w.locked(hostA))
			}
			w.expect("the beginning once more", w.data(4000, hubA, 4111, 1000, tt.first), nfq.Drop)
			for _, b := range tt.next(w) {
				w.expect("what follows", w.says(4000, 4111, tt.first, b), nfq.Drop)
			}
			w.pass(handshakeTime + 100*time.Millisecond)
			if w.out.resets != 1 {
				t.Errorf("%d resets", w.out.resets)
			}
			if w.locked(hostA) != tt.proved {
				t.Fatalf("locked: %v; clients %+v", w.locked(hostA), w.e.Clients(w.now))
			}
			if !tt.proved {
				return
			}
			if tt.first == nmdcLog && w.out.acks != 1 {
				t.Errorf("%d acknowledgements", w.out.acks)
			}
			c, a := w.e.Clients(w.now)[0], ip(hostA)
			if c.Proof != ProofAnswer || c.Reason != detect.ReasonHandshake || c.Protocol.Name != "directconnect" || c.Program != tt.program {
				t.Errorf("client %+v", c)
			}
			if got := w.e.clients[w.e.hostAt(&a).client].listen; got != tt.listen {
				t.Errorf("it listens at %d, want %d", got, tt.listen)
			}
			w.expect("to the hub again", tcp(macA, hostA, 4001, hubA, 4111, nfq.SYN, nil), nfq.Drop)
			w.expect("something else there", tcp(macA, hostA, 4002, hubA, 443, nfq.SYN, nil), nfq.Accept)
			w.pass(81 * time.Second)
			if w.locked(hostA) {
				t.Error("not released")
			}
		})
	}
}

// TestLoginIsNotAnswered: if nothing is to be blocked, if nothing can be answered, or if
// the other side opened the connection.
func TestLoginIsNotAnswered(t *testing.T) {
	monitor := func(c *Config) {
		for i := range c.Protocols {
			c.Protocols[i].Mode = Monitor
		}
	}
	w := newWorld(t, monitor)
	w.wantVerdict("a hub that is watched", w.begins(4000, hubA, 411, adcHello), nfq.Accept)
	w.expect("who it is", w.data(4000, hubA, 411, 1000+uint32(len(adcHello)), "BINF AAAB"+adcInfo), nfq.Accept)
	if len(w.out.handshakes)+w.out.resets != 0 {
		t.Error("answered in mode monitor")
	}
	if c := w.e.Clients(w.now); len(c) != 0 {
		t.Errorf("proved by one hub: %+v", c)
	}
	w = newWorld(t, nil)
	w.wantVerdict("a client of the other's", w.begins(4000, hubA, 411, "CSUP ADBASE ADTIGR\n"), nfq.Drop)
	w.expect("one that came from outside", w.data(6412, "203.0.113.9", 40000, 1000, adcHello), nfq.Drop)
	if len(w.out.handshakes) != 0 {
		t.Error("answered what is no login")
	}
}
