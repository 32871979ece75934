// SPDX-License-Identifier: GPL-2.0-or-later
//
// qemucount is a plugin for QEMU's user mode that counts the guest's
// instructions and prints the number to standard error at the end.
//
//	cc -shared -fPIC -o qemucount.so qemucount.c
//	qemu-mips -plugin ./qemucount.so PROGRAM
//
// Debian ships QEMU without its plugin header. The declarations here follow
// include/qemu/qemu-plugin.h of QEMU 7.2 (API version 1).

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };

typedef void (*translate_cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*execute_cb)(unsigned int vcpu, void *data);
typedef void (*exit_cb)(qemu_plugin_id_t id, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translate_cb cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, execute_cb cb,
					  enum qemu_plugin_cb_flags flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, exit_cb cb, void *data);

int qemu_plugin_version = 1;

// The plugin counts each thread of the guest and prints the highest count. A Go program
// has another thread that only monitors; how often that one runs depends on the time.
enum { THREADS = 64 };
static uint64_t executed[THREADS];

static void run(unsigned int vcpu, void *count)
{
	executed[vcpu % THREADS] += (uintptr_t)count;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	(void)id;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, run, QEMU_PLUGIN_CB_NO_REGS,
					     (void *)(uintptr_t)qemu_plugin_tb_n_insns(tb));
}

static void ended(qemu_plugin_id_t id, void *data)
{
	uint64_t most = 0;

	(void)id;
	(void)data;
	for (int i = 0; i < THREADS; i++)
		if (executed[i] > most)
			most = executed[i];
	fprintf(stderr, "instructions %llu\n", (unsigned long long)most);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	(void)info;
	(void)argc;
	(void)argv;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, ended, NULL);
	return 0;
}
