// SPDX-License-Identifier: MIT
/*
 * A turn of exactly so many instructions, as Kronos' INS-SCHED makes it: a
 * source lets the task run freely until shortly before the end, because it stops
 * it some instructions late; from there the task is stepped to the exact count.
 *
 * The hardware's counter is one source (counter_perf.c). The other, for tests on
 * machines that have none, steps all the way. KRONOS_COUNTER=step chooses it;
 * KRONOS_COUNTER=step:N lets it be up to N instructions late.
 *
 * What counts as an instruction is what a processor's counter counts in user
 * mode: one that faults does not, a repeated one counts once, one that makes a
 * system call counts when it is entered.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "counter.h"
#include "engine.h"
#include "host.h"
#include "inject.h"
#include "latch.h"
#include "stops.h"
#include "task.h"

/* So long a turn is cut in pieces, so that no task runs for seconds. */
#define BUDGET_MAX 100000000

static const struct counter_source *source;
static char name[128];
static volatile uint64_t executed;	    /* steps of this turn */
static const struct task *volatile running; /* freely, by the source */
/* A stop that ends the turn: it is looked at when the turn has been charged for. */
static struct held {
	pid_t tid; /* 0: none */
	int status;
} held;
static uint64_t place; /* of the task that is stepped */
static uint64_t lateness; /* of the stepping source: a pseudo-random number */

/* ---- one step ---------------------------------------------------------- */

static bool is_prefix(uint8_t byte)
{
	return byte == 0x66 || byte == 0x67 || byte == 0xf2 || byte == 0xf3 ||
	       (byte & 0xf0) == 0x40; /* REX */
}

/* Whether a repeated string instruction is here, which traps after each time. */
static bool at_repeated(const struct task *task, uint64_t address)
{
	uint8_t code[8] = { 0 };
	bool repeated = false;
	size_t i = 0;

	if (task_read(task, address, code, sizeof(code)))
		return false;
	for (; i < sizeof(code) - 1 && is_prefix(code[i]); i++)
		repeated |= code[i] == 0xf2 || code[i] == 0xf3;
	return repeated && ((code[i] >= 0xa4 && code[i] <= 0xa7) ||
			    (code[i] >= 0xaa && code[i] <= 0xaf) ||
			    (code[i] >= 0x6c && code[i] <= 0x6f));
}

static bool at_syscall(const struct task *task, uint64_t address)
{
	uint8_t code[2] = { 0 };

	return !task_read(task, address, code, sizeof(code)) && code[0] == 0x0f &&
	       code[1] == 0x05;
}

static uint64_t position(const struct task *task)
{
	return (uint64_t)ptrace(PTRACE_PEEKUSER, task->tid,
				offsetof(struct user_regs_struct, rip), 0);
}

/* A step has ended as it should; returns how many instructions it was. */
static unsigned int stepped(struct task *task, int code, uint64_t before)
{
	bool in_call = task->in_call;

	task->in_call = false;
	place = position(task);
	switch (code) {
	case TRAP_TRACE:
		return !(place == before && at_repeated(task, before));
	case TRAP_BRKPT: /* at the end of a system call */
		return !in_call;
	default: /* a signal's handler is about to begin */
		return 0;
	}
}

/*
 * Lets the task go until it traps, and returns the trap's code: BLOCKED if it has
 * blocked, OTHER if it stopped for anything else. What has stopped it is held.
 */
enum { BLOCKED = -1, OTHER = 0 };

static int let_go(struct task *task, int request)
{
	int signal = task->signal, status;
	siginfo_t info;

	task->signal = 0;
	stop_leave(task, request, signal);
	if (waitpid(task->tid, &status, WNOHANG | __WALL | __WNOTHREAD) != task->tid)
		return BLOCKED;
	held = (struct held){ task->tid, status };
	if (WIFSTOPPED(status) && status >> 8 == SIGTRAP && !task->wait.call &&
	    !ptrace(PTRACE_GETSIGINFO, task->tid, 0, &info) && info.si_code > 0)
		return info.si_code;
	return OTHER;
}

