// SPDX-License-Identifier: MIT
/*
 * System calls that touch time. One table says which they are, when the
 * seccomp filter stops them, and what is done then.
 *
 * A call that waits with a timeout is let into the kernel without it. At the
 * virtual deadline the task is interrupted and the call's result replaced by
 * what a timeout returns; interrupted for another reason it is made to
 * restart, with the same deadline. Whatever the call waits for reaches it
 * undisturbed.
 */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>

#include "engine.h"

/* In-kernel results of interrupted calls; not in any header of user space. */
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516

#define FILTER_FOREIGN 0xffff /* a call of another architecture */

/* When the filter stops a call. */
enum condition {
	ALWAYS,
	NONNULL,   /* argument `arg` is not NULL */
	POSITIVE,  /* argument `arg`, an int, is > 0 */
	ZERO,	   /* argument 0, an int, is 0 */
	CLOCKID,   /* argument 0 is a clock that is virtual */
	FUTEX,	   /* a futex operation with a timeout */
	SOCKOPT,   /* timeouts of sockets; time stamps are pretended */
	STAMP,	   /* never: asked for a packet's real time of arrival it has none */
	PRETEND,   /* never: the call returns 0 and does nothing */
};

/* How a timeout is written in a call's argument. */
enum form {
	FORM_NONE,
	FORM_MSEC,	   /* int, < 0 is for ever */
	FORM_TIMESPEC,	   /* relative */
	FORM_TIMEVAL,	   /* relative */
	FORM_REALTIME,	   /* timespec, absolute */
	FORM_FUTEX,	   /* by the operation */
	FORM_CLOCK_ARG,	   /* timespec, absolute, clock in the next argument */
};

struct timed_call {
	const char *name;
	int nr;
	enum condition condition;
	int arg;	 /* that has the timeout */
	enum form form;
	int64_t timeout; /* what the call returns then */
	/* Returns false if the task's turn is over. NULL: a wait, as `form` says. */
	bool (*enter)(struct task *task, struct user_regs_struct *regs);
	/* The same for those whose turn always goes on. */
	void (*emulate)(struct task *task, struct user_regs_struct *regs);
	/* The wait is over, `remaining` ns before its deadline. */
	void (*finish)(struct task *task, const struct user_regs_struct *args,
		       int64_t remaining, bool timed_out);
	bool sleeps; /* waits for nothing but time and signals */
};

static uint64_t *arg_register(struct user_regs_struct *regs, int arg)
{
	switch (arg) {
	case 0:
		return (uint64_t *)&regs->rdi;
	case 1:
		return (uint64_t *)&regs->rsi;
	case 2:
		return (uint64_t *)&regs->rdx;
	case 3:
		return (uint64_t *)&regs->r10;
	case 4:
		return (uint64_t *)&regs->r8;
	default:
		return (uint64_t *)&regs->r9;
	}
}

void call_skip(struct task *task, struct user_regs_struct *regs, int64_t result)
{
	regs->orig_rax = (uint64_t)-1;
	regs->rax = (uint64_t)result;
	task_set_regs(task, regs);
}

/* ---- clocks ------------------------------------------------------------ */

bool clock_offset(int64_t clock, int64_t *offset)
{
	switch ((int32_t)clock) {
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
		*offset = 0;
		return true;
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
		*offset = engine.realtime;
		return true;
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		*offset = engine.boottime;
		return true;
	case CLOCK_TAI:
		*offset = engine.tai;
		return true;
	}
	return false;
}

static int64_t read_clock(struct task *task)
{
	struct host *host = task->host;

	if (!engine.live && !host->mult && !host_is_instant(host))
		host->clock = host_now(host) + FREE_READ_COST;
	return host_now(host);
}

static bool enter_clock_gettime(struct task *task, struct user_regs_struct *regs)
{
	struct timespec ts;
	int64_t offset;

	if (!clock_offset((int64_t)regs->rdi, &offset))
		return true;
	ts = ns_to_timespec(read_clock(task) + offset);
	call_skip(task, regs, task_write(task, regs->rsi, &ts, sizeof(ts)));
	return true;
}

