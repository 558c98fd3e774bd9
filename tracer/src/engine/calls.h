/* SPDX-License-Identifier: MIT */
/* What the engine's other parts see of timed system calls (timed.h has the rest). */
#ifndef KRONOS_CALLS_H
#define KRONOS_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

struct sock_filter;
struct event;
struct host;
struct task;

/* filter.c */
size_t timed_filter(struct sock_filter *filter, size_t max);
/* The task stands at the entry of a call that the filter caught. Returns false if
 * its turn is over. */
bool timed_enter(struct task *task);
/* After an exec: ends the process if it cannot be dilated. */
bool timed_refuses_program(const struct task *task, const struct user_regs_struct *regs);
void timed_forget(struct task *task);
/* Name of the timed call that the task waits in, "": not one call's; or NULL. */
const char *timed_call_of(const struct task *task);
/* The task is at a call that ends with a stop, whatever ends it. */
bool timed_stops(const struct task *task);
/* What it is blocked in can be restarted, and nobody will notice. */
bool timed_restartable(const struct task *task);
/* waits.c: at a stop, before the call that it has interrupted is restarted or
 * returns to the program. At the exit of a call whose task->exit is set, and
 * whether the engine has interrupted it: */
void wait_exit(struct task *task, bool interrupted);
/* The latch has stopped it: the call has ended, or something else comes next. */
void wait_latched(struct task *task);
/* A stop that the engine has caused: the program is not to notice. */
void wait_interrupted(struct task *task);
/* A signal of somebody else is about to be delivered. */
void wait_signalled(struct task *task, int signal);
/* SIGSTOP or the like has stopped the task. */
void wait_held(struct task *task);
/* Fires when a wait has lasted as long as it may. */
void wait_timeout(struct event *event, struct host *host);
/* sockets.c: the task has blocked in a call that was not caught. */
void timed_blocked(struct task *task);
/* tty_reads.c: the same. */
void tty_blocked(struct task *task);
/* Lets the call at whose entry the task stands return `result` instead. */
void call_skip(struct task *task, struct user_regs_struct *regs, int64_t result);

#endif /* KRONOS_CALLS_H */
