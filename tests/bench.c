/* SPDX-License-Identifier: GPL-2.0-only */
/* What the gate costs: its program for one packet, and whole paths through it
 * in CPU time. Prints a table and writes $B/bench.json. It measures and never
 * judges: the exit status says only whether everything could be measured.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "measure/measure.h"

/* Nothing is left behind: mounts, pins and namespaces go with the process. */
static bool private_world(void)
{
	if (geteuid())
		return complain("needs root");
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("bpffs", "/sys/fs/bpf", "bpf", 0, "mode=0700"))
		return complain("cannot mount a bpffs of its own: %s",
				strerror(errno));
	return true;
}

static void print_machine(void)
{
	char line[256], model[200] = "unknown processor";
	FILE *file = fopen("/proc/cpuinfo", "re");
	struct utsname u;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "model name : %199[^\n]", model) == 1)
			break;
	if (file)
		fclose(file);
	uname(&u);
	printf("kernel %s %s, %s, %ld cores\n", u.release, u.machine, model,
	       sysconf(_SC_NPROCESSORS_ONLN));
	puts("nanoseconds a packet; programs net of an empty one, paths in "
	     "CPU time of the gate");
}

/* One core; `first`: before all ordinary work, which would leave its own lines
 * in the caches. */
static bool place(int cpu, bool first)
{
	struct sched_param priority = { .sched_priority = first };
	int policy = first ? SCHED_FIFO : SCHED_OTHER;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setscheduler(0, policy, &priority) ||
	    sched_setaffinity(0, sizeof(set), &set))
		return complain("cannot have a core: %s", strerror(errno));
	return true;
}

int main(void)
{
	static struct figures all;
	const char *build = getenv("B") ?: "build";
	char path[512];
	size_t steps, paths;
	int err;

	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	setlinebuf(stdout);
	print_machine();
	if (!private_world() ||
	    !place(sysconf(_SC_NPROCESSORS_ONLN) - 1, true) ||
	    !programs_measure(&all))
		return 1;
	figures_print(&all, 0, "program");
	steps = all.n;
	if (!messages_measure(&all, build))
		return 1;
	figures_print(&all, steps, "steps, a message");
	paths = all.n;
	if (!place(0, false) || !paths_measure(&all))
		return 1;
	figures_print(&all, paths, "path");
	snprintf(path, sizeof(path), "%s/bench.json", build);
	err = figures_write(&all, path);
	if (err)
		complain("cannot write %s: %s", path, strerror(-err));
	return err != 0;
}
