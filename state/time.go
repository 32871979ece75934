// SPDX-License-Identifier: GPL-2.0-or-later

package state

import "time"

// Time is a moment on the engine's own clock, in nanoseconds. It starts near the Unix time
// and then runs evenly. The router's wall clock does not: it may jump when it first reaches
// an NTP server. For a recorded capture, Time is the capture's own time.
type Time int64

// earliest is the lowest Time at which an engine may start. It leaves room for the ages in
// a snapshot.
const earliest = Time(400 * 24 * time.Hour)

// Clock returns a function that tells the Time. It begins at the wall-clock time start.
func Clock(start time.Time) func() Time {
	base := max(Time(start.UnixNano()), earliest)
	return func() Time { return base.After(time.Since(start)) }
}

// After returns the moment d later.
func (t Time) After(d time.Duration) Time { return t + Time(d) }

// Since returns the time that has passed from u to t.
func (t Time) Since(u Time) time.Duration { return time.Duration(t - u) }

// seconds is a moment in whole seconds, for tables where eight bytes an entry would be too
// much.
type seconds uint32

//go:noinline
func (t Time) seconds() seconds { return seconds(t / Time(time.Second)) }

func (s seconds) time() Time { return Time(s) * Time(time.Second) }
