/* SPDX-License-Identifier: MIT */
/* What /proc says of a process or a task; ids are those of the engine's pid namespace. */
#ifndef KRONOS_PROCFS_H
#define KRONOS_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What follows `key`, such as "NSpid:", in its status; false if it is not there. */
bool procfs_status(pid_t pid, const char *key, char *text, size_t size);
/* The same for a set, such as "CapEff:"; 0 if it is not there. */
uint64_t procfs_status_set(pid_t pid, const char *key);
/* A number that is known of an open file, such as "ticks:"; -1 if it is not there. */
int64_t procfs_fdinfo(pid_t pid, int fd, const char *key);
/* Both are in the same namespace of a kind, such as "pid". */
bool procfs_same_namespace(const char *kind, pid_t a, pid_t b);

#endif /* KRONOS_PROCFS_H */
