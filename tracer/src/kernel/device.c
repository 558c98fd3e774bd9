// SPDX-License-Identifier: MIT
/* The module's device, which this process owns for one experiment. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "device.h"

static int device = -1;

int64_t device_call(unsigned long request, void *argument)
{
	int result = ioctl(device, request, argument);

	return result < 0 ? -errno : result;
}

int64_t failed(struct kronos_reply *reply, int64_t error, const char *what)
{
	snprintf(reply->text, sizeof(reply->text), "%s: %s", what,
		 strerror((int)-error));
	return error;
}

int64_t device_open(struct kronos_reply *reply)
{
	struct kronos_initialize init = {
		.size = sizeof(init),
		.abi = KRONOS_MODULE_ABI,
		.flags = KRONOS_INIT_KILL,
	};
	int64_t result;

	device = open(KRONOS_MODULE_DEVICE, O_RDWR | O_CLOEXEC);
	if (device < 0) {
		result = -errno;
		snprintf(reply->text, sizeof(reply->text),
			 "cannot open " KRONOS_MODULE_DEVICE
			 " (%s); fix: load the module (modprobe kronos), or "
			 "engine='user'",
			 strerror(errno));
		return result;
	}
	result = device_call(KRONOS_IOC_INITIALIZE, &init);
	if (result == -EBUSY)
		snprintf(reply->text, sizeof(reply->text),
			 "another experiment owns " KRONOS_MODULE_DEVICE
			 "; fix: stop it first");
	else if (result < 0)
		failed(reply, result, "the module refuses to begin");
	return result;
}

void device_close(void)
{
	close(device);
}
