// SPDX-License-Identifier: GPL-2.0-or-later

package events

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// The journal's file keeps the events of the calm ring over a restart. It begins with
// journalMagic, the version of the program and a newline. Then come the time at which the
// journal began, and a record for each event. Numbers are big-endian. The numbers of
// classes, events and protocols belong to one version of the program, so another version
// starts with an empty journal.
const (
	journalMagic  = "p2pwall journal "
	journalRecord = 8 + 1 + 1 + 1 + 1 + 1 + 16 + 6 + 16 + 2
)

// errJournal says that a file is no journal of this version.
var errJournal = errors.New("it is no log of this version: the log starts empty")

// Snapshot appends the journal's file to b.
func (j *Journal) Snapshot(b []byte, version string) []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	b = append(b, journalMagic+version+"\n"...)
	b = binary.BigEndian.AppendUint64(b, uint64(j.started.UnixMilli()))
	for i := j.calm.after(0); i < j.calm.n; i++ {
		e := j.calm.at(i)
		tcp := byte(0)
		if e.TCP {
			tcp = 1
		}
		b = binary.BigEndian.AppendUint64(b, uint64(e.Wall.UnixMilli()))
		b = append(b, byte(e.Class), byte(e.What), e.Protocol, byte(e.Reason), tcp)
		b = append(b, e.Client[:]...)
		b = append(b, e.MAC[:]...)
		b = append(b, e.Peer[:]...)
		b = binary.BigEndian.AppendUint16(b, e.Port)
	}
	return b
}

// Restore enters the events of an earlier journal's file. The journal must be empty.
func (j *Journal) Restore(b []byte, version string) error {
	rest, ok := bytes.CutPrefix(b, []byte(journalMagic+version+"\n"))
	if !ok || len(rest) < 8 || (len(rest)-8)%journalRecord != 0 {
		return errJournal
	}
	began := time.UnixMilli(int64(binary.BigEndian.Uint64(rest)))
	var all []Entry
	for r := rest[8:]; len(r) > 0; r = r[journalRecord:] {
		e := Entry{Wall: time.UnixMilli(int64(binary.BigEndian.Uint64(r))), Event: state.Event{
			Class: state.Class(r[8]), What: state.What(r[9]), Protocol: r[10], Reason: detect.Reason(r[11]), TCP: r[12] == 1,
			Client: nfq.Addr(r[13:29]), MAC: nfq.MAC(r[29:35]), Peer: nfq.Addr(r[35:51]), Port: binary.BigEndian.Uint16(r[51:]),
		}}
		if e.Class > state.ClassSystem || e.What > state.EventRules || int(e.Protocol) >= len(detect.All) {
			return errJournal
		}
		all = append(all, e)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.started = began
	for i := range all {
		j.seq++
		all[i].Seq = j.seq
		*j.calm.at(j.calm.n) = all[i]
		j.calm.n++
	}
	return nil
}

// Began returns the time since which the journal has all calm events.
func (j *Journal) Began() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.calm.n > Kept {
		return j.calm.at(j.calm.n).Wall // the oldest entry still kept
	}
	return j.started
}
