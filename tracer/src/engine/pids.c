// SPDX-License-Identifier: MIT
/*
 * The engine knows tasks by their ids in its own pid namespace. Those that are
 * in one below it know themselves and each other by other ids, which are in
 * their system calls: /proc tells them, from the engine's namespace downwards.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "calls.h"
#include "clocks.h"
#include "cputime.h"
#include "engine.h"
#include "host.h"
#include "inject.h"
#include "pids.h"
#include "task.h"

#define LEVELS_MAX 33 /* the kernel's MAX_PID_NS_LEVEL, and the first */

/* The ids of a task at each level; how many there are. */
static unsigned int read_ids(pid_t tid, pid_t ids[LEVELS_MAX])
{
	unsigned int count = 0;
	char path[32], line[512], *text = NULL, *end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (!text && fgets(line, sizeof(line), file))
		if (!strncmp(line, "NSpid:", 6))
			text = line + 6;
	fclose(file);
	for (; text && count < LEVELS_MAX; text = end) {
		ids[count] = (pid_t)strtol(text, &end, 10);
		if (end == text)
			break;
		count++;
	}
	return count;
}

/* Its ids, of it and of its parent, are to be found out. */
static void find_level(struct process *process, const struct process *parent)
{
	pid_t ids[LEVELS_MAX];
	unsigned int count = read_ids(process->pid, ids);

	if (!count)
		return;
	process->level = count - 1;
	if (parent && parent->level < count)
		process->seen_pid = ids[parent->level];
}

void pids_join(struct process *process)
{
	find_level(process, NULL);
}

void pids_fork(struct process *child, struct process *parent, uint64_t flags)
{
	if (parent->level || parent->level_changes || flags & CLONE_NEWPID)
		find_level(child, parent);
}

void pids_unshare(struct task *task, struct user_regs_struct *regs)
{
	if (regs->orig_rax == SYS_setns || regs->rdi & CLONE_NEWPID)
		task->process->level_changes = true;
}

static bool same_namespace(pid_t a, pid_t b)
{
	struct stat one, other;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", a);
	if (stat(path, &one))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", b);
	return !stat(path, &other) && one.st_ino == other.st_ino &&
	       one.st_dev == other.st_dev;
}

struct task *pids_task(struct task *asker, pid_t id)
{
	unsigned int level = asker->process->level;
	pid_t ids[LEVELS_MAX];
	struct task *task;

	if (!id)
		return asker;
	if (!level) {
		task = task_find(id);
		return task && task->host ? task : NULL;
	}
	LIST_FOREACH(task, &asker->host->tasks, host_entry)
		if (task->process->level >= level &&
		    read_ids(task->tid, ids) > level && ids[level] == id &&
		    (task->process->level > level ||
		     same_namespace(task->tid, asker->tid)))
			return task;
	return NULL;
}
