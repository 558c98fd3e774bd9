// SPDX-License-Identifier: MIT
/* Waits, in real time, until somebody's experiment is frozen or runs. */
#include "experiment.h"

int main(void)
{
	struct kronos_info info = { .size = sizeof(info) };

	device = open(KRONOS_MODULE_DEVICE, O_RDWR | O_CLOEXEC);
	CHECK(device >= 0);
	for (;;) {
		CHECK(!ioctl(device, KRONOS_IOC_INFO, &info));
		if (info.state == KRONOS_STATE_FROZEN || info.state == KRONOS_STATE_RUNNING)
			return 0;
		wait_real(MSEC);
	}
}
