// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import "github.com/p2pwall/p2pwall/procd/syslog"

// complaints are the last warnings about each subject. A warning that stays true is
// logged once.
type complaints struct {
	log  *syslog.Logger
	last map[string]string
}

func newComplaints(log *syslog.Logger) *complaints {
	return &complaints{log: log, last: map[string]string{}}
}

// say logs a warning about a subject if it differs from the last one; "" says that all is
// well.
func (c *complaints) say(subject, what string) {
	if c.last[subject] == what {
		return
	}
	c.last[subject] = what
	if what != "" {
		c.log.Warnf("%s", what)
	}
}