static bool enter_gettimeofday(struct task *task, struct user_regs_struct *regs)
{
	struct timespec ts = ns_to_timespec(read_clock(task) + engine.realtime);
	struct timeval tv = { ts.tv_sec, ts.tv_nsec / 1000 };
	static const struct timezone none;
	int result = 0;

	if (regs->rdi)
		result = task_write(task, regs->rdi, &tv, sizeof(tv));
	if (!result && regs->rsi)
		result = task_write(task, regs->rsi, &none, sizeof(none));
	call_skip(task, regs, result);
	return true;
}

static bool enter_time(struct task *task, struct user_regs_struct *regs)
{
	time_t now = ns_to_timespec(read_clock(task) + engine.realtime).tv_sec;

	if (regs->rdi && task_write(task, regs->rdi, &now, sizeof(now)))
		call_skip(task, regs, -EFAULT);
	else
		call_skip(task, regs, now);
	return true;
}

static bool enter_refused(struct task *task, struct user_regs_struct *regs)
{
	call_skip(task, regs, -EPERM);
	return true;
}

static bool enter_connect(struct task *task, struct user_regs_struct *regs)
{
	sa_family_t family;

	if (!task_read(task, regs->rsi, &family, sizeof(family)))
		tcp_connect(task->host, family);
	return true;
}

static bool enter_sched_yield(struct task *task, struct user_regs_struct *regs)
{
	struct host *host = task->host;

	call_skip(task, regs, 0);
	if (!engine.live && !host->mult && !host_is_instant(host))
		host->clock = host_now(host) + FREE_YIELD_COST;
	return false;
}

static bool enter_exec(struct task *task, struct user_regs_struct *regs)
{
	(void)regs;
	latch_close(task);
	task->exit = EXIT_EXEC;
	return true;
}

/* ---- waits ------------------------------------------------------------- */

static int64_t from_seconds(int64_t seconds, int64_t nanoseconds)
{
	if (seconds > INT64_MAX / NSEC_PER_SEC / 4)
		return HEAP_NEVER;
	return seconds * NSEC_PER_SEC + nanoseconds;
}

static int64_t add_time(int64_t a, int64_t b)
{
	return a == HEAP_NEVER || b > HEAP_NEVER - a ? HEAP_NEVER : a + b;
}

/* Reads a timespec or timeval of the task; false if the kernel would refuse it. */
static bool read_interval(struct task *task, uint64_t address, bool timeval,
			  int64_t *ns)
{
	int64_t value[2];

	if (task_read(task, address, value, sizeof(value)))
		return false;
	if (timeval)
		value[1] *= 1000;
	if (value[0] < 0 || value[1] < 0 || value[1] >= NSEC_PER_SEC)
		return false;
	*ns = from_seconds(value[0], value[1]);
	return true;
}

/* HEAP_NEVER: leave the call as it is (no timeout, a zero one, or a bad one). */
static int64_t wait_deadline(struct task *task, const struct timed_call *call,
			     struct user_regs_struct *regs)
{
	uint64_t argument = *arg_register(regs, call->arg);
	int64_t now = host_now(task->host), interval, offset = 0;
	int operation;

	if (call->form == FORM_MSEC)
		return (int32_t)argument > 0 ?
			       now + (int32_t)argument * NSEC_PER_MSEC :
			       HEAP_NEVER;
	if (!argument || !read_interval(task, argument,
					call->form == FORM_TIMEVAL, &interval))
		return HEAP_NEVER;
	switch (call->form) {
	case FORM_TIMESPEC:
	case FORM_TIMEVAL:
		return interval ? add_time(now, interval) : HEAP_NEVER;
	case FORM_REALTIME:
		offset = engine.realtime;
		break;
	case FORM_FUTEX:
		operation = (int)regs->rsi & FUTEX_CMD_MASK;
		if (operation == FUTEX_WAIT)
			return add_time(now, interval);
		if (operation == FUTEX_LOCK_PI ||
		    (int)regs->rsi & FUTEX_CLOCK_REALTIME)
			offset = engine.realtime;
		break;
	case FORM_CLOCK_ARG:
		if (!clock_offset((int64_t)*arg_register(regs, call->arg + 1),
				  &offset))
			return HEAP_NEVER;
		break;
	default:
		return HEAP_NEVER;
	}
	return interval == HEAP_NEVER ? HEAP_NEVER : interval - offset;
}

