// SPDX-License-Identifier: MIT
/*
 * Timerfds. The kernel's own timers are never armed: the engine has a duplicate
 * of each descriptor, through which it gives the file its ticks.
 *
 * A file may have several descriptors, in several processes: they are told
 * apart by kcmp(). Each timer is listed with one process that has it open.
 */
#include <dirent.h>
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/kcmp.h>

#include "calls.h"
#include "clocks.h"
#include "cputime.h"
#include "engine.h"
#include "host.h"
#include "inject.h"
#include "procfs.h"
#include "task.h"
#include "timers.h"

#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)
#endif

/* A file that nobody has open may be on its way through a socket. */
#define MISSES_MAX 8

struct file {
	pid_t pid;
	int fd;
};

struct timerfd {
	struct file own; /* the engine's duplicate; first, for the tree */
	struct timer timer;
	LIST_ENTRY(timerfd) entry;
	struct process *process;
	int fd;	   /* in the process */
	unsigned int misses; /* expiries at which nobody had it open */
};

static void *timerfds; /* all of them, in kcmp()'s order */

static int compare(const void *a, const void *b)
{
	const struct file *one = a, *other = b;
	long result = syscall(SYS_kcmp, one->pid, other->pid, KCMP_FILE, one->fd,
			      other->fd);

	return result == 2 ? -1 : (int)result; /* 0: the same, 1: before, 2: after */
}

static bool is_open(const struct timerfd *timer, pid_t pid, int fd)
{
	const struct file file = { pid, fd };

	return !compare(&file, &timer->own);
}

static void timerfd_free(struct timerfd *timer)
{
	timer_cancel(&timer->timer, timer->process->host);
	LIST_REMOVE(timer, entry);
	tdelete(timer, &timerfds, compare);
	close(timer->own.fd);
	free(timer);
}

static void timerfd_move(struct timerfd *timer, struct process *process, int fd)
{
	LIST_REMOVE(timer, entry);
	LIST_INSERT_HEAD(&process->timerfds, timer, entry);
	timer->process = process;
	timer->fd = fd;
}

static bool find_in_process(struct timerfd *timer, struct process *process)
{
	char path[48], target[32];
	struct dirent *entry;
	bool found = false;
	ssize_t size;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/fd", process->pid);
	directory = opendir(path);
	while (directory && !found && (entry = readdir(directory))) {
		size = readlinkat(dirfd(directory), entry->d_name, target, sizeof(target));
		if (size < 1 || !memmem(target, (size_t)size, "timerfd", 7))
			continue;
		found = is_open(timer, process->pid, atoi(entry->d_name));
		if (found)
			timerfd_move(timer, process, atoi(entry->d_name));
	}
	if (directory)
		closedir(directory);
	return found;
}

/* Where it was it is not open any more. Is it elsewhere in its host? */
static bool find_holder(struct timerfd *timer, const struct process *ending)
{
	struct host *host = timer->process->host;
	struct task *task;

	LIST_FOREACH(task, &host->tasks, host_entry)
		if (task->tid == task->process->pid && task->process != ending &&
		    find_in_process(timer, task->process))
			return true;
	return false;
}

static bool is_held(struct timerfd *timer)
{
	return is_open(timer, timer->process->pid, timer->fd) || find_holder(timer, NULL);
}

static void timerfd_fire(struct event *event, struct host *host)
{
	struct timerfd *timer = container_of(event, struct timerfd, timer.event);
	int64_t unread = procfs_fdinfo(getpid(), timer->own.fd, "ticks:");
	uint64_t ticks = (uint64_t)timer_expiries(&timer->timer, host);

	if (unread > 0)
		ticks += (uint64_t)unread;
	if (ioctl(timer->own.fd, TFD_IOC_SET_TICKS, &ticks)) {
		/* A kernel without it: the shortest real timer gives one tick. */
		const struct itimerspec soon = { .it_value.tv_nsec = 1 };

		timerfd_settime(timer->own.fd, 0, &soon, NULL);
	}
	if (is_held(timer)) {
		timer->misses = 0;
	} else if (!timer->timer.interval || ++timer->misses > MISSES_MAX) {
		timerfd_free(timer);
		return;
	}
	timer_again(&timer->timer, host, unread <= 0);
	task_drain();
}

