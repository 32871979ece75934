// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// slowKernel accepts each batch when the test allows it.
type slowKernel struct {
	KernelSets
	writes chan []setOp // a batch that has arrived
	let    chan error   // the result for that batch
}

// told is what a writer reports about a batch.
type told struct {
	batch uint64
	err   error
}

// newSlowWriter returns a writer to a slow kernel, and a channel of its reports.
func newSlowWriter() (*SetWriter, *slowKernel, chan told) {
	k := &slowKernel{writes: make(chan []setOp, 10), let: make(chan error)}
	k.write = func(ops []setOp) error {
		k.writes <- slices.Clone(ops)
		return <-k.let
	}
	taken := make(chan told, 1000)
	return NewSetWriter(&k.KernelSets, func(batch uint64, err error) { taken <- told{batch, err} }), k, taken
}

func end(w *SetWriter) {
	close(w.work)
	<-w.ended
}

// peerNumber returns one of many addresses.
func peerNumber(i int) Addr { return AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}) }

func TestSetWriter(t *testing.T) {
	w, k, taken := newSlowWriter()
	client := addr("192.0.2.1")
	if h := w.Flush(); h != 0 || w.Room() != maxSetOps {
		t.Errorf("with nothing collected: batch %d, room for %d", h, w.Room())
	}
	w.Cut(client, peerNumber(1), time.Minute)
	if h := w.Flush(); h != 1 || w.Room() != maxSetOps {
		t.Errorf("first batch: %d, room for %d", h, w.Room())
	}
	first := <-k.writes

	// While the kernel is busy, further changes wait. If an element changes again, the
	// next batch has only its last change.
	w.Cut(client, peerNumber(2), time.Minute)
	w.Cut(client, peerNumber(1), time.Hour)
	w.Lock(client, time.Minute)
	for range 3 {
		if h := w.Flush(); h != 1 || w.Room() != maxSetOps-3 {
			t.Errorf("while the kernel is busy: batch %d, room for %d", h, w.Room())
		}
	}
	w.Uncut(client, peerNumber(2))
	k.let <- nil
	if got := <-taken; got != (told{1, nil}) {
		t.Errorf("taken: %v", got)
	}
	w.Unlock(client)
	if h := w.Flush(); h != 2 {
		t.Errorf("second batch: %d", h)
	}
	second := <-k.writes
	// An element of an earlier batch is a new change in the next batch.
	w.Uncut(client, peerNumber(1))
	k.let <- unix.ENOENT
	if got := <-taken; got != (told{2, unix.ENOENT}) {
		t.Errorf("refused: %v", got)
	}
	w.Flush()
	third := <-k.writes
	k.let <- nil
	end(w)

	want := collected(func(w *SetWriter) { w.Cut(client, peerNumber(1), time.Minute) })
	if !slices.Equal(first, want) {
		t.Errorf("first batch: %v", first)
	}
	want = collected(func(w *SetWriter) {
		w.Uncut(client, peerNumber(2))
		w.Cut(client, peerNumber(1), time.Hour)
		w.Unlock(client)
	})
	if !slices.Equal(second, want) {
		t.Errorf("second batch: %v", second)
	}
	if want = collected(func(w *SetWriter) { w.Uncut(client, peerNumber(1)) }); !slices.Equal(third, want) {
		t.Errorf("third batch: %v", third)
	}
	if w.Lost() || w.Refused != 0 {
		t.Error("something was lost")
	}
}

// TestSetWriterFull: a change that does not fit is refused, and this is reported once. An
// element that is already collected can still change.
func TestSetWriterFull(t *testing.T) {
	w, k, taken := newSlowWriter()
	client := addr("192.0.2.1")
	w.Cut(client, peerNumber(1000), time.Minute)
	w.Flush()
	<-k.writes
	for i := range maxSetOps {
		if w.Room() != maxSetOps-i {
			t.Fatalf("room for %d after %d", w.Room(), i)
		}
		w.Cut(client, peerNumber(i), time.Minute)
	}
	if w.Lost() {
		t.Error("lost before it was full")
	}
	w.Cut(client, peerNumber(500), time.Minute)
	w.Lock(client, time.Minute)
	w.Own(client, ProtoTCP, 6881, time.Minute)
	w.Uncut(client, peerNumber(7))
	w.Flush()
	if w.Refused != 3 || w.Room() != 0 {
		t.Errorf("refused %d, room for %d", w.Refused, w.Room())
	}
	if !w.Lost() || w.Lost() {
		t.Error("a loss is told once")
	}
	k.let <- nil
	<-taken
	if h := w.Flush(); h != 2 || w.Room() != maxSetOps {
		t.Errorf("batch %d, room for %d", h, w.Room())
	}
	ops := <-k.writes
	if len(ops) != maxSetOps || ops[7].timeout != 0 || ops[8].timeout != 60000 {
		t.Errorf("%d changes: %v", len(ops), ops)
	}
	w.Cut(client, peerNumber(2000), time.Minute) // collected, but not flushed
	k.let <- nil
	end(w)
	if len(k.writes) != 0 {
		t.Error("written without having been handed over")
	}
}

// TestSetWriterTold: the function that reports a batch can already flush the next one.
func TestSetWriterTold(t *testing.T) {
	var w *SetWriter
	k := &KernelSets{}
	var written []uint8
	k.write = func(ops []setOp) error {
		written = append(written, ops[0].key[0])
		return nil
	}
	const batches = 100
	heard, over := make(chan uint64), make(chan struct{})
	w = NewSetWriter(k, func(batch uint64, _ error) {
		heard <- batch
		<-over
	})
	for i := uint64(1); i <= batches; i++ {
		w.Lock(AddrFrom4([4]byte{byte(i)}), time.Minute)
		if h := w.Flush(); h != i {
			t.Fatalf("batch %d, want %d", h, i)
		}
		if i > 1 {
			over <- struct{}{} // only now the report of the batch before returns
		}
		if b := <-heard; b != i {
			t.Fatalf("told of %d, want %d", b, i)
		}
	}
	over <- struct{}{}
	end(w)
	for i, b := range written {
		if int(b) != i+1 {
			t.Fatalf("batch %d was written as number %d", b, i+1)
		}
	}
	if len(written) != batches {
		t.Errorf("%d batches were written", len(written))
	}
}

func TestSetWriterAllocs(t *testing.T) {
	w, k, _ := newSlowWriter()
	k.write = func([]setOp) error { return <-k.let }
	client := addr("192.0.2.1")
	use := func() {
		for i := range maxSetOps + 1 {
			w.Cut(client, peerNumber(i), time.Minute)
		}
		w.Uncut(client, peerNumber(0))
		w.Lock(client, time.Minute)
		w.Own(client, ProtoTCP, 6881, time.Minute)
		w.Watch(client, time.Minute)
		if w.Lost(); w.Room() == 0 {
			w.Flush()
		}
	}
	use()
	if n := testing.AllocsPerRun(50, use); n != 0 {
		t.Errorf("%v allocations while the kernel is busy", n)
	}
	close(k.let) // the kernel accepts everything at once
	if n := testing.AllocsPerRun(50, use); n != 0 {
		t.Errorf("%v allocations while it is not", n)
	}
	end(w)
}