static void wait_timeout(struct event *event, struct host *host)
{
	struct task *task = container_of(event, struct task, wait.timeout);

	(void)host;
	/* It may not even have begun to wait: then it will be interrupted at once. */
	task->wait.expired = true;
	task_kick(task, KICK_TIMEOUT);
	task_drain();
}

static void wait_begin(struct task *task, const struct timed_call *call,
		       const struct user_regs_struct *regs, int64_t deadline)
{
	struct wait *wait = &task->wait;

	/* The same call again, restarted by the kernel: time has gone on. */
	if (wait->restart && wait->call == call && wait->regs.rip == regs->rip)
		deadline = wait->deadline;
	wait->call = call;
	wait->regs = *regs;
	wait->deadline = deadline;
	wait->expired = false;
	wait->restart = false;
	wait->timeout.fire = wait_timeout;
	host_add_event(task->host, &wait->timeout, deadline);
}

static void wait_end(struct task *task)
{
	host_remove_event(task->host, &task->wait.timeout);
	task->wait.call = NULL;
	task->wait.restart = false;
}

void timed_forget(struct task *task)
{
	wait_end(task);
}

static bool enter_wait(struct task *task, const struct timed_call *call,
		       struct user_regs_struct *regs)
{
	int64_t deadline = wait_deadline(task, call, regs);

	if (deadline == HEAP_NEVER) {
		wait_end(task);
		return true;
	}
	wait_begin(task, call, regs, deadline);
	*arg_register(regs, call->arg) = call->form == FORM_MSEC ? (uint64_t)-1 : 0;
	task_set_regs(task, regs);
	task->exit = EXIT_TIMED;
	return true;
}

/* Sleeps become pause(), which leaves every argument in place. */
static bool begin_sleep(struct task *task, const struct timed_call *call,
			struct user_regs_struct *regs, int64_t deadline)
{
	if (deadline <= host_now(task->host)) {
		call_skip(task, regs, 0);
		return true;
	}
	wait_begin(task, call, regs, deadline);
	regs->orig_rax = SYS_pause;
	task_set_regs(task, regs);
	return true;
}

static bool enter_nanosleep(struct task *task, struct user_regs_struct *regs);
static bool enter_clock_nanosleep(struct task *task, struct user_regs_struct *regs);

static void finish_nanosleep(struct task *task, const struct user_regs_struct *args,
			     int64_t remaining, bool timed_out)
{
	struct timespec ts = ns_to_timespec(remaining);

	if (!timed_out && args->rsi)
		task_write(task, args->rsi, &ts, sizeof(ts));
}

static void finish_clock_nanosleep(struct task *task,
				   const struct user_regs_struct *args,
				   int64_t remaining, bool timed_out)
{
	struct timespec ts = ns_to_timespec(remaining);

	if (!timed_out && args->r10 && !((int)args->rsi & TIMER_ABSTIME))
		task_write(task, args->r10, &ts, sizeof(ts));
}

/* The kernel writes back the time that is left, and on timeout empty sets. */
static void clear_sets(struct task *task, const struct user_regs_struct *args)
{
	static const uint8_t zero[8192];
	const uint64_t sets[] = { args->rsi, args->rdx, args->r10 };
	size_t size = ((uint32_t)args->rdi + 63) / 64 * 8;

	if (size > sizeof(zero))
		size = sizeof(zero);
	for (int i = 0; i < 3; i++)
		if (sets[i])
			task_write(task, sets[i], zero, size);
}

static void finish_select(struct task *task, const struct user_regs_struct *args,
			  int64_t remaining, bool timed_out)
{
	struct timeval tv = { remaining / NSEC_PER_SEC,
			      remaining % NSEC_PER_SEC / 1000 };

	task_write(task, args->r8, &tv, sizeof(tv));
	if (timed_out)
		clear_sets(task, args);
}

