// SPDX-License-Identifier: MIT
#pragma once

#include <sys/epoll.h>

/* Adds to an epoll what shall be readable, or takes it away. */
static inline void watch_in(int set, int operation, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	epoll_ctl(set, operation, fd, &event);
}
