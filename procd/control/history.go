// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"fmt"
	"strings"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/procd/history"
	"github.com/p2pwall/p2pwall/state"
)

func (s *Service) takeHistory() { s.History.Take(s.now(), s.each) }

// minutes writes the counts of each minute of the last hour.
func (s *Service) minutes(w *jsonWriter) {
	var sum [state.HistoryMinutes]state.Bucket
	s.each(func(e *state.Engine, now state.Time) {
		for i, b := range e.History(now) {
			sum[i].DroppedTCP += b.DroppedTCP
			sum[i].DroppedUDP += b.DroppedUDP
			sum[i].Probes += b.Probes
		}
	})
	w.num("interval", 60)
	column := func(name string, value func(b *state.Bucket) uint32) {
		w.key(name)
		w.open('[')
		for i := range sum {
			w.itemNum(uint64(value(&sum[i])))
		}
		w.close(']')
	}
	column("dropped_tcp", func(b *state.Bucket) uint32 { return b.DroppedTCP })
	column("dropped_udp", func(b *state.Bucket) uint32 { return b.DroppedUDP })
	column("probes", func(b *state.Bucket) uint32 { return b.Probes })
}

// history writes counts of the last hour by minutes and of the last week by hours, and
// the records of the last days. Records are those of all hosts, or of the host in the
// request.
func (s *Service) history(w *jsonWriter, req *Request) error {
	days, err := s.records(req)
	if err != nil {
		return err
	}
	s.minutes(w)
	hours, last := s.History.Series(s.now())
	w.key("hours")
	w.open('{')
	w.num("interval", 3600)
	w.num("last", last)
	column := func(name string, value func(h *history.Hour) uint64) {
		w.key(name)
		w.open('[')
		for i := range hours {
			w.itemNum(value(&hours[i]))
		}
		w.close(']')
	}
	column("dropped_tcp", func(h *history.Hour) uint64 { return uint64(h.DroppedTCP) })
	column("dropped_udp", func(h *history.Hour) uint64 { return uint64(h.DroppedUDP) })
	column("probes", func(h *history.Hour) uint64 { return uint64(h.Probes) })
	column("connections", func(h *history.Hour) uint64 { return uint64(h.Connections) })
	column("bytes", func(h *history.Hour) uint64 { return h.Bytes })
	column("locked", func(h *history.Hour) uint64 { return uint64(h.Locked) })
	w.close('}')
	w.key("days")
	w.open('[')
	for i := range days {
		s.record(w, &days[i])
	}
	w.close(']')
	return nil
}

func (s *Service) records(req *Request) ([]history.Record, error) {
	var only nfq.Addr
	if req.Host != "" {
		a, err := address(req)
		if err != nil {
			return nil, err
		}
		only = nfq.AddrFrom(a)
	}
	s.takeHistory()
	all := s.History.Records(s.now())
	if only.IsZero() {
		return all, nil
	}
	// The MAC is not compared: an address may have belonged to several hosts on different
	// days.
	var out []history.Record
	for i := range all {
		if all[i].Addr == only {
			out = append(out, all[i])
		}
	}
	return out, nil
}

func (s *Service) record(w *jsonWriter, r *history.Record) {
	p := detect.All[r.Protocol]
	w.open('{')
	w.str("day", dayText(r.Day))
	w.str("address", r.Addr.String())
	w.str("mac", r.MAC.String())
	w.name(s.Name(r.Addr, r.MAC))
	w.str("protocol", p.Name)
	w.str("title", p.Title)
	if r.Program.Known() {
		w.str("program", r.Program.String())
	}
	w.str("proof", r.Proof.String())
	w.str("reason", r.Reason.String())
	w.num("first_seen", r.First)
	w.num("last_seen", r.Last)
	w.num("locked", int64(r.Locked/time.Second))
	w.num("connections", int64(r.Connections))
	w.uint("bytes", r.Bytes)
	w.close('}')
}

// dayText returns the date of a day as 2006-01-02. Time.Format would do the same for 20
// KB of flash.
func dayText(day int32) string {
	y, m, d := time.Unix(int64(day)*24*3600, 0).UTC().Date()
	return fmt.Sprintf("%04d-%02d-%02d", y, m, d)
}

func (s *Service) historyText(b *strings.Builder, req *Request) error {
	days, err := s.records(req)
	if err != nil {
		return err
	}
	if len(days) == 0 {
		fmt.Fprintf(b, "nothing found in the last %d days\n", history.Days)
		return nil
	}
	fmt.Fprintf(b, "%-10s %-5s %-5s %-24s %-17s %-14s %-9s %11s %10s %-20s %s\n",
		"DAY", "FIRST", "LAST", "ADDRESS", "MAC", "PROTOCOL", "LOCKED", "CONNECTIONS", "BYTES", "PROGRAM", "PROOF")
	place := s.now().Location()
	for i := range days {
		r := &days[i]
		program := "-"
		if r.Program.Known() {
			program = r.Program.String()
		}
		c := state.ClientInfo{Protocol: detect.All[r.Protocol], Proof: r.Proof, Reason: r.Reason}
		fmt.Fprintf(b, "%-10s %-5s %-5s %-24s %-17s %-14s %-9s %11d %10s %-20s %s\n",
			dayText(r.Day), clockText(r.First, place), clockText(r.Last, place), r.Addr, r.MAC, c.Protocol.Title,
			r.Locked.Round(time.Second), r.Connections, bytesText(r.Bytes), program, proofText(&c))
	}
	return nil
}

// clockText returns a Unix time as 15:04 in a time zone.
func clockText(unix int64, place *time.Location) string {
	h, m, _ := time.Unix(unix, 0).In(place).Clock()
	return fmt.Sprintf("%02d:%02d", h, m)
}

func bytesText(n uint64) string {
	units := [...]string{"B", "KB", "MB", "GB", "TB"}
	i := 0
	for ; n >= 10000 && i < len(units)-1; i++ {
		n = (n + 500) / 1000
	}
	return fmt.Sprintf("%d %s", n, units[i])
}
