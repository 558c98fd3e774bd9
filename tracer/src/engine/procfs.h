/* SPDX-License-Identifier: MIT */
/* What /proc says of a process or a task; ids are those of the engine's pid namespace. */
#ifndef KRONOS_PROCFS_H
#define KRONOS_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCFS_FIELD_MAX 512 /* the longest that is asked for: ids in 33 namespaces */

struct procfs_field {
	const char *key; /* such as "NSpid:" */
	char text[PROCFS_FIELD_MAX]; /* what follows it on its line */
};

/* One of its files, as text; its length, or -1. */
ssize_t procfs_read(pid_t pid, const char *name, char *text, size_t size);
/* The name of a task's program; false, and "", if it is gone. */
bool procfs_comm(pid_t tid, char *text, size_t size);
/* Fields of its status; false if one of them is not there. */
bool procfs_status(pid_t pid, struct procfs_field *fields, size_t count);
/* One that is a set, such as "CapEff:"; 0 if it is not there. */
uint64_t procfs_status_set(pid_t pid, const char *key);
/* A number that is known of an open file, such as "ticks:"; -1 if it is not there. */
int64_t procfs_fdinfo(pid_t pid, int fd, const char *key);
/* Both are in the same namespace of a kind, such as "pid". */
bool procfs_same_namespace(const char *kind, pid_t a, pid_t b);
/* It is in the namespace that its children will be in. */
bool procfs_entered_namespace(const char *kind, pid_t pid);

#endif /* KRONOS_PROCFS_H */
