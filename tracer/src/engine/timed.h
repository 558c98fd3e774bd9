/* SPDX-License-Identifier: MIT */
/*
 * What the files that handle timed calls share: a row of the table, and the
 * wait that a task is in. Nobody else includes this.
 */
#ifndef KRONOS_TIMED_H
#define KRONOS_TIMED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

#include "calls.h"

#define FILTER_FOREIGN 0xffff /* a call of another architecture */
#define FILTER_STRICT 0xfffe /* one that the strict mode of seccomp ends: strict.c */

/* When the filter stops a call. */
enum condition {
	ALWAYS,
	NONNULL,   /* argument `arg` is not NULL */
	POSITIVE,  /* argument `arg`, an int, is > 0 */
	CLOCKID,   /* argument 0 is a clock that is virtual, or a CPU clock */
	FUTEX,	   /* a futex operation with a timeout */
	SOCKOPT,   /* timeouts of sockets, time stamps, rings of packets */
	TIMEOPT,   /* asks for a socket's timeout, or whether there are such rings */
	PRCTL,	   /* those that set a seccomp filter, timer slack, or a trap */
	CLONES,    /* makes a user namespace or somebody untraced: argument 0 has the flags */
	IOCTL,	   /* asks for a packet's time of arrival, or unlocks or sets a terminal */
	MAPFILE,   /* maps something that is shared, or a file's code */
	CLOCKSET,  /* never: argument 0 is a clock that can be set: refused */
	REFUSED,   /* never: not permitted */
	MISSING,   /* never: the kernel has no such call */
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
	/* The call is the kernel's, but its result is looked at. */
	void (*leave)(struct task *task, struct user_regs_struct *regs);
	/* The same for those whose turn always goes on. */
	void (*emulate)(struct task *task, struct user_regs_struct *regs);
	/* The wait is over, `remaining` ns before its deadline. */
	void (*finish)(struct task *task, const struct user_regs_struct *args,
		       int64_t remaining, bool timed_out);
	bool sleeps;  /* waits for nothing but time and signals */
	bool patient; /* after its timeout it goes on until it has something */
	bool real; /* the kernel may end it as if it had timed out, in real time */
};

extern const struct timed_call timed_calls[];
extern const size_t timed_call_count;

static inline uint64_t *arg_register(struct user_regs_struct *regs, int arg)
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

/* HEAP_NEVER stays what it is. */
int64_t add_time(int64_t a, int64_t b);
/* Reads a timespec or timeval of the task; false if the kernel would refuse it. */
bool read_interval(struct task *task, uint64_t address, bool timeval, int64_t *ns);
/* The task is about to wait, until `deadline` at the latest. */
void wait_begin(struct task *task, const struct timed_call *call,
		const struct user_regs_struct *regs, int64_t deadline);
void wait_end(struct task *task);
/* At the entry of a call that has its timeout where the table says. */
bool enter_wait(struct task *task, const struct timed_call *call,
		struct user_regs_struct *regs);

/* What a blocked task waits in, as /proc has it. */
struct blocked_call {
	int nr;
	unsigned long args[4];
};

bool blocked_call(const struct task *task, struct blocked_call *call);

/* clocks.c */
bool enter_clock_gettime(struct task *task, struct user_regs_struct *regs);
bool enter_gettimeofday(struct task *task, struct user_regs_struct *regs);
bool enter_time(struct task *task, struct user_regs_struct *regs);
void emulate_adjtimex(struct task *task, struct user_regs_struct *regs);
void emulate_clock_adjtime(struct task *task, struct user_regs_struct *regs);
void emulate_sysinfo(struct task *task, struct user_regs_struct *regs);
bool enter_sched_yield(struct task *task, struct user_regs_struct *regs);

/* cputime.c */
void emulate_times(struct task *task, struct user_regs_struct *regs);
void leave_getrusage(struct task *task, struct user_regs_struct *regs);
void leave_wait4(struct task *task, struct user_regs_struct *regs);
void leave_waitid(struct task *task, struct user_regs_struct *regs);
/* Ends the wait that the task begins when its process has used so much. */
int cputime_sleep(struct task *task, int64_t clock, int64_t time, bool absolute);

/* stamps.c, rings.c */
/* Whether this is an option that asks for stamps. */
bool stamps_option(struct task *task, const struct user_regs_struct *regs);
void leave_stamp_ioctl(struct task *task, struct user_regs_struct *regs);
void rings_setsockopt(struct task *task, struct user_regs_struct *regs);
void rings_getsockopt(struct task *task, struct user_regs_struct *regs);
void rings_mmap(struct task *task, struct user_regs_struct *regs);

/* sockets.c: when a wait for data that begins now is over by SO_RCVTIMEO; HEAP_NEVER:
 * it has none. */
int64_t receive_deadline(const struct task *task, int fd);
/* Which of its socket's timeouts may end a call: SO_RCVTIMEO, SO_SNDTIMEO; 0: none. */
int socket_option_of(int64_t nr);

/* tty_reads.c: the task sets a terminal as the struct termios there says. */
void tty_set(const struct task *task, uint64_t address);

bool enter_setsockopt(struct task *task, struct user_regs_struct *regs);
bool enter_getsockopt(struct task *task, struct user_regs_struct *regs);

#endif /* KRONOS_TIMED_H */