static void finish_pselect(struct task *task, const struct user_regs_struct *args,
			   int64_t remaining, bool timed_out)
{
	struct timespec ts = ns_to_timespec(remaining);

	task_write(task, args->r8, &ts, sizeof(ts));
	if (timed_out)
		clear_sets(task, args);
}

static void finish_ppoll(struct task *task, const struct user_regs_struct *args,
			 int64_t remaining, bool timed_out)
{
	struct timespec ts = ns_to_timespec(remaining);

	(void)timed_out;
	task_write(task, args->rdx, &ts, sizeof(ts));
}

/* ---- timeouts of sockets ----------------------------------------------- */

/*
 * SO_RCVTIMEO and SO_SNDTIMEO are remembered, not set. A task that blocks is
 * asked (in /proc) what it blocks in only if its process has set one.
 */
struct socket_timeout {
	LIST_ENTRY(socket_timeout) entry;
	int fd;
	uint64_t inode;	  /* descriptors are closed and used again */
	int64_t ns[2];	  /* receive, send; 0: none */
};

static uint64_t socket_inode(const struct task *task, int fd)
{
	char path[48], target[64];
	unsigned long inode = 0;
	ssize_t size;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", task->tid, fd);
	size = readlink(path, target, sizeof(target) - 1);
	if (size < 0)
		return 0;
	target[size] = '\0';
	return sscanf(target, "socket:[%lu]", &inode) == 1 ? inode : 0;
}

static struct socket_timeout *socket_timeout_get(struct task *task, int fd,
						 bool create)
{
	struct socket_timeout *timeout;
	uint64_t inode = socket_inode(task, fd);

	if (!inode)
		return NULL;
	LIST_FOREACH(timeout, &task->process->socket_timeouts, entry)
		if (timeout->fd == fd) {
			if (timeout->inode != inode)
				timeout->ns[0] = timeout->ns[1] = 0;
			timeout->inode = inode;
			return timeout;
		}
	if (!create)
		return NULL;
	timeout = xcalloc(sizeof(*timeout));
	timeout->fd = fd;
	timeout->inode = inode;
	LIST_INSERT_HEAD(&task->process->socket_timeouts, timeout, entry);
	return timeout;
}

static bool enter_setsockopt(struct task *task, struct user_regs_struct *regs)
{
	bool send = regs->rdx == SO_SNDTIMEO_OLD || regs->rdx == SO_SNDTIMEO_NEW;
	struct socket_timeout *timeout;
	int64_t ns;

	if (regs->r8 < 2 * sizeof(int64_t) ||
	    !read_interval(task, regs->r10, true, &ns))
		return true; /* the kernel says what is wrong with it */
	timeout = socket_timeout_get(task, (int)regs->rdi, true);
	if (!timeout)
		return true;
	timeout->ns[send] = ns == HEAP_NEVER ? 0 : ns;
	call_skip(task, regs, 0);
	return true;
}

static const struct timed_call socket_wait = {
	.name = "a call on a socket", .nr = -1, .timeout = -EAGAIN
};
static const struct timed_call socket_connect = {
	.name = "connect", .nr = -1, .timeout = -EINPROGRESS
};

void timed_blocked(struct task *task)
{
	const struct timed_call *call = &socket_wait;
	struct socket_timeout *timeout;
	char path[48], text[256];
	unsigned long fd;
	bool send = false;
	int nr, size;
	FILE *file;

	if (LIST_EMPTY(&task->process->socket_timeouts) || task->wait.call)
		return;
	snprintf(path, sizeof(path), "/proc/%d/syscall", task->tid);
	file = fopen(path, "re");
	if (!file)
		return;
	size = (int)fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[size > 0 ? size : 0] = '\0';
	if (sscanf(text, "%d 0x%lx", &nr, &fd) != 2)
		return;
	switch (nr) {
	case SYS_connect:
		call = &socket_connect;
		/* fall through */
	case SYS_write:
	case SYS_writev:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_sendmmsg:
		send = true;
		break;
	case SYS_read:
	case SYS_readv:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_accept:
	case SYS_accept4:
		break;
	default:
		return;
	}
	timeout = socket_timeout_get(task, (int)fd, false);
	if (timeout && timeout->ns[send])
		wait_begin(task, call, &(struct user_regs_struct){ 0 },
			   host_now(task->host) + timeout->ns[send]);
}

