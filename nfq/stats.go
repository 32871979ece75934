// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// procQueues lists the queues of the calling thread's network namespace.
const procQueues = "/proc/thread-self/net/netfilter/nfnetlink_queue"

// QueueStats is what the kernel says about one queue that a program holds.
type QueueStats struct {
	Num         uint16
	PortID      uint32 // netlink port of the holder, mostly its process id
	Waiting     uint32 // packets that wait for a verdict
	Dropped     uint64 // dropped because the queue was full
	UserDropped uint64 // dropped because the holder's receive buffer was full
}

// ReadStats returns the kernel's figures for the given queues, or for all
// queues when none are given. A queue that nobody holds is missing from the
// answer. Packets that fail-open let pass are in none of the columns.
func ReadStats(nums ...uint16) ([]QueueStats, error) {
	text, err := os.ReadFile(procQueues)
	if err != nil {
		return nil, err
	}
	return parseStats(string(text), nums)
}

// parseStats reads the lines of nfnetlink_queue: queue number, port id,
// waiting, copy mode, copy range, dropped, user dropped, id sequence, 1.
func parseStats(text string, nums []uint16) ([]QueueStats, error) {
	var all []QueueStats
	for _, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) < 7 {
			return nil, fmt.Errorf("%s: cannot read line %q", procQueues, line)
		}
		var bad error
		column := func(i, bits int) uint64 {
			n, err := strconv.ParseUint(f[i], 10, bits)
			if err != nil {
				bad = fmt.Errorf("%s: %w", procQueues, err)
			}
			return n
		}
		s := QueueStats{
			Num:         uint16(column(0, 16)),
			PortID:      uint32(column(1, 32)),
			Waiting:     uint32(column(2, 32)),
			Dropped:     column(5, 64),
			UserDropped: column(6, 64),
		}
		if bad != nil {
			return nil, bad
		}
		if len(nums) == 0 || slices.Contains(nums, s.Num) {
			all = append(all, s)
		}
	}
	return all, nil
}
