// SPDX-License-Identifier: MIT
/*
 * Who waits for what is typed: a task that reads from its host's terminal, or
 * waits without a timeout until it can. Nothing will come of it until somebody
 * types, in real time; those who do so let virtual time stand meanwhile.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engine.h"
#include "host.h"
#include "task.h"
#include "terminal.h"

#define FDS_MAX 64 /* more than a program waits for that waits for one */

struct terminal {
	dev_t device;
	int fd;		     /* readable while `waiting` is not 0 */
	unsigned int waiting; /* tasks */
};

int terminal_watch(uint32_t id, int64_t device, int fd)
{
	struct host *host = host_get(id);
	struct task *task;

	if (!host || fd < 0)
		return -EINVAL;
	if (host->terminal)
		close(host->terminal->fd);
	else
		host->terminal = xcalloc(sizeof(*host->terminal));
	*host->terminal = (struct terminal){ .device = (dev_t)device, .fd = fd };
	LIST_FOREACH(task, &host->tasks, host_entry)
		task->typed_for = false;
	return 0;
}

static bool is_terminal(const struct task *task, int fd)
{
	struct stat status;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", task->tid, fd);
	return !stat(path, &status) && S_ISCHR(status.st_mode) &&
	       (status.st_rdev == task->host->terminal->device ||
		status.st_rdev == makedev(5, 0)); /* /dev/tty */
}

static bool read_memory(const struct task *task, unsigned long from, void *to, size_t size)
{
	struct iovec local = { to, size }, remote = { (void *)from, size };

	return process_vm_readv(task->tid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

static bool polls_it(const struct task *task, unsigned long fds, unsigned long count)
{
	struct pollfd polled[FDS_MAX];

	if (!count || count > FDS_MAX ||
	    !read_memory(task, fds, polled, count * sizeof(*polled)))
		return false;
	for (unsigned long i = 0; i < count; i++)
		if (polled[i].fd >= 0 && !is_terminal(task, polled[i].fd))
			return false;
	return true;
}

static bool selects_it(const struct task *task, unsigned long count, const unsigned long *sets)
{
	uint64_t set;
	bool found = false;

	if (count > FDS_MAX)
		return false;
	for (int kind = 0; kind < 3; kind++) {
		/* The kernel takes whole longs. */
		if (!sets[kind] || !count)
			continue;
		if (!read_memory(task, sets[kind], &set, sizeof(set)))
			return false;
		if (count < FDS_MAX)
			set &= (1ULL << count) - 1;
		for (int fd = 0; set; fd++, set >>= 1) {
			if (!(set & 1))
				continue;
			if (!is_terminal(task, fd))
				return false;
			found |= kind == 0;
		}
	}
	return found;
}

/* What it is blocked in, as the kernel has it. */
static bool waits_for_typing(const struct task *task)
{
	unsigned long call[6] = { 0 };
	char path[64];
	FILE *file;
	int nr;

	if (task->wait.call)
		return false; /* it has a deadline */
	snprintf(path, sizeof(path), "/proc/%d/syscall", task->tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fscanf(file, "%d %lx %lx %lx %lx %lx %lx", &nr, &call[0], &call[1], &call[2],
		   &call[3], &call[4], &call[5]) < 7)
		nr = -1;
	fclose(file);
	switch (nr) {
	case SYS_read:
	case SYS_readv:
		return is_terminal(task, (int)call[0]);
	case SYS_poll:
	case SYS_ppoll:
		return polls_it(task, call[0], call[1]);
	case SYS_select:
	case SYS_pselect6:
		return selects_it(task, call[0], call + 1);
	}
	return false;
}

void terminal_blocked(struct task *task)
{
	if (!task->host->terminal || task->typed_for || !waits_for_typing(task))
		return;
	task->typed_for = true;
	task->host->terminal->waiting++;
	eventfd_signal(task->host->terminal->fd);
}

void terminal_left(struct task *task)
{
	if (!task->typed_for)
		return;
	task->typed_for = false;
	if (--task->host->terminal->waiting == 0)
		eventfd_clear(task->host->terminal->fd);
}
