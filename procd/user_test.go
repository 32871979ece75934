// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import "testing"

func TestAccount(t *testing.T) {
	const text = "root:x:0:0:root:/root:/bin/sh\n# odd line\np2pwallx:x:1:1\np2pwall:x:473:474:P2P wall:/:/bin/false\n" +
		"broken:x:a:b:c\nbig:x:65535:1::\nminus:x:-1:1::\nlast:x:7:8"
	for _, x := range []struct {
		name     string
		uid, gid int
		err      string
	}{
		{"p2pwall", 473, 474, ""},
		{"p2pwal", 0, 0, "there is no user p2pwal: create it, or leave --user out"},
		{"root", 0, 0, "user root is root: leave --user out"},
		{"broken", 0, 0, "/etc/passwd: the line of user broken cannot be used"},
		{"big", 0, 0, "/etc/passwd: the line of user big cannot be used"},
		{"minus", 0, 0, "/etc/passwd: the line of user minus cannot be used"},
	} {
		uid, gid, err := account(text, x.name)
		if uid != x.uid || gid != x.gid || (err == nil) != (x.err == "") || err != nil && err.Error() != x.err {
			t.Errorf("%s: %d, %d, %v; want %d, %d, %s", x.name, uid, gid, err, x.uid, x.gid, x.err)
		}
	}
	// The last line has no newline.
	if uid, gid, err := account(text, "last"); uid != 7 || gid != 8 || err != nil {
		t.Errorf("last: %d, %d, %v", uid, gid, err)
	}
}
