// SPDX-License-Identifier: MIT
/*
 * The CPUs on which programs want to run. At first it is the engine's own, and
 * as many of the others as the host has virtual CPUs.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "calls.h"
#include "cpus.h"
#include "engine.h"
#include "host.h"
#include "inject.h"
#include "pids.h"
#include "scheduling.h"
#include "task.h"

void affinity_default(const struct host *host, cpu_set_t *cpus)
{
	uint32_t present = (uint32_t)sysconf(_SC_NPROCESSORS_CONF);

	if (present < host->cores)
		present = host->cores;
	if (present > CPU_SETSIZE)
		present = CPU_SETSIZE;
	CPU_ZERO(cpus);
	for (uint32_t i = 0; i < host->cores; i++)
		CPU_SET(((uint32_t)engine.cpu + i) % present, cpus);
}

/* Those that a program may ask for: the machine's, and its virtual ones. */
static void mask_possible(const struct task *task, cpu_set_t *cpus)
{
	long present = sysconf(_SC_NPROCESSORS_CONF);
	cpu_set_t possible;

	affinity_default(task->host, &possible);
	for (long i = 0; i < present; i++)
		CPU_SET((unsigned int)i, &possible);
	CPU_AND(cpus, cpus, &possible);
}

static int64_t setaffinity(struct task *asker, struct user_regs_struct *regs)
{
	size_t size = (uint32_t)regs->rsi;
	struct task *task;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	if (size > sizeof(cpus))
		size = sizeof(cpus);
	if (size && task_read(asker, regs->rdx, &cpus, size))
		return -EFAULT;
	task = (pid_t)regs->rdi < 0 ? NULL : pids_task(asker, (pid_t)regs->rdi);
	if (!task)
		return pids_refusal(asker, (pid_t)regs->rdi);
	if (!sched_is_same_owner(asker, task) && !sched_is_privileged(asker))
		return -EPERM;
	mask_possible(task, &cpus);
	if (!CPU_COUNT(&cpus))
		return -EINVAL;
	scheduling_of(task)->cpus = cpus;
	return 0;
}

void sched_setaffinity_call(struct task *task, struct user_regs_struct *regs)
{
	call_skip(task, regs, setaffinity(task, regs));
}

void sched_getaffinity_call(struct task *asker, struct user_regs_struct *regs)
{
	uint8_t answer[CPUS_MAX / 8] = { 0 };
	size_t wanted = (uint32_t)regs->rsi;
	const struct task *task;
	cpu_set_t cpus;
	long size;

	/* Every kernel has a size of its own, to which it answers. */
	size = syscall(SYS_sched_getaffinity, 0,
		       wanted < sizeof(answer) ? wanted : sizeof(answer), answer);
	if (size < 0) {
		call_skip(asker, regs, -errno);
		return;
	}
	task = (pid_t)regs->rdi < 0 ? NULL : pids_task(asker, (pid_t)regs->rdi);
	if (!task) {
		if (asker->process->level || (pid_t)regs->rdi < 0)
			call_skip(asker, regs, -ESRCH);
		return;
	}
	if (task->scheduling)
		cpus = task->scheduling->cpus;
	else
		affinity_default(task->host, &cpus);
	memset(answer, 0, sizeof(answer));
	memcpy(answer, &cpus, sizeof(cpus));
	if (task_write(asker, regs->rdx, answer, (size_t)size))
		size = -EFAULT;
	call_skip(asker, regs, size);
}
