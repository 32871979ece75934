// SPDX-License-Identifier: GPL-2.0-or-later

// Command measure is the benchmark of the packet path: the real program on a real
// kernel queue, against a C reference, plain forwarding and drops in the kernel.
//
//	go run ./bench/measure                  everything, about ten minutes
//	go run ./bench/measure -only queue,flat some of it
//	go run ./bench/measure -base REV        this tree against another revision
//
// It needs root, ip, iptables, nft and a C compiler. All load stays in network
// namespaces of its own, its rates are bounded, and it lasts as long as -window
// and -runs say.
//
// # How it measures
//
// What is compared runs by turns, once in each run, so that whatever else the
// machine does meets all of them. The table gives the median over the runs, the
// lowest and the highest value; a ratio is the median of the ratios within each
// run, with its lowest and highest.
//
// One processor makes the load, the other runs the program. The CPU time is that of
// the process's own clock (nanoseconds, not ticks). It holds what the kernel does
// in the program's name: an accepted packet goes on from the queue to the next
// host within the program's send, and so does the interrupt work that follows
// from it, as long as the kernel is built without CONFIG_IRQ_TIME_ACCOUNTING.
// How many packets that were is told by the numbers that the kernel gives them,
// which is the same measure for every program.
//
// The busiest of other work on the machine is printed with the result, because it
// says how far to trust the figures. No figure is ever a test's assertion.
package main
