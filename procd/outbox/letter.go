// SPDX-License-Identifier: GPL-2.0-or-later

package outbox

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/procd/control"
)

// letter is the text of a message, ready to send.
type letter struct {
	_     [0]func() // not comparable: code to compare it costs flash
	title string    // printable ASCII
	text  string    // one line
	json  string
}

// letter writes the message for a receiver.
func (o *Outbox) letter(r *receiver, m *message) *letter {
	l := &letter{title: "P2Pwall"}
	var name, program string
	if !m.client.IsZero() && o.describe != nil {
		name, program = o.describe(m.client, m.mac)
		name, program = clean(name), clean(program)
	}
	protocol := detect.All[m.protocol]
	who := m.client.String()
	if name != "" {
		who = name + " (" + who + ")"
	}
	what := protocol.Title
	if program != "" {
		what += " (" + program + ")"
	}
	h, min, _ := m.wall.Clock()
	at := fmt.Sprintf("%02d:%02d", h, min)
	event := "test"
	switch {
	case m.test:
		l.title += ": test"
		l.text = "This is a test. Whoever reads it is told of what P2Pwall finds."
	case m.what == config.NotifyFound:
		event = "found"
		l.title += ": file sharing found"
		l.text = who + " runs " + what + ", seen at " + at + "."
	case m.what == config.NotifyReleased:
		event = "released"
		// The program may still run: a policy may allow it now.
		l.title += ": released"
		l.text = who + " is released since " + at + ": " + protocol.Title + " has ended there, or is allowed now."
	case m.well:
		event = "protected"
		l.title += ": protects again"
		l.text = "P2Pwall protects again, since " + at + "."
	default:
		event = "unprotected"
		l.title += ": does not protect"
		l.text = "P2Pwall cannot protect since " + at + ": " + clean(m.text) + "."
	}
	if r.Kind == config.NotifyWebhook {
		l.json = o.json(m, event, name, program, l.text)
	}
	return l
}

// json returns the message as a JSON object on one line.
func (o *Outbox) json(m *message, event, name, program, text string) string {
	b := append(make([]byte, 0, 512), '{')
	add := func(key, value string) {
		if value == "" {
			return
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = control.AppendString(b, key)
		b = control.AppendString(append(b, ':'), value)
	}
	add("event", event)
	add("id", m.id())
	add("router", o.router)
	if !m.client.IsZero() {
		add("host", m.client.String())
		add("mac", m.mac.String())
		add("name", name)
		add("protocol", detect.All[m.protocol].Name)
		add("title", detect.All[m.protocol].Title)
		add("program", program)
	}
	add("text", text)
	b = append(b, `,"time":`...)
	return string(append(strconv.AppendInt(b, m.wall.Unix(), 10), '}'))
}

// maxName is the largest number of bytes of a string from the network in a message.
const maxName = 256

// clean makes a string from the network fit for a message: printable characters in UTF-8,
// on one line.
func clean(s string) string {
	var b []byte
	for _, c := range s {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c == utf8.RuneError || c == 0x2028 || c == 0x2029 {
			c = '?'
		}
		if len(b)+utf8.RuneLen(c) > maxName {
			break
		}
		b = utf8.AppendRune(b, c)
	}
	return string(b)
}
