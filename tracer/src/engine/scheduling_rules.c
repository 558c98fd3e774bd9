// SPDX-License-Identifier: MIT
/* What the kernel would say to those who ask for a policy: whether it is one, and theirs to have. */
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/sched.h>

#include "procfs.h"
#include "scheduling.h"
#include "task.h"

#define RT_PRIORITY_MAX 99

static bool is_realtime(uint32_t policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

bool sched_is_fair(uint32_t policy)
{
	return policy == SCHED_NORMAL || policy == SCHED_BATCH;
}

/* ---- permissions -------------------------------------------------------- */

/* CAP_SYS_NICE counts only in the machine's user namespace. */
bool sched_is_privileged(const struct task *task)
{
	return procfs_same_namespace("user", getpid(), task->tid) &&
	       procfs_status_set(task->tid, "CapEff:") >> CAP_SYS_NICE & 1;
}

bool sched_is_same_owner(const struct task *a, const struct task *b)
{
	struct stat one, other;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", a->tid);
	if (stat(path, &one))
		return false;
	snprintf(path, sizeof(path), "/proc/%d", b->tid);
	return !stat(path, &other) && one.st_uid == other.st_uid;
}

static rlim_t limit_of(const struct task *task, int resource)
{
	struct rlimit limit = { 0 };

	prlimit(task->tid, (enum __rlimit_resource)resource, NULL, &limit);
	return limit.rlim_cur;
}

static bool nice_permitted(const struct task *task, int nice)
{
	return nice >= getpriority(PRIO_PROCESS, (id_t)task->tid) ||
	       (rlim_t)(20 - nice) <= limit_of(task, RLIMIT_NICE);
}

bool sched_is_permitted(const struct task *asker, const struct task *task,
			const struct attr *attr)
{
	struct attr now = sched_attr_of(task);
	rlim_t limit = limit_of(task, RLIMIT_RTPRIO);

	if (sched_is_privileged(asker))
		return true;
	if (sched_is_fair(attr->sched_policy) && !nice_permitted(task, attr->sched_nice))
		return false;
	if (is_realtime(attr->sched_policy)) {
		if (attr->sched_policy != now.sched_policy && !limit)
			return false;
		if (attr->sched_priority > now.sched_priority &&
		    attr->sched_priority > limit)
			return false;
	}
	if (attr->sched_policy == SCHED_DEADLINE)
		return false;
	if (now.sched_policy == SCHED_IDLE && attr->sched_policy != SCHED_IDLE &&
	    (rlim_t)(20 - getpriority(PRIO_PROCESS, (id_t)task->tid)) >
		    limit_of(task, RLIMIT_NICE))
		return false;
	if (now.sched_flags & ~attr->sched_flags & SCHED_FLAG_RESET_ON_FORK)
		return false;
	return sched_is_same_owner(asker, task);
}

static bool valid_deadline(const struct attr *attr)
{
	uint64_t period = attr->sched_period ? attr->sched_period :
					       attr->sched_deadline;

	return attr->sched_deadline && attr->sched_runtime >= 1024 &&
	       !(attr->sched_deadline >> 63) && !(period >> 63) &&
	       attr->sched_runtime <= attr->sched_deadline &&
	       attr->sched_deadline <= period;
}

bool sched_is_valid(const struct attr *attr)
{
	uint32_t policy = attr->sched_policy;

	if (policy != SCHED_DEADLINE && policy != SCHED_IDLE && !sched_is_fair(policy) &&
	    !is_realtime(policy))
		return false;
	if (attr->sched_flags & ~(uint64_t)SCHED_FLAG_ALL)
		return false;
	if (attr->sched_priority > RT_PRIORITY_MAX ||
	    is_realtime(policy) != (attr->sched_priority != 0))
		return false;
	return policy != SCHED_DEADLINE || valid_deadline(attr);
}
