// SPDX-License-Identifier: MIT
/*
 * What hosts and their tasks stand at: for those who ask, and for one line on
 * standard error when virtual time does not move because they wait. Those that
 * compute meanwhile are named by the watchdog.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <unistd.h>

#include "calls.h"
#include "engine.h"
#include "host.h"
#include "inspect.h"
#include "pace.h"
#include "procfs.h"
#include "syscall_names.h"
#include "task.h"

/* Virtual time may stand still so long, in real time, before a line says why. */
#define STALL (5 * NSEC_PER_SEC)

/* The call that a task is blocked in, as the kernel has it; "" if it runs. */
static const char *kernel_call(pid_t tid)
{
	static char number[24];
	char text[256], *end;
	unsigned long nr;

	procfs_read(tid, "syscall", text, sizeof(text));
	nr = strtoul(text, &end, 10);
	if (end == text || *text == '-')
		return "";
	if (nr < sizeof(syscall_names) / sizeof(syscall_names[0]) &&
	    syscall_names[nr])
		return syscall_names[nr];
	snprintf(number, sizeof(number), "call %lu", nr);
	return number;
}

static void describe_task(const struct task *task, struct kronos_task *info)
{
	static const uint32_t states[] = {
		[TASK_JOINING] = KRONOS_TASK_JOINING,
		[TASK_READY] = KRONOS_TASK_READY,
		[TASK_AWAY] = KRONOS_TASK_WAITING,
		[TASK_HELD] = KRONOS_TASK_STOPPED,
	};
	const char *call = timed_call_of(task);

	*info = (struct kronos_task){
		.pid = task->process->pid,
		.tid = task->tid,
		.state = states[task->state],
		.deadline = INT64_MAX,
	};
	if (call && task->wait.deadline != HEAP_NEVER)
		info->deadline = task->wait.deadline - engine.origin;
	if (task->state == TASK_AWAY && (!call || !*call))
		call = kernel_call(task->tid);
	if (call && task->state == TASK_AWAY)
		snprintf(info->call, sizeof(info->call), "%s", call);
	procfs_comm(task->tid, info->program, sizeof(info->program));
}

int inspect_host(uint32_t id, struct kronos_host_status *status)
{
	const struct host *host = host_get(id);
	int64_t next;

	if (!host)
		return -ENOENT;
	if (host->remote) /* its own worker answers */
		return 0;
	next = host_next(host);
	*status = (struct kronos_host_status){
		.clock = engine.origin ? host_now(host) - engine.origin : 0,
		.next = next == HEAP_NEVER ? INT64_MAX : next - engine.origin,
		.tasks = host->task_count,
		.pace = host->pace,
		.counter = host->counter,
		.cpu_speed = host->cpu_speed,
	};
	return 1;
}

int inspect_task(uint32_t id, int64_t index, struct kronos_task *info)
{
	const struct host *host = host_get(id);
	const struct task *task;

	if (!host)
		return -ENOENT;
	LIST_FOREACH(task, &host->tasks, host_entry)
		if (index-- == 0) {
			describe_task(task, info);
			return 1;
		}
	return 0;
}

static void give_up(struct task *task, void *arg)
{
	(void)arg;
	if (task->state != TASK_JOINING || task->overdue || !task->host)
		return;
	task->overdue = true;
	engine.joining--;
	engine_warn("%s: process %d has registered and does not begin its command; "
		    "virtual time goes on without it",
		    task->host->name, task->tid);
}

void give_up_joining(void)
{
	task_for_each(give_up, NULL);
}

/* ---- standstill -------------------------------------------------------- */

static struct {
	int64_t now;	/* where virtual time stands */
	uint64_t since; /* when it came there */
	bool told;
} stall;

void stall_restart(void)
{
	stall.now = engine.now;
	stall.since = tsc_now();
	stall.told = false;
}

int64_t stall_left(void)
{
	int64_t stood;

	if (stall.now != engine.now)
		stall_restart();
	stood = ns_since(stall.since);
	return stall.told ? INT64_MAX : stood < STALL ? STALL - stood : 0;
}

static void tell(const struct task *task, const char *why)
{
	struct kronos_task info = { 0 };
	char doing[sizeof(info.call) + 16] = "runs";

	describe_task(task, &info);
	if (info.call[0])
		snprintf(doing, sizeof(doing), "waits in %s()", info.call);
	engine_warn("virtual time has stood at %.6f s for %lld s of real time%s: %s: "
		    "process %d (%s) %s",
		    (double)(engine.now - engine.origin) / 1e9,
		    STALL / NSEC_PER_SEC, why, task->host->name, info.pid,
		    info.program, doing);
}

void stall_check(const struct task *task)
{
	if (engine.live || stall_left())
		return;
	stall.told = true;
	tell(task, "");
}

/* The youngest task of a host that computes, else of any. */
static const struct task *idle_task(void)
{
	const struct task *any = NULL, *task;

	for (uint32_t i = 0; i < engine.host_count; i++) {
		task = LIST_FIRST(&engine.hosts[i]->tasks);
		if (task && !host_is_instant(engine.hosts[i]))
			return task;
		any = any ? any : task;
	}
	return any;
}

bool stall_tell_idle(void)
{
	const struct task *task = idle_task();

	stall.told = true;
	if (task)
		tell(task, ", and nothing is due");
	return task;
}
