// SPDX-License-Identifier: GPL-2.0-or-later

// Command measure is the benchmark of the packet path. It measures the real program on a
// real kernel queue, and compares it with a C reference, plain forwarding and drops in
// the kernel.
//
//	go run ./bench/measure                  everything, about ten minutes
//	go run ./bench/measure -only queue,flat some of it
//	go run ./bench/measure -base REV        this tree against another revision
//
// It needs root, ip, iptables, nft and a C compiler. All load stays in its own network
// namespaces, and its rates are bounded. -window and -runs say how long it lasts.
//
// # How it measures
//
// The compared programs take turns, each once in every run, so that other work on the
// machine affects all of them. The table gives the median, the lowest and the highest
// value of all runs. A ratio is the median of the ratios within each run, with its lowest
// and highest.
//
// One processor makes the load, the other runs the program. The CPU time comes from the
// process's own clock (nanoseconds, not ticks). It includes the kernel's work for the
// program. The kernel forwards an accepted packet to the next host within the program's
// send. It counts the interrupt work that follows for the program too, unless it is built
// with CONFIG_IRQ_TIME_ACCOUNTING. The packets are counted by the ids that the kernel
// gives them, in the same way for every program.
//
// The result also says how busy other work kept the machine. This shows how far to trust
// the figures. No test depends on a figure.
package main