/* ---- the table --------------------------------------------------------- */

#define CALL(n, c, ...) { .name = #n, .nr = SYS_##n, .condition = c, __VA_ARGS__ }
#define WAIT(n, c, a, f, t, ...)                                               \
	CALL(n, c, .arg = a, .form = f, .timeout = t, __VA_ARGS__)

static const struct timed_call calls[] = {
	WAIT(poll, POSITIVE, 2, FORM_MSEC, 0),
	WAIT(epoll_wait, POSITIVE, 3, FORM_MSEC, 0),
	WAIT(epoll_pwait, POSITIVE, 3, FORM_MSEC, 0),
	WAIT(futex, FUTEX, 3, FORM_FUTEX, -ETIMEDOUT),
	CALL(nanosleep, ALWAYS, .enter = enter_nanosleep,
	     .finish = finish_nanosleep, .sleeps = true),
	CALL(clock_nanosleep, ALWAYS, .enter = enter_clock_nanosleep,
	     .finish = finish_clock_nanosleep, .sleeps = true),
	WAIT(select, NONNULL, 4, FORM_TIMEVAL, 0, .finish = finish_select),
	WAIT(pselect6, NONNULL, 4, FORM_TIMESPEC, 0, .finish = finish_pselect),
	WAIT(ppoll, NONNULL, 2, FORM_TIMESPEC, 0, .finish = finish_ppoll),
	WAIT(epoll_pwait2, NONNULL, 3, FORM_TIMESPEC, 0),
	WAIT(rt_sigtimedwait, NONNULL, 2, FORM_TIMESPEC, -EAGAIN),
	WAIT(semtimedop, NONNULL, 3, FORM_TIMESPEC, -EAGAIN),
	WAIT(io_getevents, NONNULL, 4, FORM_TIMESPEC, 0),
	WAIT(mq_timedsend, NONNULL, 4, FORM_REALTIME, -ETIMEDOUT),
	WAIT(mq_timedreceive, NONNULL, 4, FORM_REALTIME, -ETIMEDOUT),
	WAIT(futex_waitv, NONNULL, 3, FORM_CLOCK_ARG, -ETIMEDOUT),
	CALL(clock_gettime, CLOCKID, .enter = enter_clock_gettime),
	CALL(gettimeofday, ALWAYS, .enter = enter_gettimeofday),
	CALL(time, ALWAYS, .enter = enter_time),
	CALL(clock_settime, ALWAYS, .enter = enter_refused),
	CALL(settimeofday, ALWAYS, .enter = enter_refused),
	CALL(setitimer, ZERO, .emulate = timers_setitimer),
	CALL(getitimer, ZERO, .emulate = timers_getitimer),
	CALL(alarm, ALWAYS, .emulate = timers_alarm),
	CALL(timerfd_settime, ALWAYS, .emulate = timers_timerfd_settime),
	CALL(timerfd_gettime, ALWAYS, .emulate = timers_timerfd_gettime),
	CALL(timer_create, ALWAYS, .emulate = timers_posix_create),
	CALL(timer_settime, ALWAYS, .emulate = timers_posix_settime),
	CALL(timer_gettime, ALWAYS, .emulate = timers_posix_gettime),
	CALL(timer_getoverrun, ALWAYS, .emulate = timers_posix_getoverrun),
	CALL(timer_delete, ALWAYS, .emulate = timers_posix_delete),
	CALL(setsockopt, SOCKOPT, .enter = enter_setsockopt),
	CALL(execve, ALWAYS, .enter = enter_exec),
	CALL(execveat, ALWAYS, .enter = enter_exec),
	CALL(sched_yield, ALWAYS, .enter = enter_sched_yield),
	CALL(connect, ALWAYS, .enter = enter_connect),
	CALL(ioctl, STAMP),
	/* Scheduling of dilated tasks is the engine's. */
	CALL(sched_setaffinity, PRETEND),
	CALL(sched_setscheduler, PRETEND),
	CALL(sched_setparam, PRETEND),
	CALL(sched_setattr, PRETEND),
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

static const struct timed_call *call_by_number(int nr)
{
	for (size_t i = 0; i < CALLS; i++)
		if (calls[i].nr == nr)
			return &calls[i];
	return NULL;
}

static bool enter_nanosleep(struct task *task, struct user_regs_struct *regs)
{
	int64_t interval;

	if (!read_interval(task, regs->rdi, false, &interval))
		return true;
	return begin_sleep(task, call_by_number(SYS_nanosleep), regs,
			   add_time(host_now(task->host), interval));
}

static bool enter_clock_nanosleep(struct task *task, struct user_regs_struct *regs)
{
	int64_t time, offset;

	if (!clock_offset((int64_t)regs->rdi, &offset) ||
	    !read_interval(task, regs->rdx, false, &time))
		return true;
	if ((int)regs->rsi & TIMER_ABSTIME)
		time -= offset;
	else
		time = add_time(host_now(task->host), time);
	return begin_sleep(task, call_by_number(SYS_clock_nanosleep), regs, time);
}

/* ---- at the entry ------------------------------------------------------ */

bool timed_enter(struct task *task)
{
	const struct timed_call *call;
	struct user_regs_struct regs;
	unsigned long index;

	if (ptrace(PTRACE_GETEVENTMSG, task->tid, 0, &index) ||
	    !task_get_regs(task, &regs))
		return true;
	if (index >= CALLS) {
		engine_warn("%s: process %d is a 32-bit program, which cannot be "
			    "dilated; ended. Fix: use its 64-bit version",
			    task->host->name, task->process->pid);
		kill(task->process->pid, SIGKILL);
		return true;
	}
	call = &calls[index];
	/* A connect that is restarted goes on with its socket's timeout. */
	if (task->wait.call != call &&
	    (call->nr != SYS_connect || task->wait.call != &socket_connect))
		wait_end(task);
	if (call->emulate) {
		call->emulate(task, &regs);
		return true;
	}
	return call->enter ? call->enter(task, &regs) :
			     enter_wait(task, call, &regs);
}

/* ---- interrupted ------------------------------------------------------- */

static bool interrupted(int64_t result)
{
	return result == -EINTR || result == -ERESTARTSYS ||
	       result == -ERESTARTNOINTR || result == -ERESTARTNOHAND ||
	       result == -ERESTART_RESTARTBLOCK;
}

/* A handler of the user's ends the call: it will not be restarted as it is. */
static bool signal_caught(const struct task *task, int signal)
{
	unsigned long long caught = 0;
	char path[32], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", task->tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "SigCgt: %llx", &caught) == 1)
			break;
	fclose(file);
	return caught & 1ULL << (signal - 1);
}

void timed_signal(struct task *task, int signal)
{
	if (task->wait.restart && signal_caught(task, signal))
		wait_end(task);
}

/*
 * Calls that fail with EINTR when the engine interrupts them, where every
 * other call is restarted by the kernel.
 */
static bool fails_with_eintr(int64_t nr)
{
	switch (nr) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
	case SYS_rt_sigtimedwait:
	case SYS_semop:
	case SYS_semtimedop:
	case SYS_io_getevents:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_accept:
	case SYS_accept4:
	case SYS_connect:
	case SYS_read:
	case SYS_write:
		return true;
	}
	return false;
}

