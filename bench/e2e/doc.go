// SPDX-License-Identifier: GPL-2.0-or-later

// Package e2e holds the end-to-end tests: the real program on a real kernel
// queue, with simulated clients, in the network of package lab.
//
// A scenario drives clients and notes faults, that is properties that did not
// hold. TestWall runs every scenario with the wall and wants no fault;
// TestWithoutWall runs the same without it and wants the fault that the scenario is about,
// which shows that it can fail.
//
// The tests need root, ip (iproute2), and iptables or nft with queue support.
// They build the program, unless P2PWALL_BIN names one that is built. So the
// compiled test can run on a machine without Go:
//
//	go test -c -o e2e.test ./bench/e2e
//	P2PWALL_BIN=/usr/sbin/p2pwall ./e2e.test
//
// TestPrograms and TestSessions do the same with real programs of Debian's, which
// bench/tools.sh installs: README.md says what is shown by which of them.
//
// P2PWALL_BACKEND=nft or iptables chooses the backend; the default lets the
// program choose. P2PWALL_E2E=off runs TestWall without the wall: then every
// scenario must fail. P2PWALL_E2E_PACE=N lets the innocent host pause N times as
// long between two things and the tests look N times as seldom for what they wait
// for, on machines so slow that the traffic of a workstation would be all that
// they do.
//
// Times come from a short lock time in the configuration and from the order of
// events. No test asserts how fast something is; bounds are generous and only end
// what would hang.
package e2e
