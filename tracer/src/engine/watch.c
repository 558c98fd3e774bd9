// SPDX-License-Identifier: MIT
/*
 * What ends a progress: descriptors that become readable.
 *
 * And frames for those who watch a link. A watcher gives one end of a datagram
 * socket pair, with a packet filter at the other: what gets through makes that
 * end readable, and a progress that waits for it ends after the round.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine.h"
#include "watch.h"

/* [0] is the progress' own, a free place has -1: poll() passes over it. */
static struct pollfd *watched;
static nfds_t watched_count, watched_max;

static nfds_t free_place(void)
{
	nfds_t place = 1;

	while (place < watched_count && watched[place].fd >= 0)
		place++;
	return place;
}

static void take_place(nfds_t place, int fd)
{
	if (place >= watched_max) {
		watched_max = watched_max ? 2 * watched_max : 16;
		watched = xrealloc(watched, watched_max * sizeof(*watched));
	}
	watched[place] = (struct pollfd){ .fd = fd, .events = POLLIN };
	if (place >= watched_count)
		watched_count = place + 1;
}

int watch_fd(int fd)
{
	/* Wakes a worker that sleeps, once for each change. */
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.fd = fd };
	nfds_t place = free_place();

	if (epoll_ctl(engine.epoll, EPOLL_CTL_ADD, fd, &event))
		return -errno;
	take_place(place, fd);
	return (int)place;
}

void unwatch_fd(int64_t number)
{
	if (number < 1 || number >= (int64_t)watched_count ||
	    watched[number].fd < 0)
		return;
	epoll_ctl(engine.epoll, EPOLL_CTL_DEL, watched[number].fd, NULL);
	close(watched[number].fd);
	watched[number].fd = -1;
}

/* On a pty poll() also waits until what was written to it has arrived. */
bool watched_readable(int until_fd)
{
	if (until_fd < 0 && watched_count <= 1)
		return false;
	take_place(0, until_fd);
	return poll(watched, watched_count, 0) > 0;
}

struct watch {
	LIST_ENTRY(watch) entry;
	uint32_t link;
	int fd;
};

static LIST_HEAD(, watch) watches = LIST_HEAD_INITIALIZER(watches);

void watch_add(uint32_t link, int fd)
{
	struct watch *watch = xcalloc(sizeof(*watch));

	watch->link = link;
	watch->fd = fd;
	LIST_INSERT_HEAD(&watches, watch, entry);
}

static void watch_end(struct watch *watch)
{
	LIST_REMOVE(watch, entry);
	close(watch->fd);
	free(watch);
}

void watch_frame(uint32_t link, const void *data, size_t size)
{
	struct watch *watch, *next;

	for (watch = LIST_FIRST(&watches); watch; watch = next) {
		next = LIST_NEXT(watch, entry);
		if (watch->link != link)
			continue;
		/* A frame that the filter drops fails with EPERM, one too many with EAGAIN. */
		if (send(watch->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
		    (errno == ECONNREFUSED || errno == EPIPE || errno == ENOTCONN))
			watch_end(watch);
	}
}
