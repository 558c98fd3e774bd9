/* SPDX-License-Identifier: MIT */
/* ticker: wakes up once a second. */
#include <unistd.h>

int main(void)
{
	for (;;)
		sleep(1);
}
