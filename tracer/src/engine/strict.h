/* SPDX-License-Identifier: MIT */
/* The strict mode of seccomp. */
#ifndef KRONOS_STRICT_H
#define KRONOS_STRICT_H

#include <sys/user.h>

struct task;

/* The task stands at the entry of a call that asks for it. */
void strict_enter(struct task *task, struct user_regs_struct *regs);

#endif /* KRONOS_STRICT_H */
