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

// suite is what the test program of a package has once.
var suite struct {
	once     sync.Once
	dir, bin string
	err      error
}

// RunTests is the body of a TestMain: it runs tests that have labs, in a folder of
// their own that is gone afterwards, also when the run is interrupted. The tests mostly
// wait, so that parallel of them run at a time, unless the caller of the test program
// says how many. It returns the exit code.
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
	// Also what the tests make, so that an interrupted run leaves nothing.
	os.Setenv("TMPDIR", dir)
	CloseOnSignal(func() { os.RemoveAll(dir) })
	code = m.Run()
	CloseAll()
	os.RemoveAll(dir)
	return code
}

// TestedWall returns the path of the program, built at most once in a RunTests.
func TestedWall() (string, error) {
	suite.once.Do(func() { suite.bin, suite.err = BuildWall(suite.dir) })
	return suite.bin, suite.err
}

// Needs returns why tests that have labs cannot run here, or "". It looks for root
// and for programs; "iptables|nft" stands for either.
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
