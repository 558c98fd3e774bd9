// SPDX-License-Identifier: MIT
/*
 * The latch: a perf event on context switches with sigtrap. When a task blocks
 * the kernel queues a SIGTRAP for its return to user mode, where ptrace stops
 * it before it runs any code of its own. The system call is not disturbed.
 *
 * Since Linux 6.10 a BPF program (latch_program.c) keeps the event from firing
 * where the task was only preempted or stopped, unless its turn is over; where the
 * task blocks SIGTRAP, which would be pending then for the program to see; and where
 * the engine has said that there will be a stop anyway. Before, the latch fires at all
 * these too, once: it is re-armed when the task is let go. And before Linux 6.11 an
 * event that switches itself off when it fires loses its signal: there the latch is
 * armed for two switches, of which the second is that of the stop itself. If it was
 * the first, as after the signal of a former latch, another signal is on its way.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/perf_event.h>

#include "clocks.h"
#include "engine.h"
#include "host.h"
#include "latch.h"
#include "latch_program.h"
#include "procfs.h"
#include "stops.h"
#include "task.h"

#define DEADLINE_MARGIN (4 * NSEC_PER_USEC) /* see SLACK in watchdog.c */

static enum latch_kind kind;
static int switches; /* after which a plain latch is off */
static uint64_t stops_taken; /* of those that are listed */

bool latch_lists_stops(void)
{
	return kind == LATCH_BPF;
}

/* The program's count has 32 bits only. */
uint64_t latch_stops_listed(void)
{
	uint32_t count = *(volatile uint32_t *)&latch_stops->count;

	return stops_taken + (uint32_t)(count - (uint32_t)stops_taken);
}

bool latch_any_stop(void)
{
	return stops_taken != latch_stops_listed();
}

const struct latch_stop *latch_next_stop(uint64_t *number)
{
	if (!latch_any_stop())
		return NULL;
	*number = stops_taken++;
	return &latch_stops->ring[*number % STOPS];
}

void latch_forget_stops(void)
{
	if (latch_stops)
		stops_taken = latch_stops_listed();
}

bool latch_stops_lost(void)
{
	return latch_stops_listed() - stops_taken > STOPS;
}

/* ---- one task's latch -------------------------------------------------- */

static int event_open(pid_t tid)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CONTEXT_SWITCHES,
		.sample_period = 1,
		.disabled = 1,
		.sigtrap = 1,
		.remove_on_exec = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1,
			    PERF_FLAG_FD_CLOEXEC);
}

static uint64_t switches_of(const struct task *task)
{
	uint64_t count;

	return read(task->latch, &count, sizeof(count)) == sizeof(count) ? count :
									    UINT64_MAX;
}

/* The kernel adds what it is armed for to what is left: that must be nothing. */
static void arm(struct task *task)
{
	uint64_t count = switches_of(task);

	if (count < task->latch_armed)
		return;
	ioctl(task->latch, PERF_EVENT_IOC_REFRESH, switches);
	task->latch_armed = count + (uint64_t)switches;
}

void latch_open(struct task *task)
{
	latch_close(task);
	task->latch = event_open(task->tid);
	task->latch_armed = 0;
	if (task->latch < 0) {
		/* A task that is being killed has none; anything else is fatal. */
		if (errno != ESRCH)
			engine_warn("no latch for task %d of %s: %s", task->tid,
				    task->host->name, strerror(errno));
		return;
	}
	if (latch_program >= 0)
		ioctl(task->latch, PERF_EVENT_IOC_SET_BPF, latch_program);
	if (kind == LATCH_BPF)
		ioctl(task->latch, PERF_EVENT_IOC_ENABLE, 0);
	else
		arm(task);
	task->latch_spent = false;
	engine.unlatched--;
	stops_listed(task, true);
}

void latch_close(struct task *task)
{
	if (task->latch >= 0) {
		close(task->latch);
		engine.unlatched++;
		stops_listed(task, false);
	}
	task->latch = -1;
	task->latch_spent = false;
}

void latch_rearm(struct task *task)
{
	task->latch_spent = false;
	if (kind == LATCH_PLAIN && task->latch >= 0)
		arm(task);
}

static volatile struct latch_slot *slot_of(const struct task *task)
{
	return &latch_slots[task->tid % SLOTS];
}

/* The watchdog, whose timer ends the turn, must not come too early. */
static int64_t deadline_in(int64_t ns)
{
	return real_clock(CLOCK_MONOTONIC) + ns - DEADLINE_MARGIN;
}

void latch_prepare(const struct task *task, bool quiet, int64_t ns)
{
	volatile struct latch_slot *slot;

	if (!latch_slots)
		return;
	slot = slot_of(task);
	slot->tid = slot->fired = slot->free = 0;
	slot->quiet = quiet;
	slot->deadline = deadline_in(ns);
}

void latch_postpone(const struct task *task, int64_t ns)
{
	if (latch_slots)
		slot_of(task)->deadline += ns;
}

void latch_let_pass(const struct task *task, int64_t call, uint64_t argument)
{
	volatile struct latch_slot *slot = slot_of(task);

	slot->call = (int32_t)call;
	slot->argument = argument;
	slot->passed = slot->free = slot->spare = 0;
	slot->ran = 0;
	slot->passer = (uint32_t)task->tid;
}

void latch_forbid_pass(const struct task *task)
{
	if (slot_of(task)->passer == (uint32_t)task->tid)
		slot_of(task)->passer = 0;
}

void latch_begin_passes(const struct task *task, int64_t ns)
{
	slot_of(task)->ran = 0;
	slot_of(task)->deadline = deadline_in(ns);
}

