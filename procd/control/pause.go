// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"fmt"
	"strings"
	"time"
)

// maxPause is the longest pause. To stop for longer, stop the service.
const maxPause = 7 * 24 * time.Hour

// pause starts a pause of the time that it returns. A time of 0 ends the pause.
func (s *Service) pause(req *Request) time.Duration {
	d := time.Duration(min(req.Seconds, int64(maxPause/time.Second))) * time.Second
	s.Pause(d)
	return d
}

func (s *Service) pauseJSON(w *jsonWriter, req *Request) error {
	d := s.pause(req)
	w.bool("ok", true)
	w.num("seconds", int64(d/time.Second))
	return nil
}

func (s *Service) pauseText(b *strings.Builder, req *Request) error {
	if d := s.pause(req); d > 0 {
		fmt.Fprintf(b, "nothing is looked for, for %v\n", d)
	} else {
		b.WriteString("it goes on\n")
	}
	return nil
}
