// SPDX-License-Identifier: MIT
/*
 * The orchestrator's side of tracers of one's own, see own_tracers.h. A tracer
 * of type INS-VT takes part in rounds: it waits in writeTracerResults() for the
 * next one, does its work, and comes again. What it and its processes do is its
 * own affair; their clock is the timeline's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "Kronos_functions.h"
#include "kronos_abi.h"
#include "own_tracers.h"

#define STALL_MS 5000
#define NSEC_PER_MSEC 1000000LL

struct own_tracer {
	LIST_ENTRY(own_tracer) entry;
	int fd, id, timeline; /* id 0: it has not registered yet */
	bool steps;	      /* takes part in rounds */
	bool waits;	      /* for its next one */
	int64_t ahead;	      /* in the present round */
	uint32_t count;
	int32_t pids[TRACER_PIDS_MAX];
};

static LIST_HEAD(, own_tracer) tracers = LIST_HEAD_INITIALIZER(tracers);
static int listener = -1;
static int talking = -1; /* an epoll of the listener, and of all tracers */
static bool (*id_is_taken)(int id);
static int64_t (*time_of)(int timeline);
static int (*await)(int fd, int64_t ns);

int own_tracers_path(char *path, unsigned long size)
{
	char base[sizeof(((struct sockaddr_un *)0)->sun_path)];

	if (kronos_socket_of(0, base, sizeof(base)))
		return -1;
	return snprintf(path, size, "%s.tracers", base) >= (int)size ? -1 : 0;
}

static int hear_from(int fd, void *who)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = who };

	return epoll_ctl(talking, EPOLL_CTL_ADD, fd, &event);
}

int own_tracers_listen(bool (*is_taken)(int id), int64_t (*now)(int timeline),
		       int (*real_wait)(int fd, int64_t ns))
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	id_is_taken = is_taken;
	time_of = now;
	await = real_wait;
	if (own_tracers_path(address.sun_path, sizeof(address.sun_path)))
		return -1;
	unlink(address.sun_path);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	talking = epoll_create1(EPOLL_CLOEXEC);
	if (listener >= 0 && talking >= 0 &&
	    !bind(listener, (struct sockaddr *)&address, sizeof(address)) &&
	    !listen(listener, 128) && !hear_from(listener, NULL))
		return 0;
	own_tracers_stop();
	return -1;
}

static void answer(struct own_tracer *tracer, int64_t result)
{
	/* One that has gone is noticed when it is read from. */
	send(tracer->fd, &result, sizeof(result), MSG_NOSIGNAL);
}

static void forget(struct own_tracer *tracer)
{
	LIST_REMOVE(tracer, entry);
	epoll_ctl(talking, EPOLL_CTL_DEL, tracer->fd, NULL); /* a child may have it, too */
	close(tracer->fd);
	free(tracer);
}

void own_tracers_stop(void)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];

	while (!LIST_EMPTY(&tracers)) {
		answer(LIST_FIRST(&tracers), 0); /* no round follows */
		forget(LIST_FIRST(&tracers));
	}
	close(talking);
	talking = -1;
	if (listener < 0)
		return;
	close(listener);
	listener = -1;
	if (!own_tracers_path(path, sizeof(path)))
		unlink(path);
}

/* ---- what they ask ------------------------------------------------------ */

static struct own_tracer *find(int id)
{
	struct own_tracer *tracer;

	LIST_FOREACH(tracer, &tracers, entry)
		if (tracer->id == id)
			return tracer;
	return NULL;
}

static bool is_taken(int id)
{
	return find(id) || id_is_taken(id);
}

/* Returns false if there is no room. */
static bool add(struct own_tracer *tracer, const struct tracer_request *request)
{
	if (request->count > TRACER_PIDS_MAX - tracer->count)
		return false;
	memcpy(tracer->pids + tracer->count, request->pids,
	       request->count * sizeof(*request->pids));
	tracer->count += request->count;
	return true;
}

static void remove_pid(struct own_tracer *tracer, int pid)
{
	for (uint32_t i = 0; i < tracer->count; i++)
		if (tracer->pids[i] == pid)
			tracer->pids[i--] = tracer->pids[--tracer->count];
}

/* Returns the id that it has now, or -1. */
static int64_t join(struct own_tracer *tracer, const struct tracer_request *request)
{
	int id = request->id > 0 ? request->id : 1;

	while (request->id <= 0 && is_taken(id))
		id++;
	if (tracer->id || is_taken(id) || time_of(request->timeline) < 0)
		return -1;
	tracer->id = id;
	tracer->timeline = request->timeline;
	tracer->steps = request->value == TRACER_TYPE_INS_VT;
	add(tracer, request);
	return id;
}

