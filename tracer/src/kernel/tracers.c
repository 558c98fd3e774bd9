// SPDX-License-Identifier: MIT
/* Tracers connect here to be told their host; they join it by themselves, through the device. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../common/messages.h"
#include "device.h"
#include "hosts.h"
#include "rounds.h"
#include "tracers.h"
#include "watch.h"

#define NSEC_PER_MSEC 1000000LL

static int listener;
static int joining; /* an epoll of the listener, and of tracers that have connected */
static char socket_path[108];
static uint32_t expected, joined;

int tracers_prepare(void)
{
	joining = epoll_create1(EPOLL_CLOEXEC);
	return joining;
}

int64_t tracers_listen(const struct kronos_request *request, struct kronos_reply *reply)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	expected = request->init.expected_tracers;
	memcpy(socket_path, request->init.socket_path, sizeof(socket_path));
	memcpy(address.sun_path, socket_path, sizeof(address.sun_path));
	unlink(socket_path);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (listener < 0 ||
	    bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, 128))
		return failed(reply, -errno, socket_path);
	watch_in(joining, EPOLL_CTL_ADD, listener);
	return 0;
}

void tracers_refuse(void)
{
	unlink(socket_path);
}

/* Gives a standalone tracer its id and its host. */
static int64_t join_standalone(struct kronos_register *join, struct kronos_reply *reply)
{
	struct kronos_host_config config = {
		.cpu_speed = join->cpu_speed,
		.counter = join->counter,
	};
	int64_t result;

	if (join->tracer_id <= 0)
		join->tracer_id = (int32_t)joined + 1;
	snprintf(config.name, sizeof(config.name), "tracer-%d", join->tracer_id);
	memcpy(join->host, config.name, sizeof(join->host));
	result = host_add(&config, reply);
	if (result == -EEXIST)
		snprintf(reply->text, sizeof(reply->text),
			 "there is a tracer with id %d already", join->tracer_id);
	if (result >= 0)
		joined++;
	return result;
}

/* The tracer joins by itself, through the device. */
static void answer_tracer(int fd)
{
	static struct kronos_register_reply answer;
	struct kronos_reply reply = { 0 };
	struct kronos_register join;
	int64_t result = 0;

	if (recv(fd, &join, sizeof(join), MSG_DONTWAIT) == sizeof(join)) {
		if (join.waits) { /* sees this end closed when the experiment ends */
			watch_in(joining, EPOLL_CTL_DEL, fd);
			return;
		}
		join.host[sizeof(join.host) - 1] = '\0';
		if (join.standalone)
			result = join_standalone(&join, &reply);
		answer.kernel_host = host_find(join.host);
		answer.kernel_hold = rounds_frozen() || join.standalone;
		answer.tracer_id = join.tracer_id;
		if (result >= 0 && !answer.kernel_host) {
			snprintf(reply.text, sizeof(reply.text), "unknown host %s",
				 join.host);
			result = -ENOENT;
		}
		answer.result = result < 0 ? (int32_t)result : 0;
		memcpy(answer.text, reply.text, sizeof(answer.text));
		message_send(fd, &answer, sizeof(answer), NULL, 0);
	}
	close(fd);
}

/* One that has connected may stand still before it asks: nobody waits for it here. */
void tracers_take(void)
{
	struct epoll_event event;
	int fd;

	while (epoll_wait(joining, &event, 1, 0) > 0) {
		if (event.data.fd != listener) {
			answer_tracer(event.data.fd);
			continue;
		}
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return;
		watch_in(joining, EPOLL_CTL_ADD, fd);
	}
}

static bool pending(int fd, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, timeout_ms) > 0;
}

static int64_t milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / NSEC_PER_MSEC;
}

/* Time is still real. */
int64_t tracers_await(int64_t timeout_ms, struct kronos_reply *reply)
{
	int64_t start = milliseconds();

	tracers_take();
	while (joined < expected) {
		if ((timeout_ms >= 0 && milliseconds() - start >= timeout_ms) ||
		    pending(KRONOS_CONTROL_FD, 0)) { /* the orchestrator is gone */
			snprintf(reply->text, sizeof(reply->text),
				 "%u of %u tracers have registered", joined, expected);
			return -EAGAIN;
		}
		if (pending(joining, 10))
			tracers_take();
	}
	return joined;
}
