// SPDX-License-Identifier: MIT
/*
 * Time namespaces add something to CLOCK_MONOTONIC and CLOCK_BOOTTIME. The kernel
 * keeps what it is, and says so in /proc; it is added to the virtual clocks. A
 * process that makes a namespace stays in its own: its children are in the new one,
 * and so is the program that it executes, if the kernel is new enough.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/sched.h>

#include "engine.h"
#include "procfs.h"
#include "task.h"
#include "timens.h"

/* Of the namespace that its children are in; all 0 if there are none. */
static struct timens read_offsets(pid_t pid)
{
	struct timens found = { 0 };
	char path[48], clock[16];
	long long seconds, nanoseconds;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/timens_offsets", pid);
	file = fopen(path, "re");
	if (!file)
		return found;
	while (fscanf(file, "%15s %lld %lld", clock, &seconds, &nanoseconds) == 3)
		*(strcmp(clock, "boottime") ? &found.monotonic : &found.boottime) =
			seconds * NSEC_PER_SEC + nanoseconds;
	fclose(file);
	return found;
}

void timens_look(struct process *process)
{
	struct timens own = read_offsets(getpid()), its = read_offsets(process->pid);

	if (!procfs_entered_namespace("time", process->pid))
		return;
	process->timens.monotonic = its.monotonic - own.monotonic;
	process->timens.boottime = its.boottime - own.boottime;
}

void timens_fork(struct process *child, const struct process *parent, uint64_t flags)
{
	child->timens = parent->timens;
	if (parent->timens_changes || flags & CLONE_NEWTIME)
		timens_look(child);
}

void timens_exec(struct process *process)
{
	if (process->timens_changes)
		timens_look(process);
}
