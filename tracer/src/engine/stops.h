/* SPDX-License-Identifier: MIT */
/* Ptrace stops: what is known of them, and the way out. */
#ifndef KRONOS_STOPS_H
#define KRONOS_STOPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/user.h>

struct task;

/* Handles the stops that the latch has listed, and those of tasks of which it lists none. */
void stops_take(void);
/* Whether there is any. */
bool stops_news(void);
/* Whether the latch lists the task's stops: one without a latch is asked for them, and
 * one that is on its way out, for its end. */
void stops_listed(struct task *task, bool listed);
/* Whether stops send SIGCHLD, as ends do in any case. */
void stops_signal(bool on);
/* Lets waitpid() no longer report those that have been taken from the list. */
void stops_reap(void);
/* The task has gone on, or has come to a stop of which nothing is known yet. */
void stop_forget(struct task *task);
/* waitpid() has told of a stop: what is listed of it is not another. */
void stop_reported(struct task *task);
/* Every ptrace request that lets a task go on. */
void stop_leave(struct task *task, int request, int signal);

/* What PTRACE_GETEVENTMSG says. */
bool stop_message(const struct task *task, unsigned long *message);
/* si_code of what PTRACE_GETSIGINFO says; 0 if it fails. */
int stop_si_code(const struct task *task);
/* The two words there, if they are known. */
bool stop_words(const struct task *task, uint64_t address, int64_t words[2]);
bool task_get_regs(const struct task *task, struct user_regs_struct *regs);
void task_set_regs(struct task *task, const struct user_regs_struct *regs);

#endif /* KRONOS_STOPS_H */
