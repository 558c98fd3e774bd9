/* SPDX-License-Identifier: MIT */
/* Which of a host's ready tasks is the next to run. */
#ifndef KRONOS_TURNS_H
#define KRONOS_TURNS_H

#include <stdbool.h>
#include <stdint.h>

struct task;

/* Puts it into its host's queue; one that goes on with its turn, to the front. */
void turns_enter(struct task *task, bool goes_on);
void turns_leave(struct task *task);
/* It has had so much CPU time, in virtual ns. */
void turns_charge(struct task *task, int64_t ns);

#endif /* KRONOS_TURNS_H */
