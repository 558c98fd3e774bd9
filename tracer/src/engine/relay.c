// SPDX-License-Identifier: MIT
/*
 * Relays: connections between switches and their controller that take virtual
 * time. Who connects to a relay's listening socket is connected, through the
 * engine, to a port of this machine's; what one end writes at its own virtual
 * time t reaches the other end at t + delay, in order. Like links, relays give
 * the two hosts time to run apart: nothing that one does is known to the other
 * before the delay is over.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine.h"
#include "host.h"
#include "relay.h"
#include "rounds.h"
#include "task.h"

#define CHUNK_MAX 65536
#define WAITING_MAX (16 << 20) /* bytes on their way to an end that does not read */

struct chunk {
	STAILQ_ENTRY(chunk) entry;
	int64_t arrival;
	size_t size, sent; /* size 0: the other end is closed */
	uint8_t data[];
};

/* One end of a connection, and what is on its way to it. */
struct end {
	struct event event; /* the first chunk's arrival */
	STAILQ_HEAD(, chunk) chunks;
	size_t waiting;
	struct host *host;
	struct end *other;
	int fd;
	uint32_t interest; /* of epoll */
	bool ended;	   /* nothing more comes from it */
};

struct relay {
	int listener;
	struct host *host[2];
	uint16_t port;
	int64_t delay;
	LIST_ENTRY(relay) entry;
};

struct connection {
	struct relay *relay;
	struct end end[2];
	LIST_ENTRY(connection) entry;
};

static LIST_HEAD(, relay) relays = LIST_HEAD_INITIALIZER(relays);
static LIST_HEAD(, connection) connections = LIST_HEAD_INITIALIZER(connections);
static int epoll = -1;

/* ---- connections ------------------------------------------------------- */

static struct connection *connection_of(struct end *end)
{
	struct end *first = end < end->other ? end : end->other;

	return container_of(first, struct connection, end[0]);
}

/* Not watched at all, an end cannot make itself heard by a hang-up either. */
static void watch(struct end *end, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = end };
	int op = !events	? EPOLL_CTL_DEL :
		 !end->interest ? EPOLL_CTL_ADD :
				  EPOLL_CTL_MOD;

	if (end->interest != events)
		epoll_ctl(epoll, op, end->fd, &event);
	end->interest = events;
}

static void connection_close(struct connection *connection)
{
	struct chunk *chunk;

	for (int i = 0; i < 2; i++) {
		struct end *end = &connection->end[i];

		host_remove_event(end->host, &end->event);
		while ((chunk = STAILQ_FIRST(&end->chunks))) {
			STAILQ_REMOVE_HEAD(&end->chunks, entry);
			free(chunk);
		}
		close(end->fd);
	}
	LIST_REMOVE(connection, entry);
	free(connection);
}

/* ---- delivering -------------------------------------------------------- */

/* Returns false if the end does not take all of it now. */
static bool chunk_write(struct end *end, struct chunk *chunk)
{
	ssize_t size = send(end->fd, chunk->data + chunk->sent,
			    chunk->size - chunk->sent, MSG_NOSIGNAL);

	if (size < 0 && errno == EAGAIN)
		return false;
	/* An end that is gone takes everything: that it is gone is read there. */
	chunk->sent = size < 0 ? chunk->size : chunk->sent + (size_t)size;
	return chunk->sent == chunk->size;
}

static void deliver(struct end *end)
{
	struct chunk *chunk;

	while ((chunk = STAILQ_FIRST(&end->chunks)) &&
	       chunk->arrival <= host_now(end->host)) {
		if (!chunk->size) {
			connection_close(connection_of(end));
			return;
		}
		if (!chunk_write(end, chunk)) {
			watch(end, end->interest | EPOLLOUT);
			return;
		}
		STAILQ_REMOVE_HEAD(&end->chunks, entry);
		end->waiting -= chunk->size;
		free(chunk);
	}
	watch(end, end->interest & ~(uint32_t)EPOLLOUT);
	if (!end->other->ended && end->waiting < WAITING_MAX)
		watch(end->other, end->other->interest | EPOLLIN);
	if (chunk)
		host_add_event(end->host, &end->event, chunk->arrival);
}

static void chunk_arrive(struct event *event, struct host *host)
{
	(void)host;
	deliver(container_of(event, struct end, event));
	task_drain();
}

/* ---- reading ----------------------------------------------------------- */

