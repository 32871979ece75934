// SPDX-License-Identifier: GPL-2.0-or-later

// Command testlog reads the output of "go test -json". It prints each package's result,
// the output of each test that failed, and each skipped test with its reason. When CI is
// set in the environment, it fails for skips whose reason is not among those allowed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

// allowed lists the beginnings of reasons for which a test may be skipped, also in CI.
var allowed = []string{"the kernel lacks", "not part of the source", "Debian does not have"}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 1<<24)
	output := map[string][]string{}
	passed, failed, skipped, bad := 0, 0, 0, 0
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Println(in.Text()) // output of the build
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			output[key] = append(output[key], e.Output)
			if e.Action == "build-output" {
				fmt.Print(e.Output)
			}
		case "pass", "fail", "skip":
			if e.Test == "" {
				if e.Action == "fail" {
					// Tests without an end: their process ended or was killed.
					for k, lines := range output {
						if strings.HasPrefix(k, key) && k != key {
							fmt.Printf("--- NO END: %s\n%s", k, strings.Join(lines, ""))
							delete(output, k)
						}
					}
				}
				for _, line := range output[key] {
					if strings.HasPrefix(line, "ok ") || strings.HasPrefix(line, "FAIL") || e.Action == "fail" && !strings.HasPrefix(line, "=== ") {
						fmt.Print(line)
					}
				}
				break
			}
			switch e.Action {
			case "pass":
				passed++
			case "fail":
				failed++
				fmt.Printf("--- FAIL: %s (%s)\n%s", e.Test, e.Package, strings.Join(output[key], ""))
			case "skip":
				skipped++
				why := reason(output[key])
				ok := false
				for _, a := range allowed {
					ok = ok || strings.HasPrefix(why, a)
				}
				if !ok {
					bad++
				}
				fmt.Printf("--- SKIP: %s (%s): %s\n", e.Test, e.Package, why)
			}
			delete(output, key)
		}
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	if os.Getenv("CI") != "" && bad > 0 {
		fmt.Printf("%d tests were skipped that should run here\n", bad)
		os.Exit(1)
	}
}

// reason finds the text of t.Skip in a test's output.
func reason(lines []string) string {
	for _, l := range lines {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "=== ") || strings.HasPrefix(l, "--- ") {
			continue
		}
		// "file_test.go:12: reason"
		if _, after, ok := strings.Cut(l, ".go:"); ok {
			if _, words, ok := strings.Cut(after, ": "); ok {
				return words
			}
		}
		return l
	}
	return ""
}
