// SPDX-License-Identifier: GPL-2.0-or-later

package config

import "strings"

// LogClasses is a set of classes of log lines.
type LogClasses uint8

// The classes. The table below has their names in "list log" and ftwall's letters.
const (
	LogUDPDropped LogClasses = 1 << iota
	LogUDPAccepted
	LogTCPDropped
	LogTCPAccepted
	LogPeers
	LogClients
)

var logClasses = []struct {
	name   string
	letter byte
	class  LogClasses
}{
	{"udp_dropped", 'u', LogUDPDropped},
	{"udp_accepted", 'U', LogUDPAccepted},
	{"tcp_dropped", 't', LogTCPDropped},
	{"tcp_accepted", 'T', LogTCPAccepted},
	{"peers", 'p', LogPeers},
	{"clients", 'c', LogClients},
}

// LogAll holds every class.
const LogAll = LogClients<<1 - 1

// ParseLogClass reads the name of a class, "all", "none", or any number of
// ftwall's letters.
func ParseLogClass(s string) (LogClasses, bool) {
	switch s {
	case "all":
		return LogAll, true
	case "none":
		return 0, true
	}
	for _, x := range logClasses {
		if x.name == s {
			return x.class, true
		}
	}
	var l LogClasses
	for i := 0; i < len(s); i++ {
		var bit LogClasses
		for _, x := range logClasses {
			if x.letter == s[i] {
				bit = x.class
			}
		}
		if bit == 0 {
			return 0, false
		}
		l |= bit
	}
	return l, s != ""
}

// Has reports whether any class of x is in l.
func (l LogClasses) Has(x LogClasses) bool { return l&x != 0 }

// String returns the names, separated by spaces, or "none".
func (l LogClasses) String() string {
	var names []string
	for _, x := range logClasses {
		if l.Has(x.class) {
			names = append(names, x.name)
		}
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, " ")
}

// logNames lists the values of "list log", for error messages.
func logNames() string { return LogAll.String() + " all none" }
