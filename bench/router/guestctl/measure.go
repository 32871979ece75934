// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpu prints the CPU time that a process has used, in nanoseconds. It reads the process's
// CPU clock, because /proc/PID/stat counts in ticks of 10 ms.
func cpu(pid int) error {
	const processClock = 2 // CPUCLOCK_SCHED, see linux/posix-timers.h
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|processClock), &t); err != nil {
		return fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	fmt.Println(t.Nano())
	return nil
}

// queueLine returns the columns of one queue in the kernel's list, nil when no program
// has the queue.
func queueLine(number int) []int {
	f, err := os.Open("/proc/net/netfilter/nfnetlink_queue")
	if err != nil {
		return nil
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var columns []int
		for field := range strings.FieldsSeq(s.Text()) {
			n, _ := strconv.Atoi(field)
			columns = append(columns, n)
		}
		if len(columns) >= 8 && columns[0] == number {
			return columns
		}
	}
	return nil
}

// first starts a command, lets it run on, and prints how many milliseconds passed until
// the first verdict of the queue. This is when the queue has numbered a packet and none
// waits. Another process must send the packets.
func first(args []string) error {
	if len(args) < 3 || args[1] != "--" {
		return fmt.Errorf("first: QUEUE -- COMMAND wanted")
	}
	number, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	command := exec.Command(args[2], args[3:]...)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	begin := time.Now()
	if err := command.Start(); err != nil {
		return err
	}
	for time.Since(begin) < time.Minute {
		if q := queueLine(number); q != nil && q[7] > 0 && q[2] == 0 {
			fmt.Println(time.Since(begin).Milliseconds())
			return nil
		}
		time.Sleep(2 * time.Millisecond)
	}
	return fmt.Errorf("no verdict within a minute")
}

// service starts a command as a process that outlives this one. It writes the process id
// to one file and sends the output to another.
func service(args []string) error {
	if len(args) < 3 {
		return fmt.Errorf("service: PIDFILE LOG COMMAND wanted")
	}
	log, err := os.OpenFile(args[1], os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	command := exec.Command(args[2], args[3:]...)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return err
	}
	return os.WriteFile(args[0], []byte(strconv.Itoa(command.Process.Pid)+"\n"), 0o644)
}
