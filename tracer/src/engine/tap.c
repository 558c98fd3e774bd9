// SPDX-License-Identifier: MIT
/*
 * Frames that hosts send: read from their TAPs and stamped with the time of
 * their departure.
 *
 * A host whose clock moves inside a slice has its frames read by the watchdog,
 * at the moment they are sent; the worker takes them when the slice is over.
 * An instant host's are read by the worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <unistd.h>

#include "engine.h"
#include "host.h"
#include "link.h"
#include "rounds.h"
#include "watchdog.h"

#define TAPS_AT_ONCE 16

/* What the watchdog has read and the worker has not yet taken. */
static STAILQ_HEAD(, frame) inbox = STAILQ_HEAD_INITIALIZER(inbox);

static struct frame *frame_read(struct port *port, uint8_t *buffer)
{
	ssize_t size = read(port->fd, buffer, FRAME_MAX);

	return size > 0 ? frame_new(port, buffer, (size_t)size) : NULL;
}

/* Why nothing was read: the interface has been deleted, from inside its host. */
static bool is_gone(void)
{
	return errno != EAGAIN && errno != EINTR;
}

/* ---- by the watchdog --------------------------------------------------- */

bool link_inbox(void)
{
	return !STAILQ_EMPTY(&inbox);
}

/* Of more frames than one the watchdog hears again. */
void link_read_stamped(struct port *port)
{
	static uint8_t buffer[FRAME_MAX];
	uint64_t now = tsc_now();
	struct frame *frame;

	engine_lock();
	frame = frame_read(port, buffer);
	if (frame) {
		frame->sent = engine.slice.host == port->host && !engine.live ?
				      slice_time(&engine.slice, now) :
				      rounds_stamp(port->host);
		STAILQ_INSERT_TAIL(&inbox, frame, entry);
	} else if (is_gone() && port->fd >= 0) {
		watchdog_forget(port->fd);
	}
	slice_exclude(tsc_now() - now);
	engine_unlock();
	if (frame && engine.worker_sleeps)
		eventfd_signal(engine.wake);
}

static void link_collect(void)
{
	STAILQ_HEAD(, frame) taken = STAILQ_HEAD_INITIALIZER(taken);
	struct frame *frame;

	if (!link_inbox())
		return;
	engine_lock();
	STAILQ_CONCAT(&taken, &inbox);
	engine_unlock();
	while ((frame = STAILQ_FIRST(&taken))) {
		STAILQ_REMOVE_HEAD(&taken, entry);
		frame_send(frame);
	}
}

/* ---- by the worker ----------------------------------------------------- */

static void read_port(struct host *host, struct port *port)
{
	static uint8_t buffer[FRAME_MAX];
	struct frame *frame;

	while ((frame = frame_read(port, buffer))) {
		frame->sent = departure_time(host, frame);
		if (departure_is_held())
			departure_hold(frame);
		else
			frame_send(frame);
	}
	if (is_gone())
		epoll_ctl(host->tap_epoll, EPOLL_CTL_DEL, port->fd, NULL);
}

void link_read_host(struct host *host)
{
	struct epoll_event events[TAPS_AT_ONCE];
	int count;

	carrier_update();
	if (host->tap_epoll < 0) {
		link_collect();
		return;
	}
	do {
		count = epoll_wait(host->tap_epoll, events, TAPS_AT_ONCE, 0);
		for (int i = 0; i < count; i++)
			read_port(host, events[i].data.ptr);
	} while (count == TAPS_AT_ONCE);
}

bool link_read_all(void)
{
	struct epoll_event events[TAPS_AT_ONCE];
	int count = epoll_wait(engine.tap_epoll, events, TAPS_AT_ONCE, 0);
	bool any = count > 0 || link_inbox();

	carrier_update();
	for (int i = 0; i < count; i++)
		link_read_host(events[i].data.ptr);
	link_collect();
	return any;
}

/* ---- which TAPs -------------------------------------------------------- */

void tap_watch(struct port *port)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = port };

	fcntl(port->fd, F_SETFL, O_NONBLOCK);
	if (port->host->tap_epoll < 0)
		watchdog_watch_tap(port->fd, port);
	else
		epoll_ctl(port->host->tap_epoll, EPOLL_CTL_ADD, port->fd, &event);
}

void tap_forget(struct port *port)
{
	engine_lock(); /* the watchdog may be reading it */
	if (port->host->tap_epoll >= 0)
		epoll_ctl(port->host->tap_epoll, EPOLL_CTL_DEL, port->fd, NULL);
	else
		watchdog_forget(port->fd);
	close(port->fd);
	port->fd = -1;
	engine_unlock();
}