/* What has been read at one end will be at the other. */
static void chunk_queue(struct end *from, const void *data, size_t size)
{
	struct chunk *chunk = xrealloc(NULL, sizeof(*chunk) + size);
	struct end *to = from->other;
	bool first = STAILQ_EMPTY(&to->chunks);

	*chunk = (struct chunk){
		.arrival = rounds_stamp(from->host) +
			   connection_of(from)->relay->delay,
		.size = size,
	};
	if (size)
		memcpy(chunk->data, data, size);
	STAILQ_INSERT_TAIL(&to->chunks, chunk, entry);
	to->waiting += size;
	if (first)
		host_add_event(to->host, &to->event, chunk->arrival);
}

static void end_read(struct end *end)
{
	static uint8_t buffer[CHUNK_MAX];
	ssize_t size;

	while (end->other->waiting < WAITING_MAX) {
		size = recv(end->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
		if (size < 0 && errno == EAGAIN)
			return;
		if (size <= 0)
			break;
		chunk_queue(end, buffer, (size_t)size);
	}
	watch(end, end->interest & ~(uint32_t)EPOLLIN);
	if (end->other->waiting < WAITING_MAX) {
		end->ended = true;
		chunk_queue(end, NULL, 0);
	}
}

static int connect_to(uint16_t port)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 &&
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) &&
	    errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

static void end_init(struct connection *connection, int i, int fd)
{
	struct end *end = &connection->end[i];
	const int on = 1;

	*end = (struct end){
		.event.fire = chunk_arrive,
		.chunks = STAILQ_HEAD_INITIALIZER(end->chunks),
		.host = connection->relay->host[i],
		.other = &connection->end[!i],
		.fd = fd,
	};
	/* A Unix socket refuses it, and needs none. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	watch(end, EPOLLIN);
}

static void relay_accept(struct relay *relay)
{
	struct connection *connection;
	int fd, far;

	while ((fd = accept4(relay->listener, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		far = connect_to(relay->port);
		if (far < 0) { /* nobody is there */
			close(fd);
			continue;
		}
		connection = xcalloc(sizeof(*connection));
		connection->relay = relay;
		end_init(connection, 0, fd);
		end_init(connection, 1, far);
		LIST_INSERT_HEAD(&connections, connection, entry);
	}
}

static struct relay *relay_at(const void *tag)
{
	struct relay *relay;

	LIST_FOREACH(relay, &relays, entry)
		if (relay == tag)
			return relay;
	return NULL;
}

/* Whether the end still exists: what happened to another may have closed it. */
static bool end_exists(const struct end *end)
{
	struct connection *connection;

	LIST_FOREACH(connection, &connections, entry)
		if (end == &connection->end[0] || end == &connection->end[1])
			return true;
	return false;
}

bool relay_read(void)
{
	struct epoll_event events[16];
	struct relay *relay;
	struct end *end;
	int count;

	if (epoll < 0)
		return false;
	count = epoll_wait(epoll, events, 16, 0);
	for (int i = 0; i < count; i++) {
		relay = relay_at(events[i].data.ptr);
		end = events[i].data.ptr;
		if (relay) {
			relay_accept(relay);
			continue;
		}
		if (end_exists(end) && (events[i].events & EPOLLOUT))
			deliver(end);
		if (end_exists(end) && (events[i].events & ~(uint32_t)EPOLLOUT))
			end_read(end);
	}
	return count > 0;
}

/* ---- set-up ------------------------------------------------------------ */

int relay_add(const struct kronos_relay_config *config, int listener, char *error,
	      size_t size)
{
	struct relay *relay;
	struct host *host[2];

	for (int i = 0; i < 2; i++) {
		host[i] = host_get(config->host[i]);
		if (!host[i] || host[i]->remote || listener < 0 ||
		    config->delay_ns < 0 || config->port > UINT16_MAX) {
			snprintf(error, size,
				 "relay to port %u: bad listener, port, delay or "
				 "host, which must have place 1",
				 config->port);
			return -EINVAL;
		}
	}
	if (epoll < 0) {
		epoll = epoll_create1(EPOLL_CLOEXEC);
		engine_assert(epoll >= 0);
		epoll_ctl(engine.epoll, EPOLL_CTL_ADD, epoll,
			  &(struct epoll_event){ .events = EPOLLIN });
	}
	relay = xcalloc(sizeof(*relay));
	*relay = (struct relay){
		.listener = listener,
		.host = { host[0], host[1] },
		.port = (uint16_t)config->port,
		.delay = config->delay_ns,
	};
	fcntl(listener, F_SETFL, O_NONBLOCK);
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener,
		  &(struct epoll_event){ .events = EPOLLIN, .data.ptr = relay });
	LIST_INSERT_HEAD(&relays, relay, entry);
	for (int i = 0; i < 2; i++) {
		host[i]->relayed = true;
		if (relay->delay < host[i]->lookahead)
			host[i]->lookahead = relay->delay;
	}
	return 0;
}