static void wait_settle(struct task *task, struct user_regs_struct *regs,
			bool at_exit)
{
	const struct timed_call *call = task->wait.call;
	int64_t result = (int64_t)regs->rax;
	int64_t remaining = task->wait.deadline - host_now(task->host);

	if (remaining < 0)
		remaining = 0;
	if (at_exit)
		*arg_register(regs, call->arg) =
			*arg_register(&task->wait.regs, call->arg);
	host_remove_event(task->host, &task->wait.timeout);
	if (!interrupted(result) || task->wait.expired) {
		bool timed_out = interrupted(result);

		if (timed_out) {
			regs->rax = (uint64_t)call->timeout;
			regs->orig_rax = (uint64_t)-1;
		}
		if (call->finish)
			call->finish(task, &task->wait.regs, remaining, timed_out);
		wait_end(task);
		return;
	}
	task->wait.restart = true;
	if (call->nr < 0) { /* a socket's timeout turns ERESTARTSYS to EINTR */
		if (!task->kick)
			regs->rax = (uint64_t)-EINTR;
		return;
	}
	regs->orig_rax = (uint64_t)call->nr;
	if (result == -ERESTART_RESTARTBLOCK || (result == -EINTR && task->kick))
		regs->rax = (uint64_t)-ERESTARTNOHAND;
	if (call->finish)
		call->finish(task, &task->wait.regs, remaining, false);
}

