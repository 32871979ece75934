// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"slices"
	"strconv"
	"strings"
)

// NotifyKind is the way in which a message is sent.
type NotifyKind string

// The ways: a POST with text as its body, a POST with JSON as its body, and a mail.
const (
	NotifyNtfy    NotifyKind = "ntfy"
	NotifyWebhook NotifyKind = "webhook"
	NotifyMail    NotifyKind = "mail"
)

// NotifyEvents is a set of kinds of events.
type NotifyEvents uint8

// The events: a program was found, a program has ended, the firewall stopped or started to
// protect the LAN.
const (
	NotifyFound NotifyEvents = 1 << iota
	NotifyReleased
	NotifyUnprotected
)

var notifyEvents = [...]string{"found", "released", "unprotected"}

// Notify is a "config notify" section: one receiver of messages about events.
type Notify struct {
	Name   string
	Kind   NotifyKind
	URL    string // of ntfy and webhook
	Token  string // sent as "Authorization: Bearer"; "" for none
	User   string // with Password; "" for none
	Secret string // the password of User
	To     string // receiver of a mail
	From   string // "": sendmail chooses
	Events NotifyEvents
}

// maxNotify is the number of receivers at most.
const maxNotify = 8

// notifyOptions are the options of a notify section.
const notifyOptions = "enabled type url token user password to from event"

// notify decodes a "config notify" section.
func (d *decoder) notify(s *section) {
	n := Notify{Name: s.name}
	if n.Name == "" {
		n.Name = strconv.Itoa(len(d.config.Notify) + 1)
	}
	enabled := true
	for _, o := range s.options {
		if o.name == "event" {
			n.Events |= d.notifyEvents(o)
		} else if v, ok := d.single(o); !ok || v == "" {
			continue
		} else if o.name == "enabled" {
			d.boolean(o, v, &enabled)
		} else if o.name == "type" {
			d.choice(o, v, "ntfy webhook mail", func() { n.Kind = NotifyKind(v) })
		} else {
			d.notifyText(o, v, &n)
		}
	}
	if enabled {
		d.addNotify(s, n)
	}
}

// notifyText takes the text of an address, a name or a secret.
func (d *decoder) notifyText(o rawOption, v string, n *Notify) {
	to := &n.URL
	switch o.name {
	case "url":
		if !validURL(v) {
			d.fail(o.line, "bad url", "use an address such as https://ntfy.example.org/topic")
			return
		}
	case "token":
		to = &n.Token
	case "user":
		to = &n.User
		if strings.Contains(v, ":") {
			d.fail(o.line, "bad user", "use a name without a colon")
		}
	case "password":
		to = &n.Secret
	case "to", "from":
		to = &n.To
		if o.name == "from" {
			to = &n.From
		}
		if !validMail(v) {
			d.bad(o, v, "use one address such as me@example.org")
			return
		}
	default:
		d.fail(o.line, "unknown option "+quote(o.name)+" for a notify section", "use one of "+notifyOptions)
		return
	}
	// Errors go to the log, so they do not show the value of a secret.
	if !printable(v) {
		d.fail(o.line, "bad value for "+o.name, "use printable characters of ASCII, 512 at most")
		return
	}
	*to = v
}

// addNotify adds a receiver to the configuration if the section says all that it must.
func (d *decoder) addNotify(s *section, n Notify) {
	if n.Events == 0 {
		n.Events = NotifyFound | NotifyReleased | NotifyUnprotected
	}
	switch {
	case n.Kind == "":
		d.fail(s.line, "a notify section without a type", "add: option type, with one of ntfy webhook mail")
	case n.Kind == NotifyMail && n.To == "":
		d.fail(s.line, "a mail to nobody", "add: option to 'me@example.org'")
	case n.Kind != NotifyMail && n.URL == "":
		d.fail(s.line, "a notify section without an address", "add: option url 'https://...'")
	case len(d.config.Notify) == maxNotify:
		d.fail(s.line, "more than "+strconv.Itoa(maxNotify)+" notify sections", "remove some")
	default:
		d.config.Notify = append(d.config.Notify, n)
	}
}

func (d *decoder) notifyEvents(o rawOption) (set NotifyEvents) {
	for _, v := range fields(o) {
		i := slices.Index(notifyEvents[:], v)
		if i < 0 {
			d.bad(o, v, "use one of "+strings.Join(notifyEvents[:], " "))
			continue
		}
		set |= 1 << i
	}
	return set
}

// printable reports whether s is printable ASCII and short enough for a header.
func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= 512
}

// validURL reports whether s is the address of a web server, without a user name.
func validURL(s string) bool {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(s, "http://")
	}
	host, _, _ := strings.Cut(rest, "/")
	return ok && host != "" && printable(s) && !strings.ContainsAny(s, " \"'<>\\^`{|}") && !strings.Contains(host, "@")
}

// validMail reports whether s is one plain mail address.
func validMail(s string) bool {
	user, host, ok := strings.Cut(s, "@")
	return ok && user != "" && host != "" && user[0] != '-' && printable(s) && !strings.ContainsAny(s, " \"'<>()[]\\,;:") && !strings.Contains(host, "@")
}
