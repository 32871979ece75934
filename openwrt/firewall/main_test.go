// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"flag"
	"os"
	"testing"
)

// TestMain: the tests with packets mostly wait, so all three firewalls are tried at once.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("3")
	}
	os.Exit(m.Run())
}
