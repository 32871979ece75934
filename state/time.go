// SPDX-License-Identifier: GPL-2.0-or-later

package state

import "time"

// Time is a moment on the engine's own clock, in nanoseconds. It begins near the
// Unix time of the start but only ever goes on evenly: the router's clock may
// jump when it first meets an NTP server. A capture's own time serves as well.
type Time int64

// earliest is the least Time at which an engine may start: there must be room
// for what a snapshot remembers of the time before.
const earliest = Time(400 * 24 * time.Hour)

// Clock returns a function that tells the Time, beginning at the wall-clock time
// start.
func Clock(start time.Time) func() Time {
	base := max(Time(start.UnixNano()), earliest)
	return func() Time { return base.After(time.Since(start)) }
}

// After returns the moment d later.
func (t Time) After(d time.Duration) Time { return t + Time(d) }

// Since returns the time that has passed from u to t.
func (t Time) Since(u Time) time.Duration { return time.Duration(t - u) }

// seconds is a moment in whole seconds, for tables where eight
// bytes an entry would count.
type seconds uint32

//go:noinline
func (t Time) seconds() seconds { return seconds(t / Time(time.Second)) }

func (s seconds) time() Time { return Time(s) * Time(time.Second) }
