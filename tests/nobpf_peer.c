/* SPDX-License-Identifier: GPL-2.0-only */
/* Runs a command where bpf(2) is refused, as on a kernel without it, or in a
 * container that forbids it:
 *
 *   nobpf_peer ENOSYS|EPERM COMMAND [ARGUMENT]...
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int refuse_bpf(int error)
{
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {
		.len = sizeof(program) / sizeof(program[0]),
		.filter = program,
	};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

int main(int argc, char **argv)
{
	int error;

	if (argc < 3)
		return 2;
	error = strcmp(argv[1], "EPERM") ? ENOSYS : EPERM;
	if (refuse_bpf(error)) {
		perror("nobpf_peer: cannot refuse bpf(2)");
		return 1;
	}
	execv(argv[2], argv + 2);
	perror("nobpf_peer: cannot run the command");
	return 1;
}
