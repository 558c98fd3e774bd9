/* SPDX-License-Identifier: MIT */
/* Which programs read the time stamp counter, as far as engines have looked. */
#ifndef KRONOS_TSC_VERDICTS_H
#define KRONOS_TSC_VERDICTS_H

#include <stdbool.h>
#include <sys/stat.h>

bool verdict_find(const struct stat *file, bool *reads_tsc);
void verdict_add(const struct stat *file, bool reads_tsc);

#endif /* KRONOS_TSC_VERDICTS_H */