static void serve(struct own_tracer *tracer, const struct tracer_request *request)
{
	struct own_tracer *other;

	if (request->op == TRACER_REGISTER) {
		answer(tracer, join(tracer, request));
		return;
	}
	other = request->op == TRACER_TIME ? find(request->id) : tracer;
	if (!other || !other->id || other->id != request->id) {
		answer(tracer, -1);
		return;
	}
	switch (request->op) {
	case TRACER_ADD:
		answer(tracer, add(tracer, request) ? 0 : -1);
		break;
	case TRACER_CLOCK:
		tracer->ahead += request->value;
		answer(tracer, 0);
		break;
	case TRACER_TIME:
		answer(tracer, time_of(other->timeline) + other->ahead);
		break;
	case TRACER_DONE:
		for (uint32_t i = 0; i < request->count; i++)
			remove_pid(tracer, request->pids[i]);
		tracer->waits = tracer->steps = true;
		break;
	}
}

static void hear(struct own_tracer *tracer)
{
	static struct tracer_request request;
	ssize_t size = recv(tracer->fd, &request, sizeof(request), MSG_DONTWAIT);

	if (size == sizeof(request) && request.count <= TRACER_PIDS_MAX)
		serve(tracer, &request);
	else if (size >= 0 || (errno != EAGAIN && errno != EINTR))
		forget(tracer);
}

static void accept_one(void)
{
	struct own_tracer *tracer;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	tracer = calloc(1, sizeof(*tracer));
	if (!tracer) {
		close(fd);
		return;
	}
	tracer->fd = fd;
	LIST_INSERT_HEAD(&tracers, tracer, entry);
	hear_from(fd, tracer);
}

/* Waits so long, in real time; returns 0 if nobody has said anything. */
static int hear_all(int64_t timeout_ms)
{
	struct epoll_event event;
	int result = await(talking, timeout_ms < 0 ? -1 : timeout_ms * NSEC_PER_MSEC);

	if (result > 0 && epoll_wait(talking, &event, 1, 0) > 0) {
		if (event.data.ptr)
			hear(event.data.ptr);
		else
			accept_one();
	}
	return result;
}

void own_tracers_hear(int timeout_ms)
{
	if (hear_all(timeout_ms) > 0)
		while (hear_all(0) > 0)
			;
}

/* ---- rounds ------------------------------------------------------------- */

int own_tracers_joined(void)
{
	struct own_tracer *tracer;
	int joined = 0;

	LIST_FOREACH(tracer, &tracers, entry)
		joined += tracer->id && (tracer->waits || !tracer->steps);
	return joined;
}

bool own_tracers_step(int timeline)
{
	struct own_tracer *tracer;

	LIST_FOREACH(tracer, &tracers, entry)
		if (tracer->steps && tracer->timeline == timeline)
			return true;
	return false;
}

void own_tracers_begin(int timeline, int64_t ns)
{
	struct own_tracer *tracer;

	LIST_FOREACH(tracer, &tracers, entry)
		if (tracer->waits && tracer->timeline == timeline) {
			tracer->waits = false;
			answer(tracer, ns);
		}
}

/* One that has not done its round; NULL if all have. */
static struct own_tracer *missing(int timeline)
{
	struct own_tracer *tracer;

	LIST_FOREACH(tracer, &tracers, entry)
		if (tracer->steps && !tracer->waits && tracer->timeline == timeline)
			return tracer;
	return NULL;
}

void own_tracers_await(int timeline)
{
	struct own_tracer *tracer;
	bool told = false;

	while ((tracer = missing(timeline)))
		if (!hear_all(told ? -1 : STALL_MS)) {
			fprintf(stderr, "kronos: tracer %d has not finished its round "
					"for 5 s of real time; fix: it has to call "
					"writeTracerResults()\n",
				tracer->id);
			told = true;
		}
	/* All clocks are equal again. */
	LIST_FOREACH(tracer, &tracers, entry)
		if (tracer->timeline == timeline)
			tracer->ahead = 0;
}

int own_tracers_timeline(int id)
{
	const struct own_tracer *tracer = id > 0 ? find(id) : NULL;

	return tracer ? tracer->timeline : -1;
}

int own_tracers_timeline_of_process(int pid)
{
	const struct own_tracer *tracer;

	LIST_FOREACH(tracer, &tracers, entry)
		for (uint32_t i = 0; tracer->id && i < tracer->count; i++)
			if (tracer->pids[i] == pid)
				return tracer->timeline;
	return -1;
}

int own_tracers_with_processes(void)
{
	const struct own_tracer *tracer;

	LIST_FOREACH(tracer, &tracers, entry)
		if (tracer->id && tracer->count)
			return tracer->id;
	return 0;
}