void timed_interrupted(struct task *task, bool at_exit)
{
	struct user_regs_struct regs;

	if (!task_get_regs(task, &regs))
		return;
	if (task->wait.call && !task->wait.restart)
		wait_settle(task, &regs, at_exit);
	else if (task->kick && (int64_t)regs.rax == -EINTR &&
		 (int64_t)regs.orig_rax >= 0 &&
		 fails_with_eintr((int64_t)regs.orig_rax))
		regs.rax = (uint64_t)-ERESTARTNOHAND;
	else
		return;
	task_set_regs(task, &regs);
}

/* ---- the filter -------------------------------------------------------- */

struct emitter {
	struct sock_filter *code;
	size_t count, max;
};

static void emit(struct emitter *e, uint16_t code, uint32_t k, int jt, int jf)
{
	engine_assert(e->count < e->max);
	e->code[e->count++] = (struct sock_filter){ code, (uint8_t)jt,
						    (uint8_t)jf, k };
}

#define LOAD(e, member)                                                        \
	emit(e, BPF_LD | BPF_W | BPF_ABS,                                      \
	     (uint32_t)offsetof(struct seccomp_data, member), 0, 0)
#define LOAD_LOW(e, arg)                                                       \
	emit(e, BPF_LD | BPF_W | BPF_ABS,                                      \
	     (uint32_t)(offsetof(struct seccomp_data, args) + 8 * (size_t)(arg)), \
	     0, 0)
#define LOAD_HIGH(e, arg)                                                      \
	emit(e, BPF_LD | BPF_W | BPF_ABS,                                      \
	     (uint32_t)(offsetof(struct seccomp_data, args) +                  \
			8 * (size_t)(arg) + 4),                                \
	     0, 0)
#define JUMP(e, op, k, jt, jf) emit(e, BPF_JMP | (op) | BPF_K, k, jt, jf)
#define RETURN(e, k) emit(e, BPF_RET | BPF_K, k, 0, 0)

static void emit_nonnull(struct emitter *e, int arg)
{
	LOAD_LOW(e, arg);
	JUMP(e, BPF_JEQ, 0, 0, 3);
	LOAD_HIGH(e, arg);
	JUMP(e, BPF_JEQ, 0, 0, 1);
	RETURN(e, SECCOMP_RET_ALLOW);
}

