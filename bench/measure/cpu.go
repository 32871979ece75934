// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// loadCPU runs the generator, programCPU the program that is measured.
const (
	loadCPU    = 0
	programCPU = 1
)

// niceness of generator and program. They run before all other work of the machine, which
// would otherwise delay them. A window is short, so other work does not wait long.
const niceness = -20

// autogroup has the niceness of the whole session. If the file exists, the niceness of a
// process counts only within its session.
const autogroup = "/proc/self/autogroup"

// first raises the session's priority above others until restore is called.
func first() (restore func()) {
	b, err := os.ReadFile(autogroup)
	if err != nil {
		return func() {}
	}
	f := strings.Fields(string(b))
	if os.WriteFile(autogroup, []byte(strconv.Itoa(niceness)), 0o644) != nil || len(f) == 0 {
		return func() {}
	}
	return func() { _ = os.WriteFile(autogroup, []byte(f[len(f)-1]), 0o644) }
}

// pin binds the calling goroutine to a thread and the thread to a processor, until unpin
// is called. Processes that the goroutine starts inherit the processor.
func pin(cpu int) (unpin func(), err error) {
	runtime.LockOSThread()
	var old, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		return nil, err
	}
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("processor %d: %w", cpu, err)
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), niceness); err != nil {
		return nil, err
	}
	return func() {
		_ = unix.SchedSetaffinity(0, &old)
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 0)
		runtime.UnlockOSThread()
	}, nil
}

// processTime is the CPU time of another process so far.
func processTime(pid int) (time.Duration, error) {
	const processClock = 2 // CPUCLOCK_SCHED, see linux/posix-timers.h
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|processClock), &t); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// threadTime is the CPU time of the calling thread so far.
func threadTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}

// memory returns the resident memory of a process in KiB.
func memory(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strconv.ParseFloat(strings.Fields(rest)[0], 64)
		}
	}
	return 0, fmt.Errorf("process %d has no VmRSS", pid)
}

// machineTime returns how long all processors were busy, and how long they existed.
func machineTime() (busy, all float64) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	for i, f := range strings.Fields(line)[1:] {
		v, _ := strconv.ParseFloat(f, 64)
		if i < 8 { // user time includes guest time
			all += v
		}
		if i != 3 && i != 4 && i < 8 { // idle, iowait
			busy += v
		}
	}
	return busy, all
}

// load is the load average of the last minute.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(b))[0]
}
