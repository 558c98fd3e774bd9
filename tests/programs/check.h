/* SPDX-License-Identifier: MIT */
/*
 * For small programs that are run natively and dilated with the same
 * assertions. The first argument is how much later than due, in ns, something
 * may happen: natively anything, in virtual time next to nothing. The second is
 * the tick, in ns, of whoever counts some waits in ticks, as kernels do.
 */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MSEC 1000000LL
#define SEC 1000000000LL

static int64_t slack = INT64_MAX / 4;
static int64_t tick __attribute__((unused));

#define CHECK(condition)                                                       \
	do {                                                                   \
		if (!(condition)) {                                            \
			printf("%s:%d: %s (errno %s)\n", __FILE__, __LINE__,   \
			       #condition, strerror(errno));                   \
			exit(1);                                               \
		}                                                              \
	} while (0)

static inline int64_t now_on(clockid_t clock)
{
	struct timespec ts;

	CHECK(!clock_gettime(clock, &ts));
	return ts.tv_sec * SEC + ts.tv_nsec;
}

static inline int64_t now(void)
{
	return now_on(CLOCK_MONOTONIC);
}

static inline struct timespec at(int64_t ns)
{
	return (struct timespec){ ns / SEC, ns % SEC };
}

/* Something that was due `expected` ns after `start` has just happened. */
static inline void check_elapsed(const char *what, int64_t start, int64_t expected)
{
	int64_t elapsed = now() - start;

	if (elapsed < expected || elapsed > expected + slack) {
		printf("%s: took %lld ns, not %lld (+%lld)\n", what,
		       (long long)elapsed, (long long)expected, (long long)slack);
		exit(1);
	}
}

static inline void check_arguments(int argc, char **argv)
{
	if (argc > 1)
		slack = atoll(argv[1]);
	if (argc > 2)
		tick = atoll(argv[2]);
}

static inline int success(void)
{
	puts("EXIT-SUCCESS");
	return 0;
}

#endif /* CHECK_H */
