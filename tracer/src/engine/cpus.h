/* SPDX-License-Identifier: MIT */
/* The CPUs that the engine and the dilated tasks run on. */
#ifndef KRONOS_CPUS_H
#define KRONOS_CPUS_H

#include <stddef.h>
#include <sys/types.h>

#include "kronos_abi.h"

#define CPUS_MAX 8192 /* the kernel's greatest NR_CPUS */

/*
 * One CPU for each worker, as the request asks for; sets engine.cpu and
 * engine.workers. Returns 0, or says in `text` what is wrong.
 */
int cpus_choose(const struct kronos_request *request, int *cpus, char *text, size_t size);
/* Lets a task (0: the caller) run on this CPU only; 0, or -1 and errno. */
int cpus_pin(pid_t tid, int cpu);

#endif /* KRONOS_CPUS_H */
