// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"errors"
	"fmt"
	"strings"
)

// Receiver is a receiver of messages about events.
type Receiver struct {
	_          [0]func() // not comparable: code to compare it costs flash
	Name, Kind string
	Waiting    int    // how many messages wait
	Fault      string // why the last message could not be sent; "" if it was sent
}

// receivers writes the receivers. The reply to a test has the result instead of the
// number of messages that wait.
func (w *jsonWriter) receivers(all []Receiver, test bool) {
	w.key("notify")
	w.open('[')
	for i := range all {
		r := &all[i]
		w.open('{')
		w.str("name", r.Name)
		w.str("type", r.Kind)
		if test {
			w.bool("ok", r.Fault == "")
		} else {
			w.num("waiting", int64(r.Waiting))
		}
		if r.Fault != "" {
			w.str("error", r.Fault)
		}
		w.close('}')
	}
	w.close(']')
}

func (s *Service) test() ([]Receiver, error) {
	all := s.TestReceivers()
	if len(all) == 0 {
		return nil, errors.New("nobody is told of events: add a \"config notify\" section to the configuration")
	}
	return all, nil
}

func (s *Service) notify(w *jsonWriter, _ *Request) error {
	all, err := s.test()
	if err != nil {
		return err
	}
	w.receivers(all, true)
	return nil
}

func (s *Service) notifyText(b *strings.Builder, _ *Request) error {
	all, err := s.test()
	for i := range all {
		said := all[i].Fault
		if said == "" {
			said = "told"
		}
		fmt.Fprintf(b, "%s (%s): %s\n", all[i].Name, all[i].Kind, said)
	}
	return err
}
