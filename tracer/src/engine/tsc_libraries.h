/* SPDX-License-Identifier: MIT */
/* Libraries that read the time stamp counter. */
#ifndef KRONOS_TSC_LIBRARIES_H
#define KRONOS_TSC_LIBRARIES_H

#include <stdbool.h>
#include <sys/user.h>

struct task;

/* The task stands at the entry of an mmap() of a private file that will be code. */
void tsc_map_library(struct task *task, struct user_regs_struct *regs);
/* At a SIGTRAP: reads the TSC for the task if that is what stood there. */
bool tsc_emulate_replaced(struct task *task);

#endif /* KRONOS_TSC_LIBRARIES_H */
