// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import "github.com/p2pwall/p2pwall/procd/syslog"

// complaints are what was said last about each subject: what goes on is said once.
type complaints struct {
	log  *syslog.Logger
	last map[string]string
}

func newComplaints(log *syslog.Logger) *complaints {
	return &complaints{log: log, last: map[string]string{}}
}

// say logs a line about a subject, once until it changes; "" ends it.
func (c *complaints) say(subject, what string) {
	if c.last[subject] == what {
		return
	}
	c.last[subject] = what
	if what != "" {
		c.log.Warnf("%s", what)
	}
}
