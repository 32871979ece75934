// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"errors"
	"strings"
	"time"
)

// ZoneFile has the router's time zone in one line. The init script writes it.
const ZoneFile = "/var/run/p2pwall/zone"

// Zone makes a time zone from its POSIX description, such as CET-1CEST,M3.5.0,M10.5.0/3. This
// is the value of the variable TZ and of "option timezone" in /etc/config/system.
func Zone(tz string) (*time.Location, error) {
	bad := errors.New("bad time zone " + quote(tz) + ", set it under System (option timezone in /etc/config/system)")
	if tz == "UTC" || tz == "GMT" { // no number, as in OpenWrt's default
		return time.UTC, nil
	}
	if tz == "" || len(tz) > 255 || strings.ContainsAny(tz, "\n\x00") {
		return nil, bad
	}
	// The time package reads such a description only at the end of a time zone file (RFC
	// 8536). This file has a zone with a made-up name until 1970. From then on the
	// description counts.
	const (
		head     = "TZif2\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
		none     = head + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
		counts   = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x04"
		change   = "\x00\x00\x00\x00\x00\x00\x00\x00\x00"
		zone     = "\x00\x00\x00\x00\x00\x00"
		unparsed = "..."
	)
	l, err := time.LoadLocationFromTZData(tz, []byte(none+head+counts+change+zone+unparsed+"\x00\n"+tz+"\n"))
	if err != nil {
		return nil, bad
	}
	if name, _ := time.Unix(1<<30, 0).In(l).Zone(); name == unparsed {
		return nil, bad
	}
	return l, nil
}

// ClockSet reports whether the clock can be right. Without a battery, the clock of a router
// starts in the past until the router has asked for the time.
func ClockSet(t time.Time) bool { return t.Unix() >= 1735689600 } // 2025
