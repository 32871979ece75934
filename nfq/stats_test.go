// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseStats(t *testing.T) {
	const text = "    0   4711     3 2  2048     0     0       17  1\n" +
		"  214 3221225472  1024 2 65531 123456 4294967295  4294967295  1\n"
	first := QueueStats{Num: 0, PortID: 4711, Waiting: 3}
	second := QueueStats{Num: 214, PortID: 3221225472, Waiting: 1024, Dropped: 123456, UserDropped: 4294967295}
	for _, tt := range []struct {
		name string
		text string
		nums []uint16
		want []QueueStats
	}{
		{"all", text, nil, []QueueStats{first, second}},
		{"one", text, []uint16{214}, []QueueStats{second}},
		{"one that is not there", text, []uint16{1}, nil},
		{"empty", "", nil, nil},
		{"more columns", "1 2 3 2 4 5 6 7 1 8\n\n", nil, []QueueStats{{Num: 1, PortID: 2, Waiting: 3, Dropped: 5, UserDropped: 6}}},
	} {
		got, err := parseStats(tt.text, tt.nums)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", tt.name, err, diff)
		}
	}
	for _, bad := range []string{"1 2 3\n", "x 2 3 2 4 5 6 7 1\n", "70000 2 3 2 4 5 6 7 1\n", "1 2 3 2 4 -5 6 7 1\n"} {
		if got, err := parseStats(bad, nil); err == nil {
			t.Errorf("%q: got %v, want an error", bad, got)
		}
	}
}
