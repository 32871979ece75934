// SPDX-License-Identifier: GPL-2.0-or-later

package config

import "testing"

func TestExemptListLacks(t *testing.T) {
	list := func(all ...string) (l ExemptList) {
		for _, s := range all {
			if !l.add(s) {
				t.Fatalf("%s is not taken", s)
			}
		}
		return l
	}
	both := list("192.168.1.20", "02:00:00:00:00:01")
	for _, tt := range []struct {
		name        string
		now, before ExemptList
		want        bool
	}{
		{"the same", both, both, false},
		{"one more", list("192.168.1.20", "02:00:00:00:00:01", "192.168.1.21"), both, false},
		{"an address less", list("02:00:00:00:00:01"), both, true},
		{"a MAC less", list("192.168.1.20"), both, true},
		{"nobody", ExemptList{}, both, true},
		{"never anybody", both, ExemptList{}, false},
	} {
		if got := tt.now.Lacks(tt.before); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
