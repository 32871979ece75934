// SPDX-License-Identifier: GPL-2.0-or-later

// Command lean makes a Go program for MIPS or 32-bit ARM smaller on a router's flash. It
// removes the data that only a crash report reads.
//
//	lean PROGRAM                    change the program in place
//	lean -lines PROGRAM < REPORT    give a crash report its lines back
//
// If a program is not exactly as expected, lean leaves it unchanged and prints one line with
// the reason. That is no failure.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "lean:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out, errOut io.Writer) error {
	flags := flag.NewFlagSet("lean", flag.ContinueOnError)
	flags.SetOutput(errOut)
	lines := flags.Bool("lines", false, "change nothing: read a crash report on standard input, and print it with the lines\nthat PROGRAM, which is not lean yet, has")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("name one program, not %d", flags.NArg())
	}
	name := flags.Arg(0)
	exe, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if *lines {
		return linesOf(exe, in, out)
	}
	small, err := withoutLines(exe)
	if err != nil {
		fmt.Fprintf(errOut, "lean: %s is left as it is: %v\n", name, err)
		return nil
	}
	return os.WriteFile(name, small, 0o755)
}
