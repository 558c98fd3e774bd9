// SPDX-License-Identifier: MIT
/* What /proc says of a process or a task. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "procfs.h"

#define LINE_MAX_SIZE 512 /* the longest that is asked for: ids in 33 namespaces */

/* What follows `key` at the begin of a line. */
static bool read_field(const char *path, const char *key, char *text, size_t size)
{
	FILE *file = fopen(path, "re");
	char line[LINE_MAX_SIZE];
	bool found = false;

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = !strncmp(line, key, strlen(key));
	fclose(file);
	if (found)
		snprintf(text, size, "%s", line + strlen(key));
	return found;
}

bool procfs_status(pid_t pid, const char *key, char *text, size_t size)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return read_field(path, key, text, size);
}

uint64_t procfs_status_set(pid_t pid, const char *key)
{
	char text[64];

	return procfs_status(pid, key, text, sizeof(text)) ? strtoull(text, NULL, 16) : 0;
}

int64_t procfs_fdinfo(pid_t pid, int fd, const char *key)
{
	char path[64], text[64];

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	return read_field(path, key, text, sizeof(text)) ? strtoll(text, NULL, 0) : -1;
}

static bool namespace_of(pid_t pid, const char *kind, struct stat *space)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kind);
	return !stat(path, space);
}

bool procfs_same_namespace(const char *kind, pid_t a, pid_t b)
{
	struct stat one, other;

	return namespace_of(a, kind, &one) && namespace_of(b, kind, &other) &&
	       one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}
