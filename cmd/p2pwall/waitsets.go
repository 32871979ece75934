// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"time"

	"github.com/p2pwall/p2pwall/nfq"
)

// waitingSets has the engine wait until the kernel has taken its changes: it does not
// yet keep track of what was taken.
type waitingSets struct {
	w     *nfq.SetWriter
	last  uint64 // batch that was written
	taken chan error
	err   error // of a batch that no Flush asked for
}

func newWaitingSets(k *nfq.KernelSets) *waitingSets {
	s := &waitingSets{taken: make(chan error, 1)}
	s.w = nfq.NewSetWriter(k, func(_ uint64, err error) { s.taken <- err })
	return s
}

// Close closes the sets and leaves their elements to their timeouts.
func (s *waitingSets) Close() error { return s.w.Close() }

// Flush writes what was collected and returns the first error.
func (s *waitingSets) Flush() error {
	err := s.err
	s.err = nil
	if handed := s.w.Flush(); handed != s.last {
		s.last = handed
		if werr := <-s.taken; err == nil {
			err = werr
		}
	}
	return err
}

// room makes room for one more change.
func (s *waitingSets) room() *nfq.SetWriter {
	if s.w.Room() < 2 {
		s.err = s.Flush()
	}
	return s.w
}

// Cut implements state.Sets, as the following do.
func (s *waitingSets) Cut(client, peer nfq.Addr, d time.Duration) { s.room().Cut(client, peer, d) }

// Uncut ends a Cut.
func (s *waitingSets) Uncut(client, peer nfq.Addr) { s.room().Uncut(client, peer) }

// Lock locks a host.
func (s *waitingSets) Lock(mac nfq.MAC, addr nfq.Addr, d time.Duration) { s.room().Lock(mac, addr, d) }

// Unlock ends a Lock.
func (s *waitingSets) Unlock(mac nfq.MAC, addr nfq.Addr) { s.room().Unlock(mac, addr) }

// Sift sifts a host.
func (s *waitingSets) Sift(mac nfq.MAC, addr nfq.Addr, d time.Duration) { s.room().Sift(mac, addr, d) }

// Unsift ends a Sift.
func (s *waitingSets) Unsift(mac nfq.MAC, addr nfq.Addr) { s.room().Unsift(mac, addr) }
