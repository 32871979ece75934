// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// resultsEnv is the environment variable with a file. A run with the wall writes its
// table there, for "go run ./bench/clients/compare".
const resultsEnv = "P2PWALL_RESULTS"

// result is the wall's result in one situation. A negative time means that the event did
// not happen.
type result struct {
	client, situation string
	found             time.Duration // from the client's first packet to the swarm
	bytes             int           // of pieces after the grace
	gaps, polls       int           // how often it was not locked, and number of checks
	released          time.Duration // from the client's end
}

// String is a line of the table, with fields between bars. bench/clients/compare reads
// it.
func (r result) String() string {
	after := func(d time.Duration) string {
		if d < 0 {
			return "never"
		}
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("| %s | %s | %s | %d | %d of %d | %s |", r.client, r.situation, after(r.found), r.bytes, r.gaps, r.polls, after(r.released))
}

const resultsHead = "| client | situation | found after | bytes after 2 s | looks without lock | released after |\n|---|---|---|---|---|---|\n"

// results are those of all situations of a run.
type results struct {
	mu  sync.Mutex
	all []result
}

// add adds a result and logs it. It is also called when the test failed.
func (r *results) add(t *testing.T, one result) {
	t.Helper()
	t.Log(one)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, one)
}

// show logs the table and writes it to the file in resultsEnv.
func (r *results) show(t *testing.T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(r.all, func(a, b result) int {
		return cmp.Or(strings.Compare(a.situation, b.situation), strings.Compare(a.client, b.client))
	})
	table := resultsHead
	for _, one := range r.all {
		table += one.String() + "\n"
	}
	t.Logf("\n%s", table)
	if file := os.Getenv(resultsEnv); file != "" {
		if err := os.WriteFile(file, []byte(table), 0o644); err != nil {
			t.Error(err)
		}
	}
}
