// SPDX-License-Identifier: MIT
/*
 * prctl() where the kernel's answer would show the engine: tasks that are SCHED_FIFO
 * have no timer slack, and programs that read the time stamp counter have a trap set
 * already. What a program sets is remembered and shown to it.
 */
#include <errno.h>
#include <stdint.h>
#include <sys/personality.h>
#include <sys/prctl.h>

#include <linux/seccomp.h>

#include "calls.h"
#include "inject.h"
#include "prctls.h"
#include "strict.h"
#include "task.h"

#define FIRST_SLACK 50000

static uint64_t default_slack(const struct task *task)
{
	uint64_t slack = task->prctls.slack_default;

	return slack ? slack : FIRST_SLACK;
}

static uint64_t slack_of(const struct task *task)
{
	uint64_t slack = task->prctls.slack;

	return slack ? slack : default_slack(task);
}

void prctls_inherit(struct task *child, const struct task *parent)
{
	child->prctls = parent->prctls;
	child->prctls.slack_default = slack_of(parent);
}

/* Without the engine's trap the counter is the kernel's to refuse. */
static void set_tsc(struct task *task, struct user_regs_struct *regs)
{
	int mode = (int)regs->rsi;
	bool known = mode == PR_TSC_ENABLE || mode == PR_TSC_SIGSEGV;

	if (known)
		task->prctls.tsc_refused = mode == PR_TSC_SIGSEGV;
	if (task->process->tsc_trapped)
		call_skip(task, regs, known ? 0 : -EINVAL);
}

static void get_tsc(struct task *task, struct user_regs_struct *regs)
{
	int mode = task->prctls.tsc_refused ? PR_TSC_SIGSEGV : PR_TSC_ENABLE;

	if (task->process->tsc_trapped)
		call_skip(task, regs, task_write(task, regs->rsi, &mode, sizeof(mode)));
}

/* Of it only what concerns time: whether polls say how much is left. */
void personality_call(struct task *task, struct user_regs_struct *regs)
{
	uint32_t persona = (uint32_t)regs->rdi;

	if (persona != UINT32_MAX) /* which only asks */
		task->process->sticky_timeouts = persona & STICKY_TIMEOUTS;
}

void prctl_call(struct task *task, struct user_regs_struct *regs)
{
	switch ((int)regs->rdi) {
	case PR_SET_SECCOMP:
		task->process->filtered = true;
		if (regs->rsi == SECCOMP_MODE_STRICT)
			strict_enter(task, regs);
		break;
	case PR_SET_TSC:
		set_tsc(task, regs);
		break;
	case PR_GET_TSC:
		get_tsc(task, regs);
		break;
	case PR_SET_TIMERSLACK:
		task->prctls.slack = (int64_t)regs->rsi > 0 ? regs->rsi : 0;
		call_skip(task, regs, 0);
		break;
	case PR_GET_TIMERSLACK:
		call_skip(task, regs, (int64_t)slack_of(task));
		break;
	}
}
