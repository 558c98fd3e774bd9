/* SPDX-License-Identifier: MIT */
/* For programs that run an experiment through libkronos. */
#ifndef ORCHESTRATOR_H
#define ORCHESTRATOR_H

#include <unistd.h>

#include "check.h"
#include "kronos.h"

static struct kronos *k;

/* What may fail, with the library's own words. */
#define TRY(call)                                                              \
	({                                                                     \
		int64_t result_ = (int64_t)(call);                             \
		if (result_ < 0)                                               \
			printf("%s: %s\n", #call, kronos_error(k));            \
		CHECK(result_ >= 0);                                           \
		result_;                                                       \
	})

static pid_t start(char *const argv[])
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	execvp(argv[0], argv);
	_exit(127);
}

#endif /* ORCHESTRATOR_H */
