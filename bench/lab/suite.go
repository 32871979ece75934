// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// suite is shared by all tests of a package's test program.
var suite struct {
	once     sync.Once
	dir, bin string
	err      error
}

// RunTests is the body of a TestMain for tests that have labs. It runs them in a
// temporary folder, which is removed afterwards, also after an interrupted run. The tests
// mostly wait, so it runs parallel of them at a time unless -test.parallel is given. It
// returns the exit code.
func RunTests(m interface{ Run() int }, name string, parallel int) (code int) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", fmt.Sprint(parallel))
	}
	dir, err := os.MkdirTemp("", "p2pwall-"+name+"-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// Some tests run a program as another user.
	os.Chmod(dir, 0o755)
	suite.dir = dir
	// The tests' own files go there too, so that an interrupted run leaves nothing.
	os.Setenv("TMPDIR", dir)
	CloseOnSignal(func() { os.RemoveAll(dir) })
	code = m.Run()
	CloseAll()
	os.RemoveAll(dir)
	return code
}

// Needs returns the reason why tests with labs cannot run here, or "". It checks for root
// and for programs. "iptables|nft" means that either will do.
func Needs(programs ...string) string {
	if os.Geteuid() != 0 {
		return "needs root: network namespaces and a kernel queue"
	}
	var missing []string
	for _, p := range append([]string{"ip"}, programs...) {
		found := false
		for _, name := range strings.Split(p, "|") {
			_, err := exec.LookPath(name)
			found = found || err == nil
		}
		if !found {
			missing = append(missing, strings.ReplaceAll(p, "|", " or "))
		}
	}
	if len(missing) > 0 {
		return "needs the programs " + strings.Join(missing, ", ")
	}
	return ""
}
