// SPDX-License-Identifier: GPL-2.0-or-later

// Package e2e holds the end-to-end tests: the real program on a real kernel
// queue, with simulated clients, in the network of package lab.
//
// A scenario drives clients and notes faults: properties that did not hold. TestWall
// runs every scenario with the wall and expects no fault. TestWithoutWall runs the same
// without the wall and expects the fault that the scenario tests for. This shows that
// the scenario can fail.
//
// The tests need root, ip (iproute2), and iptables or nft with queue support.
// They build the program unless P2PWALL_BIN is the path of a built one. So the
// compiled test can run on a machine without Go:
//
//	go test -c -o e2e.test ./bench/e2e
//	P2PWALL_BIN=/usr/sbin/p2pwall ./e2e.test
//
// TestPrograms, TestSessions and TestLooksRandom use real programs from Debian, which
// bench/tools.sh installs, from npm, and the one in the folder random, a module of its own.
// README.md says what each of them shows.
//
// P2PWALL_BACKEND=nft or iptables chooses the backend; the default lets the
// program choose. P2PWALL_E2E=off runs TestWall without the wall: then every
// scenario must fail. P2PWALL_E2E_PACE=N is for slow machines, which the traffic of
// a workstation would overload. The innocent host then pauses N times as long between
// two actions, and the tests poll N times less often.
//
// The tests use a short lock time and the order of events. No test asserts how fast
// something is. Time limits are generous and only end a run that hangs.
package e2e
