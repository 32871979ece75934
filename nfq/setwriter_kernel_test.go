// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/netns"
)

// loadForever lets nft load a long list into a table of its own, again and again, in the
// current namespace. While nft loads, the kernel accepts no other change of the rules
// there. loadForever returns when the first load is over.
func loadForever(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	file, ready := filepath.Join(dir, "list"), filepath.Join(dir, "ready")
	if err := os.WriteFile(file, netns.LongList(), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("sh", "-c", `while nft -f "$1"; do : >"$2"; done`, "sh", file, ready)
	var complaints strings.Builder
	c.Stderr = &complaints
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		t.Skipf("needs sh and nft: %v", err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		_ = c.Wait()
	})
	for deadline := soon(); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(ready); err == nil {
			return
		}
	}
	t.Fatalf("nft loads no list: %.300s", complaints.String())
}

// TestSetWriterBusyKernel changes the sets while another program loads a list. Meanwhile
// the caller goes on with many thousand more changes, and they reach the kernel in their
// order. Sets that are written within Flush never get that far: when Flush returns, the
// kernel is done.
func TestSetWriterBusyKernel(t *testing.T) {
	netns.Enter(t)
	netns.Run(t, "", "nft", testTable)
	client, toggled := addr("192.0.2.1"), addr("203.0.113.1")
	const elements = 100
	cut, round := false, 0

	// tell makes one change, and further changes until the kernel has accepted the first.
	// It returns the number of further changes.
	tell := func(w *SetWriter, flush, taken func() uint64) int {
		w.Cut(client, peerNumber(round%elements), time.Hour)
		round++
		n := 0
		for batch := flush(); taken() < batch; n++ {
			if cut = !cut; cut {
				w.Cut(client, toggled, time.Hour)
			} else {
				w.Uncut(client, toggled)
			}
			flush()
		}
		return n
	}
	var newest atomic.Uint64
	k, err := OpenNFTSets()
	if err != nil {
		t.Fatal(err)
	}
	w := NewSetWriter(k, func(batch uint64, err error) {
		if err != nil || !newest.CompareAndSwap(batch-1, batch) {
			t.Errorf("batch %d after %d: %v", batch, newest.Load(), err)
		}
	})

	// The number when nobody else changes the rules. On a busy machine it is sometimes
	// larger.
	calm := make([]int, elements)
	for i := range calm {
		calm[i] = tell(w, w.Flush, newest.Load)
	}
	slices.Sort(calm)
	more := 10 * max(calm[len(calm)/4], 100)
	loadForever(t)
	most := 0
	for deadline := soon(); most < more && time.Now().Before(deadline); {
		most = max(most, tell(w, w.Flush, newest.Load))
	}
	t.Logf("%d changes were told of in one round, want %d; there were %d rounds", most, more, round)
	if most < more {
		t.Errorf("%d changes at most were told of while the kernel was busy, want %d", most, more)
	}
	for w.Room() < maxSetOps {
		w.Flush()
	}
	last := w.Flush()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if newest.Load() != last || w.Refused != 0 {
		t.Errorf("batch %d was the last that was taken, want %d; %d changes were refused", newest.Load(), last, w.Refused)
	}
	want := elements
	if cut {
		want++
	}
	got := nftElements(t, "cut4")
	if _, there := got["192.0.2.1 . 203.0.113.1"]; len(got) != want || there != cut {
		t.Errorf("%d elements, want %d; the one that changed all the time is there: %v, want %v", len(got), want, there, cut)
	}

	s := openNFTSets(t)
	var written uint64
	for range 20 {
		if n := tell(&s.SetWriter, func() uint64 {
			flush(t, s)
			written++
			return written
		}, func() uint64 { return written }); n != 0 {
			t.Errorf("written within Flush: %d changes were told of meanwhile", n)
		}
	}
}

// TestSetWriterMissing: the kernel's error is reported with its batch. The next batch is
// written again.
func TestSetWriterMissing(t *testing.T) {
	for _, tt := range []struct {
		name string
		open func() (*KernelSets, error)
		make []string
		set  string
	}{
		{"nft", OpenNFTSets, []string{"nft", testTable}, "nft set inet p2pwall lock4"},
		{"ipset", OpenIPSets, []string{"ipset", "create", "p2pwall-lock4", "hash:ip", "timeout", "0"}, "ipset p2pwall-lock4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			netns.Enter(t)
			k, err := tt.open()
			if err != nil {
				t.Fatal(err)
			}
			taken := make(chan told, 1)
			w := NewSetWriter(k, func(batch uint64, err error) { taken <- told{batch, err} })
			lock := func() told {
				w.Lock(addr("192.0.2.3"), time.Hour)
				w.Flush()
				return <-taken
			}
			if got, want := lock(), tt.set+": missing in the kernel, load the rules again"; got.batch != 1 || got.err == nil || got.err.Error() != want {
				t.Errorf("got %v, want %q", got, want)
			}
			netns.Run(t, "", tt.make[0], tt.make[1:]...)
			if got := lock(); got != (told{2, nil}) {
				t.Errorf("got %v", got)
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
