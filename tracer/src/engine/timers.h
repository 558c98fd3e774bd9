/* SPDX-License-Identifier: MIT */
/* Events and timers on hosts' clocks, and the system calls that set timers. */
#ifndef KRONOS_TIMERS_H
#define KRONOS_TIMERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/user.h>
#include <time.h>

#include "heap.h"

struct host;
struct process;
struct task;

/* Something that happens to a host at a virtual time. */
struct event {
	struct heap_node node; /* in host->events */
	void (*fire)(struct event *event, struct host *host);
};

/* CPU time of a task or of a process, in virtual ns, and what is due on it. */
struct cpu_clock {
	int64_t ns;
	struct heap timers; /* by timer->due */
};

/* A timer on a host's clock, or on a CPU clock. */
struct timer {
	struct event event;
	struct cpu_clock *cpu; /* NULL: the host's clock */
	int64_t due;	       /* the first expiry that has not been counted */
	int64_t at;	       /* when the event is to fire, which is not before */
	int64_t interval;      /* 0: it expires once */
	bool visible;	       /* what it has told can be seen without a stop */
	bool lagging;	       /* in host->lagging: timer.c */
	LIST_ENTRY(timer) entry;
};

int64_t timespec_to_ns(const struct timespec *ts); /* HEAP_NEVER if far away */
struct timespec ns_to_timespec(int64_t ns);
/* Reads what a timer is to be set to; 0 or what the call returns. */
int itimerspec_read(struct task *task, uint64_t address, struct itimerspec *value);
/* timer.c: time until it is due, 0 if it is not set. */
int64_t timer_left(const struct timer *timer, const struct host *host);
/* Sets a timer: 0 disarms it. `offset` is that of its clock, for absolute times. */
void timer_set(struct timer *timer, struct host *host, int64_t time, bool absolute,
	       int64_t offset);
void timer_cancel(struct timer *timer, struct host *host);
/* When it has fired: how often it has expired. */
int64_t timer_expiries(struct timer *timer, const struct host *host);
/* Then it is armed again, if it is periodic; `heeded`: what it told before was seen. */
void timer_again(struct timer *timer, struct host *host, bool heeded);
/* Whether what it has told may be left unheeded. */
bool timer_is_fast(const struct timer *timer);
/* The last that it told is seen now: how often it has expired since. */
int64_t timer_overruns(struct timer *timer, struct host *host);
/* A task of the host is about to run, and may look. */
void timers_tell(struct host *host);
/* One has run, and may have taken what timers told. */
void timers_revive(struct host *host);

/*
 * In signals of interval timers: only the kernel may send them as they have to
 * look, so they are made so when they are seen to be delivered.
 */
#define TIMERID_KERNEL (-1)

void timers_setitimer(struct task *task, struct user_regs_struct *regs);
void timers_getitimer(struct task *task, struct user_regs_struct *regs);
void timers_alarm(struct task *task, struct user_regs_struct *regs);
void timers_timerfd_settime(struct task *task, struct user_regs_struct *regs);
void timers_timerfd_gettime(struct task *task, struct user_regs_struct *regs);
void timers_posix_create(struct task *task, struct user_regs_struct *regs);
void timers_posix_settime(struct task *task, struct user_regs_struct *regs);
void timers_posix_gettime(struct task *task, struct user_regs_struct *regs);
void timers_posix_getoverrun(struct task *task, struct user_regs_struct *regs);
void timers_posix_delete(struct task *task, struct user_regs_struct *regs);
void timers_posix_forget(struct process *process);
/* The task is about to get a signal. */
void timers_signalled(struct task *task, int signal);
/* At the exit of a call that has taken a signal. */
void timers_leave_sigwait(struct task *task, struct user_regs_struct *regs);
/* Timers on the CPU time of a thread that ends. */
void timers_posix_thread_gone(struct task *task);
void timers_forget(struct process *process);
/* Across exec timers of signals go on; descriptors may have been closed. */
void timers_exec(struct process *process);
/* timerfds.c */
void timerfds_exec(struct process *process);
void timerfds_forget(struct process *process);

#endif /* KRONOS_TIMERS_H */
