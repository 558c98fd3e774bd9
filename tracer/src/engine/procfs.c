// SPDX-License-Identifier: MIT
/* What /proc says of a process or a task. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "procfs.h"

ssize_t procfs_read(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, text, size - 1);
	if (fd >= 0)
		close(fd);
	text[length > 0 ? length : 0] = '\0';
	return length;
}

bool procfs_comm(pid_t tid, char *text, size_t size)
{
	bool found = procfs_read(tid, "comm", text, size) > 0;

	text[strcspn(text, "\n")] = '\0';
	return found;
}

/* Each field is what follows its key at the begin of a line; counts those found. */
static size_t read_fields(const char *path, struct procfs_field *fields, size_t count)
{
	FILE *file = fopen(path, "re");
	char line[PROCFS_FIELD_MAX];
	size_t found = 0;

	while (file && found < count && fgets(line, sizeof(line), file))
		for (size_t i = 0; i < count; i++)
			if (!strncmp(line, fields[i].key, strlen(fields[i].key))) {
				strcpy(fields[i].text, line + strlen(fields[i].key));
				found++;
			}
	if (file)
		fclose(file);
	return found;
}

bool procfs_status(pid_t pid, struct procfs_field *fields, size_t count)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return read_fields(path, fields, count) == count;
}

uint64_t procfs_status_set(pid_t pid, const char *key)
{
	struct procfs_field field = { .key = key };

	return procfs_status(pid, &field, 1) ? strtoull(field.text, NULL, 16) : 0;
}

int64_t procfs_fdinfo(pid_t pid, int fd, const char *key)
{
	struct procfs_field field = { .key = key };
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	return read_fields(path, &field, 1) ? strtoll(field.text, NULL, 0) : -1;
}

static bool namespace_of(pid_t pid, const char *kind, struct stat *space)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kind);
	return !stat(path, space);
}

static bool same(pid_t a, const char *kind, pid_t b, const char *other_kind)
{
	struct stat one, other;

	return namespace_of(a, kind, &one) && namespace_of(b, other_kind, &other) &&
	       one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

bool procfs_same_namespace(const char *kind, pid_t a, pid_t b)
{
	return same(a, kind, b, kind);
}

bool procfs_entered_namespace(const char *kind, pid_t pid)
{
	char children[32];

	snprintf(children, sizeof(children), "%s_for_children", kind);
	return same(pid, kind, pid, children);
}
