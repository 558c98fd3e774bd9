/* SPDX-License-Identifier: MIT */
/* What programs set by prctl() and personality() that the kernel would not keep for dilated tasks. */
#ifndef KRONOS_PRCTLS_H
#define KRONOS_PRCTLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/user.h>

struct task;

/* In an argument that PR_SET_TSC does not have: the call is the engine's own. */
#define PRCTL_OF_ENGINE 0x6b726f6e

struct prctls {
	bool tsc_refused;       /* PR_TSC_SIGSEGV, which outlasts exec */
	uint64_t slack;	        /* of timers, in ns; 0: the one that it has by default */
	uint64_t slack_default; /* 0: what the first process has */
};

/* The task stands at the entry of a prctl() that the filter has caught. */
void prctl_call(struct task *task, struct user_regs_struct *regs);
void personality_call(struct task *task, struct user_regs_struct *regs);
void prctls_inherit(struct task *child, const struct task *parent);

#endif /* KRONOS_PRCTLS_H */