void latch_pass(bool allow)
{
	uint32_t listed = (uint32_t)latch_stops_listed();

	latch_stops->switched = real_clock(CLOCK_MONOTONIC);
	latch_stops->pass_count = allow ? listed : listed - 2;
}

int64_t latch_passes_ns(const struct task *task)
{
	return slot_of(task)->ran;
}

uint32_t latch_take_passes(const struct task *task)
{
	uint32_t passed = slot_of(task)->passed;

	slot_of(task)->passed = 0;
	return passed;
}

bool latch_is_free(const struct task *task)
{
	return slot_of(task)->free == (uint32_t)task->tid && !latch_fired(task);
}

bool latch_ran_out(const struct task *task)
{
	return latch_fired(task) && slot_of(task)->tid != (uint32_t)task->tid;
}

bool latch_fired(const struct task *task)
{
	return latch_slots && task->latch >= 0 &&
	       slot_of(task)->fired == (uint32_t)task->tid;
}

/* What the kernel says of a task whose latch has not fired, or has no program. */
static void proc_state(pid_t tid, bool *in_kernel, bool *trap_blocked)
{
	struct procfs_field fields[] = { { .key = "State:\t" }, { .key = "SigBlk:\t" } };

	if (!procfs_status(tid, fields, 2))
		return;
	*in_kernel = fields[0].text[0] == 'D' || fields[0].text[0] == 'R';
	*trap_blocked = strtoull(fields[1].text, NULL, 16) & 1u << (SIGTRAP - 1);
}

void latch_state(const struct task *task, bool *in_kernel, bool *trap_blocked)
{
	volatile const struct latch_slot *slot = NULL;
	uint32_t state = 0;

	if (latch_slots && task->latch >= 0)
		slot = slot_of(task);
	if (slot && slot->tid == (uint32_t)task->tid)
		state = slot->state;
	/* One that is waking is back soon. */
	*in_kernel = state & (STATE_UNINTERRUPTIBLE | STATE_WAKING);
	*trap_blocked = state & TRAP_BLOCKED;
	if (!state)
		proc_state(task->tid, in_kernel, trap_blocked);
}

/* ---- self-test --------------------------------------------------------- */

static volatile sig_atomic_t test_traps;

static void count_trap(int signal)
{
	(void)signal;
	test_traps++;
}

/*
 * Exit status of the child: 0 if a sleep does not fire; else the sum of 1, 2 if a
 * preemption fires too, and 4 if the last switch before the event is off does not.
 */
static _Noreturn void test_child(void)
{
	const struct timespec nap = { .tv_nsec = NSEC_PER_MSEC };
	int event = event_open(0), after_sleep, result = 1;

	signal(SIGTRAP, count_trap);
	if (event < 0)
		_exit(0);
	if (latch_program >= 0)
		ioctl(event, PERF_EVENT_IOC_SET_BPF, latch_program);
	ioctl(event, PERF_EVENT_IOC_ENABLE, 0);
	nanosleep(&nap, NULL);
	after_sleep = test_traps;
	/* Yielding to nobody still counts as a switch where others can run. */
	for (int i = 0; i < 20000 && test_traps == after_sleep; i++)
		sched_yield();
	if (!after_sleep)
		_exit(0);
	if (test_traps > after_sleep)
		result |= 2;
	close(event);
	event = event_open(0);
	ioctl(event, PERF_EVENT_IOC_REFRESH, 1);
	after_sleep = test_traps;
	nanosleep(&nap, NULL);
	if (test_traps == after_sleep)
		result |= 4;
	_exit(result);
}

/* Does the program know the child that has just slept by the id that we have? */
static bool child_is_known(pid_t child)
{
	return latch_slots[child % SLOTS].tid == (uint32_t)child;
}

static _Noreturn void test_companion(void)
{
	for (;;)
		sched_yield();
}

/* -1 if there cannot be one. */
static pid_t start_child(void (*run)(void))
{
	pid_t child = fork();

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run();
	}
	return child;
}

/* A companion on the same CPU makes the child's yields real switches. */
static int test(void)
{
	pid_t companion = start_child(test_companion);
	pid_t child = start_child(test_child);
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		status = 0;
	if (companion > 0) {
		kill(companion, SIGKILL);
		waitpid(companion, NULL, 0);
	}
	if (latch_program >= 0 && !child_is_known(child)) {
		engine_warn("the latch's BPF program does not know its tasks; disk "
			    "waits are read from /proc");
		latch_program_close();
	}
	return WEXITSTATUS(status);
}

int latch_init(uint32_t flags, char *why, size_t size)
{
	int result;

	if (!(flags & KRONOS_F_NO_BPF) && latch_program_init() < 0)
		engine_warn("no BPF program for the latch (CAP_BPF or kernel BTF "
			    "is missing); disk waits are read from /proc");
	result = test();
	if (result == 0) {
		snprintf(why, size,
			 "perf context-switch events with sigtrap do not work here; "
			 "fix: run as root on Linux 6.1 or later, with "
			 "kernel.perf_event_paranoid below 3");
		return -ENOSYS;
	}
	switches = result & 4 ? 2 : 1;
	kind = !(result & 2) && latch_program >= 0 && !(flags & KRONOS_F_NO_BPF_LATCH) ?
		       LATCH_BPF :
		       LATCH_PLAIN;
	return 0;
}

void latch_own(void)
{
	if (latch_program < 0)
		return;
	latch_program_close();
	stops_taken = 0;
	engine_assert(latch_program_init() >= 0);
}

const char *latch_name(void)
{
	return kind == LATCH_BPF ? "latch with BPF" :
	       latch_program >= 0	 ? "plain latch, states by BPF" :
				   "plain latch";
}
