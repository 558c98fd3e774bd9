// SPDX-License-Identifier: MIT
/*
 * The engine knows tasks by their ids in its own pid namespace. Those that are
 * in one below it know themselves and each other by other ids, which are in
 * their system calls: /proc tells them, from the engine's namespace downwards.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#include "engine.h"
#include "host.h"
#include "pids.h"
#include "procfs.h"
#include "task.h"

#define LEVELS_MAX 33 /* the kernel's MAX_PID_NS_LEVEL, and the first */

/* The ids of a task at each level; how many there are. */
static unsigned int read_ids(pid_t tid, pid_t ids[LEVELS_MAX])
{
	unsigned int count = 0;
	struct procfs_field field = { .key = "NSpid:" };
	char *text, *end;

	if (!procfs_status(tid, &field, 1))
		return 0;
	for (text = field.text; count < LEVELS_MAX; text = end) {
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
		     procfs_same_namespace("pid", task->tid, asker->tid)))
			return task;
	return NULL;
}

int64_t pids_refusal(const struct task *asker, pid_t id)
{
	bool exists = !asker->process->level && id > 0 && !kill(id, 0);

	return exists ? -EPERM : -ESRCH;
}
