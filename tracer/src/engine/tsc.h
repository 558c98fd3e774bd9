/* SPDX-License-Identifier: MIT */
/* Programs that read the time stamp counter. */
#ifndef KRONOS_TSC_H
#define KRONOS_TSC_H

#include <stdbool.h>

struct task;

/* Whether the program that the task has just begun reads the TSC itself. */
bool tsc_wants_trap(const struct task *task);
/* At a SIGSEGV: reads the TSC for the task if that is what it wanted. */
bool tsc_emulate(struct task *task);

#endif /* KRONOS_TSC_H */
