/* SPDX-License-Identifier: MIT */
/* Which programs read the time stamp counter, as far as engines have looked. */
#ifndef KRONOS_TSC_VERDICTS_H
#define KRONOS_TSC_VERDICTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* A file, as it is now. */
struct file_key {
	uint64_t device, inode;
	int64_t seconds, nanoseconds; /* of its last change */
	int64_t size;
};

struct file_key file_key(const struct stat *file);

bool verdict_find(const struct stat *file, bool *reads_tsc);
void verdict_add(const struct stat *file, bool reads_tsc);

#endif /* KRONOS_TSC_VERDICTS_H */