static struct timerfd *timerfd_get(struct process *process, int fd)
{
	const struct file file = { process->pid, fd };
	struct timerfd *timer, **found;

	LIST_FOREACH(timer, &process->timerfds, entry)
		if (timer->fd == fd)
			break;
	if (timer && is_open(timer, process->pid, fd))
		return timer;
	/* The number is another file's now. */
	if (timer && !find_holder(timer, NULL))
		timerfd_free(timer);
	found = tfind(&file, &timerfds, compare);
	return found ? *found : NULL;
}

static struct timerfd *timerfd_open(struct process *process, int fd)
{
	struct timerfd *timer = timerfd_get(process, fd);
	int own;

	if (timer || procfs_fdinfo(process->pid, fd, "clockid:") < 0)
		return timer;
	own = process_open(process, fd);
	if (own < 0)
		return NULL;
	timer = xcalloc(sizeof(*timer));
	timer->own.pid = getpid();
	timer->own.fd = own;
	timer->fd = fd;
	timer->process = process;
	timer->timer.event.fire = timerfd_fire;
	timer->timer.visible = true;
	LIST_INSERT_HEAD(&process->timerfds, timer, entry);
	tsearch(timer, &timerfds, compare);
	return timer;
}

static int timerfd_write(struct task *task, const struct timerfd *timer,
			 uint64_t address)
{
	struct itimerspec value = { 0 };

	if (!address)
		return 0;
	if (timer) {
		value.it_interval = ns_to_timespec(timer->timer.interval);
		value.it_value = ns_to_timespec(timer_left(&timer->timer, task->host));
	}
	return task_write(task, address, &value, sizeof(value));
}

static int64_t timerfd_clock_offset(const struct process *process,
				    const struct timerfd *timer)
{
	int64_t offset = 0;

	clock_offset(process, procfs_fdinfo(getpid(), timer->own.fd, "clockid:"), &offset);
	return offset;
}

void timers_timerfd_settime(struct task *task, struct user_regs_struct *regs)
{
	static const struct itimerspec disarmed;
	struct itimerspec value;
	struct timerfd *timer;
	int result;

	timer = timerfd_open(task->process, (int)regs->rdi);
	if (!timer)
		return; /* the kernel says what is wrong with it */
	result = itimerspec_read(task, regs->rdx, &value);
	if (!result && (int)regs->rsi & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET))
		result = -EINVAL;
	if (!result)
		result = timerfd_write(task, timer, regs->r10);
	if (result) {
		call_skip(task, regs, result);
		return;
	}
	/* Takes back ticks that were not read. */
	timerfd_settime(timer->own.fd, 0, &disarmed, NULL);
	timer->timer.interval = timespec_to_ns(&value.it_interval);
	timer_set(&timer->timer, timer->process->host, timespec_to_ns(&value.it_value),
		  regs->rsi & TFD_TIMER_ABSTIME,
		  timerfd_clock_offset(task->process, timer));
	call_skip(task, regs, 0);
}

void timers_timerfd_gettime(struct task *task, struct user_regs_struct *regs)
{
	const struct timerfd *timer = timerfd_get(task->process, (int)regs->rdi);

	if (timer)
		call_skip(task, regs, timerfd_write(task, timer, regs->rsi));
}

/* ---- the end of a process ---------------------------------------------- */

void timerfds_exec(struct process *process)
{
	struct timerfd *timer, *next;

	for (timer = LIST_FIRST(&process->timerfds); timer; timer = next) {
		next = LIST_NEXT(timer, entry);
		if (!is_held(timer))
			timerfd_free(timer);
	}
}

void timerfds_forget(struct process *process)
{
	struct timerfd *timer;

	while ((timer = LIST_FIRST(&process->timerfds)))
		if (!find_holder(timer, process))
			timerfd_free(timer);
}
