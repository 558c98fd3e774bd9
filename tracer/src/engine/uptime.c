// SPDX-License-Identifier: MIT
/*
 * /proc/uptime has no system call of its own to be caught at. So a tracer
 * mounts a file of a tmpfs over it, in a mount namespace that is not the
 * machine's, and the engine keeps the host's clock in it: a file has
 * hundredths of seconds, and one that is still right is left alone. Tasks of
 * several time namespaces may share a file: it shows that of the one that runs.
 *
 * Processes that share a file have it from their tracer, by fork, or because
 * their tracers joined the same namespace.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/magic.h>

#include "engine.h"
#include "host.h"
#include "live.h"
#include "procfs.h"
#include "task.h"
#include "uptime.h"

#define NSEC_PER_CENT (NSEC_PER_SEC / 100)
#define TEXT_SIZE 64 /* of what is in the file */

struct uptime_file {
	LIST_ENTRY(uptime_file) entry;
	unsigned int users; /* processes */
	int fd;
	dev_t dev;
	char *text;   /* the file, mapped */
	int length;
	int64_t shown;	/* hundredths of seconds that it shows */
	int64_t idle;	/* of the machine, when it was made, in ns; */
	int64_t busy;	/* then its host had used so much CPU time, */
	int64_t begin;	/* and its clock was this */
};

enum kronos_uptime uptime_wanted(const struct host *host, pid_t pid)
{
	if (!procfs_same_namespace("mnt", getpid(), pid))
		return KRONOS_UPTIME_MOUNT;
	/* What switches mount is for the machine to see. */
	return host_is_instant(host) ? KRONOS_UPTIME_LEAVE : KRONOS_UPTIME_UNSHARE;
}

static int64_t host_clock(const struct host *host)
{
	return engine.live ? live_now() : host_now(host);
}

static struct uptime_file *file_map(int fd, const struct stat *stat)
{
	struct uptime_file *file;
	double up, idle = 0;
	char *text;

	if (ftruncate(fd, TEXT_SIZE))
		return NULL;
	text = mmap(NULL, TEXT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (text == MAP_FAILED)
		return NULL;
	file = xcalloc(sizeof(*file));
	if (sscanf(text, "%lf %lf", &up, &idle) == 2)
		file->idle = (int64_t)(idle * NSEC_PER_SEC);
	file->fd = fd;
	file->dev = stat->st_dev;
	file->text = text;
	return file;
}

void uptime_join(struct process *process)
{
	struct host *host = process->host;
	struct uptime_file *file;
	struct statfs system;
	struct stat stat;
	char path[48];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/root/proc/uptime", process->pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fstatfs(fd, &system) || system.f_type != TMPFS_MAGIC || fstat(fd, &stat)) {
		close(fd);
		return;
	}
	LIST_FOREACH(file, &host->uptimes, entry)
		if (file->dev == stat.st_dev)
			break;
	if (file) {
		close(fd);
	} else {
		file = file_map(fd, &stat);
		if (!file) {
			close(fd);
			return;
		}
		file->begin = host_clock(host);
		file->busy = host->busy;
		LIST_INSERT_HEAD(&host->uptimes, file, entry);
	}
	file->users++;
	process->uptime = file;
}

void uptime_share(struct process *child, const struct process *parent)
{
	child->uptime = parent->uptime;
	if (child->uptime)
		child->uptime->users++;
}

void uptime_forget(struct process *process)
{
	struct uptime_file *file = process->uptime;

	process->uptime = NULL;
	if (!file || --file->users)
		return;
	LIST_REMOVE(file, entry);
	munmap(file->text, TEXT_SIZE);
	close(file->fd);
	free(file);
}

void uptime_reveal(const struct task *task)
{
	char path[48];
	pid_t child;
	int ns;

	if (!task->process->uptime)
		return;
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", task->tid);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0)
		return;
	/* Only a process with one thread may change its mount namespace. */
	child = fork();
	if (!child)
		_exit(setns(ns, CLONE_NEWNS) || umount2("/proc/uptime", MNT_DETACH));
	if (child > 0)
		waitpid(child, NULL, 0);
	close(ns);
}

/* Writes hundredths as seconds that end before `end`: each waking host needs some. */
static char *seconds_before(char *end, int64_t hundredths)
{
	for (int digits = 0; digits < 3 || hundredths; digits++) {
		if (digits == 2)
			*--end = '.';
		*--end = (char)('0' + hundredths % 10);
		hundredths /= 10;
	}
	return end;
}

static void file_write(struct uptime_file *file, int64_t up, int64_t idle)
{
	char text[TEXT_SIZE], *end = text + sizeof(text), *begin = end;
	int length;

	*--begin = '\n';
	begin = seconds_before(begin, idle);
	*--begin = ' ';
	begin = seconds_before(begin, up);
	length = (int)(end - begin);
	if (length != file->length && !ftruncate(file->fd, length))
		file->length = length;
	memcpy(file->text, begin, (size_t)length);
	file->shown = up;
}

void uptime_update(const struct task *task)
{
	struct host *host = task->host;
	int64_t clock, up, idle;
	struct uptime_file *file;

	if (LIST_EMPTY(&host->uptimes))
		return;
	clock = host_clock(host);
	LIST_FOREACH(file, &host->uptimes, entry) {
		up = clock + engine.boottime;
		if (file == task->process->uptime)
			up += task->process->timens.boottime;
		up /= NSEC_PER_CENT;
		if (file->shown == up)
			continue;
		idle = (clock - file->begin) * host->cores - (host->busy - file->busy);
		if (idle < 0)
			idle = 0;
		file_write(file, up, (file->idle + idle) / NSEC_PER_CENT);
	}
}