static void emit_condition(struct emitter *e, const struct timed_call *call)
{
	static const int pretended[] = { SO_TIMESTAMP_OLD,   SO_TIMESTAMPNS_OLD,
					 SO_TIMESTAMPING_OLD, SO_TIMESTAMP_NEW,
					 SO_TIMESTAMPNS_NEW, SO_TIMESTAMPING_NEW };

	static const uint32_t stamps[] = { SIOCGSTAMP_OLD, SIOCGSTAMPNS_OLD,
					   SIOCGSTAMP_NEW, SIOCGSTAMPNS_NEW };

	switch (call->condition) {
	case ALWAYS:
		break;
	case NONNULL:
		emit_nonnull(e, call->arg);
		break;
	case POSITIVE:
		LOAD_LOW(e, call->arg);
		JUMP(e, BPF_JEQ, 0, 1, 0);
		JUMP(e, BPF_JSET, 0x80000000, 0, 1);
		RETURN(e, SECCOMP_RET_ALLOW);
		break;
	case ZERO:
		LOAD_LOW(e, 0);
		JUMP(e, BPF_JEQ, 0, 1, 0);
		RETURN(e, SECCOMP_RET_ALLOW);
		break;
	case CLOCKID:
		LOAD_LOW(e, 0);
		JUMP(e, BPF_JGT, CLOCK_TAI, 2, 0);
		JUMP(e, BPF_JEQ, CLOCK_PROCESS_CPUTIME_ID, 1, 0);
		JUMP(e, BPF_JEQ, CLOCK_THREAD_CPUTIME_ID, 0, 1);
		RETURN(e, SECCOMP_RET_ALLOW);
		break;
	case FUTEX:
		LOAD_LOW(e, 1);
		emit(e, BPF_ALU | BPF_AND | BPF_K, (uint32_t)FUTEX_CMD_MASK, 0, 0);
		JUMP(e, BPF_JEQ, FUTEX_WAIT, 5, 0);
		JUMP(e, BPF_JEQ, FUTEX_WAIT_BITSET, 4, 0);
		JUMP(e, BPF_JEQ, FUTEX_LOCK_PI, 3, 0);
		JUMP(e, BPF_JEQ, FUTEX_WAIT_REQUEUE_PI, 2, 0);
		JUMP(e, BPF_JEQ, FUTEX_LOCK_PI2, 1, 0);
		RETURN(e, SECCOMP_RET_ALLOW);
		emit_nonnull(e, call->arg);
		break;
	case SOCKOPT:
		LOAD_LOW(e, 1);
		JUMP(e, BPF_JEQ, SOL_SOCKET, 1, 0);
		RETURN(e, SECCOMP_RET_ALLOW);
		LOAD_LOW(e, 2);
		for (size_t i = 0; i < sizeof(pretended) / sizeof(int); i++) {
			JUMP(e, BPF_JEQ, (uint32_t)pretended[i], 0, 1);
			RETURN(e, SECCOMP_RET_ERRNO);
		}
		JUMP(e, BPF_JEQ, SO_RCVTIMEO_OLD, 4, 0);
		JUMP(e, BPF_JEQ, SO_SNDTIMEO_OLD, 3, 0);
		JUMP(e, BPF_JEQ, SO_RCVTIMEO_NEW, 2, 0);
		JUMP(e, BPF_JEQ, SO_SNDTIMEO_NEW, 1, 0);
		RETURN(e, SECCOMP_RET_ALLOW);
		break;
	case STAMP:
		LOAD_LOW(e, 1);
		for (size_t i = 0; i < sizeof(stamps) / sizeof(stamps[0]); i++) {
			JUMP(e, BPF_JEQ, stamps[i], 0, 1);
			RETURN(e, SECCOMP_RET_ERRNO | ENOENT);
		}
		RETURN(e, SECCOMP_RET_ALLOW);
		break;
	case PRETEND:
		RETURN(e, SECCOMP_RET_ERRNO);
		break;
	}
}

size_t timed_filter(struct sock_filter *filter, size_t max)
{
	struct emitter e = { filter, 0, max };

	LOAD(&e, arch);
	JUMP(&e, BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0);
	RETURN(&e, SECCOMP_RET_TRACE | FILTER_FOREIGN);
	LOAD(&e, nr);
	for (size_t i = 0; i < CALLS; i++) {
		size_t test = e.count;

		JUMP(&e, BPF_JEQ, (uint32_t)calls[i].nr, 0, 0);
		emit_condition(&e, &calls[i]);
		if (calls[i].condition != PRETEND && calls[i].condition != STAMP)
			RETURN(&e, SECCOMP_RET_TRACE | (uint32_t)i);
		engine_assert(e.count - test - 1 < 256);
		filter[test].jf = (uint8_t)(e.count - test - 1);
	}
	RETURN(&e, SECCOMP_RET_ALLOW);
	return e.count;
}