/* Returns false if it has come to another stop, or blocked. */
static bool step(struct task *task)
{
	uint64_t before = place;
	int request = PTRACE_SINGLESTEP, code;

	if (task->process->stamped && (task->in_call || at_syscall(task, before)))
		request = PTRACE_SYSCALL;
	code = let_go(task, request);
	switch (code) {
	case TRAP_TRACE:
	case TRAP_BRKPT:
	case SIGTRAP:
		held.tid = 0;
		executed += stepped(task, code, before);
		return true;
	case BLOCKED:
		executed += !task->in_call;
		task->in_call = true;
		return false;
	}
	/* All but a signal's stop is inside of a call. */
	if (WIFSTOPPED(held.status) &&
	    (held.status >> 16 || WSTOPSIG(held.status) == (SIGTRAP | 0x80)))
		executed += !task->in_call;
	return false;
}

bool counter_let_go(struct task *task)
{
	switch (let_go(task, task->process->stamped ? PTRACE_SYSCALL : PTRACE_CONT)) {
	case TRAP_PERF:
		held.tid = 0;
		task->in_call = false;
		return true;
	case BLOCKED:
		task->in_call = true;
	}
	return false;
}

/* ---- the stepping source ----------------------------------------------- */

static bool step_open(struct task *task)
{
	(void)task;
	return true;
}

static void step_close(struct task *task)
{
	(void)task;
}

static bool step_approach(struct task *task, uint64_t count)
{
	place = position(task);
	lateness = lateness * 6364136223846793005u + 1442695040888963407u;
	count += (lateness >> 33) % (source->margin + 1);
	while (executed < count)
		if (!step(task))
			return false;
	return true;
}

static uint64_t step_read(const struct task *task)
{
	(void)task;
	return 0;
}

static struct counter_source stepping = {
	.name = "single steps, for tests",
	.open = step_open,
	.close = step_close,
	.approach = step_approach,
	.read = step_read,
};

/* ---- turns ------------------------------------------------------------- */

uint64_t counter_now(void)
{
	const struct task *task = running;

	return executed + (task ? source->read(task) : 0);
}

uint64_t counter_run(struct task *task, uint64_t budget)
{
	bool goes_on = true;

	executed = 0;
	held.tid = 0;
	if (task->exit) { /* nothing but the call that it is in, or enters */
		executed = !task->in_call;
		task->in_call = true;
		task_resume(task);
		return executed;
	}
	task_leave_queue(task);
	if (budget > BUDGET_MAX)
		budget = BUDGET_MAX;
	/* So short a turn would be over again before the source has stopped it. */
	if (budget > 2 * source->margin) {
		running = task;
		goes_on = source->approach(task, budget - source->margin);
		executed += source->read(task);
		running = NULL;
	}
	if (goes_on)
		place = position(task);
	while (goes_on && executed < budget)
		goes_on = step(task);
	task->cut = goes_on;
	return executed;
}

void counter_settle(struct task *task)
{
	if (task->cut)
		task_ready(task, false);
	else if (held.tid)
		task_stopped(held.tid, held.status);
	task_drain();
}

void counter_open(struct task *task)
{
	if (task->host->counter == KRONOS_COUNTER_INSTRUCTIONS && !source->open(task))
		engine_warn("no instruction counter for task %d of %s: %s", task->tid,
			    task->host->name, strerror(errno));
}

void counter_close(struct task *task)
{
	if (source)
		source->close(task);
}

/* ---- the choice -------------------------------------------------------- */

void counter_init(void)
{
	const char *wanted = getenv("KRONOS_COUNTER");
	const char *why = NULL;
	bool step_all = wanted && !strncmp(wanted, "step", 4);

	if (!latch_lists_stops()) {
		snprintf(name, sizeof(name), "the latch needs BPF, which came with "
			 "Linux 6.10");
		return;
	}
	if (step_all && wanted[4] == ':')
		stepping.margin = strtoull(wanted + 5, NULL, 10);
	if (!step_all)
		why = counter_perf_test();
	if (!why)
		source = step_all ? &stepping : &counter_perf;
	snprintf(name, sizeof(name), "%s", why ? why : source->name);
}

bool counter_works(void)
{
	return source;
}

const char *counter_name(void)
{
	return name;
}

bool counter_is_missing(const char *host, uint32_t counter, char *text, size_t size)
{
	if (counter != KRONOS_COUNTER_INSTRUCTIONS || counter_works())
		return false;
	snprintf(text, size,
		 "%s: no working instruction counter on this machine (%s); "
		 "fix: counter='cputime' or 'free'",
		 host, counter_name());
	return true;
}
