// SPDX-License-Identifier: GPL-2.0-or-later

package state

// Checksum returns the CRC-32 of IEEE 802.3, as hash/crc32 does. That package is fast, and
// takes 3 KiB of the program. Only files that are saved now and then are summed here.
func Checksum(b []byte) uint32 {
	const polynomial = 0xedb88320 // reversed: the lowest bit comes first
	sum := ^uint32(0)
	for _, c := range b {
		sum ^= uint32(c)
		for range 8 {
			sum = sum>>1 ^ polynomial&-(sum&1)
		}
	}
	return ^sum
}
