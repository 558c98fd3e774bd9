// SPDX-License-Identifier: MIT
/*
 * Real time, for an orchestrator whose own clock and timers may stand: under
 * the kernel engine they are the whole machine's, and only the module knows.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "kronos.h"
#include "kronos_module.h"

#define NSEC_PER_SEC 1000000000LL

static int ask_module(unsigned long request, void *argument)
{
	int device = open(KRONOS_MODULE_DEVICE, O_RDWR | O_CLOEXEC), result;

	if (device < 0)
		return -errno;
	result = ioctl(device, request, argument);
	if (result < 0)
		result = -errno;
	close(device);
	return result;
}

int64_t kronos_real_time(const struct kronos *k)
{
	struct kronos_clock clock = { .size = sizeof(clock) };
	struct timespec now;
	int result;

	if (kronos_engine(k) == KRONOS_ENGINE_KERNEL) {
		result = ask_module(KRONOS_IOC_CLOCK, &clock);
		return result < 0 ? result : (int64_t)clock.real_ns;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

int kronos_real_wait(const struct kronos *k, int fd, int64_t timeout_ns)
{
	struct kronos_wait wait = { .size = sizeof(wait), .fd = fd, .timeout_ns = timeout_ns };
	struct timespec limit = { timeout_ns / NSEC_PER_SEC, timeout_ns % NSEC_PER_SEC };
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int result;

	if (kronos_engine(k) == KRONOS_ENGINE_KERNEL)
		return ask_module(KRONOS_IOC_WAIT, &wait);
	result = ppoll(&poll_fd, 1, timeout_ns < 0 ? NULL : &limit, NULL);
	return result < 0 ? -errno : result;
}
