// SPDX-License-Identifier: MIT
/* A million readings of the clock: none is before the one before it. */
#include <stdio.h>
#include <time.h>

int main(void)
{
	struct timespec last = { 0 }, now;

	for (int i = 0; i < 1000000; i++) {
		if (clock_gettime(CLOCK_MONOTONIC, &now))
			return 1;
		if (now.tv_sec < last.tv_sec ||
		    (now.tv_sec == last.tv_sec && now.tv_nsec < last.tv_nsec)) {
			printf("reading %d went back from %ld.%09ld to %ld.%09ld\n", i,
			       last.tv_sec, last.tv_nsec, now.tv_sec, now.tv_nsec);
			return 1;
		}
		last = now;
	}
	return 0;
}
