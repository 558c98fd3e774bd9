/* SPDX-License-Identifier: MIT */
/* The latch stops a task that was blocked before it runs user code. */
#ifndef KRONOS_LATCH_H
#define KRONOS_LATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct latch_stop;
struct task;

enum latch_kind { LATCH_BPF, LATCH_PLAIN };

int latch_init(uint32_t flags, char *why, size_t size);
const char *latch_name(void);
/* In every worker but the first: gives it a program and lists of its own. */
void latch_own(void);
/* Whether tasks with a latch are listed when they come to a ptrace stop. */
bool latch_lists_stops(void);
/* How many have been listed so far. */
uint64_t latch_stops_listed(void);
/* Whether one is listed that has not been taken. */
bool latch_any_stop(void);
/* The next that is listed, and how many there were before it; NULL if there is none. */
const struct latch_stop *latch_next_stop(uint64_t *number);
/* Whether there were more than the list can hold. */
bool latch_stops_lost(void);
/* Empties the list. */
void latch_forget_stops(void);
void latch_open(struct task *task);
void latch_close(struct task *task);
void latch_rearm(struct task *task);
/*
 * Before the task is let go, for so many ns at most: after that the latch fires
 * when the task is preempted, too. Quiet: it does not fire where the task blocks.
 */
void latch_prepare(const struct task *task, bool quiet, int64_t ns);
/* The end of its turn is put off. */
void latch_postpone(const struct task *task, int64_t ns);
/* From here on it may block in this call, with this argument, without its firing. */
void latch_let_pass(const struct task *task, int64_t call, uint64_t argument);
void latch_forbid_pass(const struct task *task);
/* Of a task that may pass: before a slice of its host, for so many ns at most. */
void latch_begin_passes(const struct task *task, int64_t ns);
/* Whether such tasks may really, until one of the host's has stopped. */
void latch_pass(bool allow);
/* Real ns of the slice that it had before it last passed. */
int64_t latch_passes_ns(const struct task *task);
/* How often it has passed since this was last asked. */
uint32_t latch_take_passes(const struct task *task);
/* It has passed, and nothing will stop it when it has been woken. */
bool latch_is_free(const struct task *task);
/* It was running when its turn was over. */
bool latch_ran_out(const struct task *task);
/* Whether the task will stop before it runs user code again. */
bool latch_fired(const struct task *task);
/*
 * Of a task that has blocked: whether it waits for a disk or is inside the kernel
 * for another reason that is not idle, and whether it blocks SIGTRAP.
 */
void latch_state(const struct task *task, bool *in_kernel, bool *trap_blocked);

#endif /* KRONOS_LATCH_H */
