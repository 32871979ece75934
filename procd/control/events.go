// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"fmt"
	"strconv"

	"github.com/p2pwall/p2pwall/procd/events"
	"github.com/p2pwall/p2pwall/state"
)

func (w *jsonWriter) entry(e *events.Entry) {
	w.open('{')
	w.uint("seq", e.Seq)
	w.tenths("time", float64(e.Wall.UnixMilli())/1000)
	w.str("class", e.Class.String())
	w.str("event", e.What.String())
	if !e.Client.IsZero() {
		w.str("client", e.Client.String())
	}
	if !e.MAC.IsZero() {
		w.str("mac", e.MAC.String())
	}
	if !e.Peer.IsZero() {
		w.str("peer", e.Peer.String())
		w.num("port", int64(e.Port))
	}
	if e.Class <= state.ClassProbe {
		w.str("protocol", e.ProtocolName())
	}
	if r := e.Reason.String(); r != "" {
		w.str("reason", r)
	}
	w.str("text", e.Text())
	w.close('}')
}

func (s *Service) events(w *jsonWriter, req *Request) error {
	w.num("since", s.Journal.Began().Unix())
	w.key("events")
	w.open('[')
	for _, e := range s.Journal.Since(req.Since) {
		w.entry(&e)
	}
	w.close(']')
	return nil
}

// line returns an event as text for the monitor. Time.Format would do the same for 20 KB
// of flash.
func line(e *events.Entry) string {
	h, m, s := e.Wall.Clock()
	return fmt.Sprintf("%02d:%02d:%02d %s", h, m, s, e.Text())
}

// monitor sends events as they come, one per line. It begins after the number "since", or
// with new events if "since" is 0.
func (s *Service) monitor(req Request, r *Reply) {
	seq := req.Since
	if seq == 0 {
		seq = s.Journal.Last()
	}
	more, end := s.Journal.Follow()
	defer end()
	gone := r.Gone()
	for {
		for _, e := range s.Journal.Since(seq) {
			// A slow reader may miss events that the journal no longer keeps. JSON shows
			// the gap in the numbers; text needs a line about it.
			if req.Text && e.Seq > seq+1 && seq > 0 {
				var w jsonWriter
				w.open('{')
				w.str("text", strconv.FormatUint(e.Seq-seq-1, 10)+" events were left out")
				w.close('}')
				r.Send(w.b)
			}
			var w jsonWriter
			if req.Text {
				w.open('{')
				w.str("text", line(&e))
				w.close('}')
			} else {
				w.entry(&e)
			}
			r.Send(w.b)
			seq = e.Seq
		}
		if r.Failed() {
			return
		}
		select {
		case <-more:
		case <-gone:
			return
		case <-r.Done():
			return
		}
	}
}
