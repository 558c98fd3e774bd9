// SPDX-License-Identifier: MIT
/* clock-steady COUNT: so many readings of the clock, none of them before the one before it. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 0;
	struct timespec last = { 0 }, now;

	for (int i = 0; i < count; i++) {
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
