// SPDX-License-Identifier: GPL-2.0-or-later

package main

import "fmt"

// machine is one emulated router.
type machine struct {
	Arch    string   // the name users give
	Debian  string   // Debian's architecture, "" if Debian has none
	Suite   string   // Debian's suite, "" for the host's
	Kernel  string   // Debian's kernel package, "" if the kernel is built here
	Go      []string // environment of the Go build
	Package string   // OpenWrt's architecture, in the package's name
	CC      string   // cross compiler's prefix
	QEMU    []string // command and board
	Disk    string   // QEMU's device for the disk
	Shift   int      // nanoseconds per instruction, as a power of two; 0 means 1
	Waits   bool     // its clock runs while it sleeps, see clock
	Console string
	// MB is the machine's memory: 64, the least for OpenWrt in practice, or the least
	// that the machine's kernel boots with.
	MB int
	// Outside lists the tools that run on the host, see remote.go.
	Outside []string
}

// clock returns the QEMU options that make a machine's clock count instructions: two
// nanoseconds each, about as long as on a router's processor, unless Shift says otherwise.
// While the machine sleeps, its clock jumps to the next timer. So a busy host makes a
// machine slow but nothing in it late, waiting costs nothing, and CPU times are counts of
// instructions. The malta board hangs with a clock that jumps; its clock runs on during
// sleep. It still needs the instruction clock: without it, sleeps sometimes last 27 seconds
// too long. The kernel measures the processor's speed against the RTC, so the RTC must use
// the same clock.
func (m *machine) clock() []string {
	sleep := map[bool]string{true: "on", false: "off"}[m.Waits]
	return []string{"-icount", fmt.Sprintf("shift=%d,sleep=%s", max(m.Shift, 1), sleep), "-rtc", "clock=vm"}
}

var machines = []machine{
	{
		Arch:    "mips",
		Go:      []string{"GOARCH=mips", "GOMIPS=softfloat"},
		Package: "mips_24kc",
		CC:      "mips-linux-gnu-",
		Waits:   true,
		QEMU:    []string{"qemu-system-mips", "-M", "malta", "-cpu", "24Kc"},
		Disk:    "virtio-blk-pci,addr=0x14",
		Shift:   3, // with 1 both malta boards sometimes hang
		Console: "ttyS0", MB: 64,
		Outside: []string{"nft", "ipset"},
	},
	{
		Arch: "mipsel", Debian: "mipsel", Kernel: "linux-image-4kc-malta",
		Go:      []string{"GOARCH=mipsle", "GOMIPS=softfloat"},
		Package: "mipsel_24kc",
		CC:      "mipsel-linux-gnu-",
		Waits:   true,
		QEMU:    []string{"qemu-system-mipsel", "-M", "malta"},
		Disk:    "virtio-blk-pci,addr=0x14",
		Shift:   3,
		Console: "ttyS0", MB: 64,
	},
	{
		Arch: "arm", Debian: "armhf", Kernel: "linux-image-armmp",
		Go:      []string{"GOARCH=arm", "GOARM=7"},
		Package: "arm_cortex-a7_neon-vfpv4",
		CC:      "arm-linux-gnueabihf-",
		QEMU:    []string{"qemu-system-arm", "-M", "virt", "-cpu", "cortex-a7"},
		Disk:    "virtio-blk-device",
		Console: "ttyAMA0", MB: 80, // with 64 the scenarios run out of memory
	},
	{
		Arch: "arm64", Debian: "arm64", Kernel: "linux-image-cloud-arm64",
		Go:      []string{"GOARCH=arm64"},
		Package: "aarch64_cortex-a53",
		CC:      "aarch64-linux-gnu-",
		QEMU:    []string{"qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53"},
		Disk:    "virtio-blk-device",
		Console: "ttyAMA0", MB: 96,
	},
	x86(""),
	// The kernels and nft versions of Debian's other suites, from 5.10 and 0.9.8 on. They
	// cover OpenWrt from 21.02 to today, and gateways.
	x86("bullseye"), x86("trixie"), x86("sid"),
}

// x86 is an x86 machine with the kernel and the tools of one of Debian's suites, or of the
// host's.
func x86(suite string) machine {
	m := machine{
		Arch: "x86_64", Debian: "amd64", Suite: suite, Kernel: "linux-image-cloud-amd64",
		Go:      []string{"GOARCH=amd64"},
		Package: "x86_64",
		CC:      "x86_64-linux-gnu-",
		QEMU:    []string{"qemu-system-x86_64", "-accel", "tcg", "-cpu", "max"},
		Disk:    "virtio-blk-pci",
		Console: "ttyS0", MB: 128, // this kernel alone takes 36 MB: 64 do not boot, with 80 the tools thrash
	}
	if suite != "" {
		m.Arch += "-" + suite
		m.MB = 256 // newer kernels take more, and with less the scenarios read their programs again and again
	}
	return m
}
