// SPDX-License-Identifier: MIT
/*
 * Tracers that ask to be made dilated processes: each is given its host, seized, and
 * told what to do before it executes its command.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/filter.h>

#include "calls.h"
#include "counter.h"
#include "engine.h"
#include "host.h"
#include "task.h"
#include "tracers.h"
#include "uptime.h"
#include "workers.h"

/* File descriptors that are not given to new tracers, and those that a task takes. */
#define FILES_KEPT 16
#define FILES_OF_TASK 4

static struct kronos_register_reply join_reply; /* with the filter in it */

/* A tracer's own host, which the other workers are to know of. */
static int add_tracer_host(const struct kronos_register *join)
{
	struct kronos_request request = { .op = KRONOS_OP_ADD_TRACER };
	struct kronos_reply reply = { 0 };
	static const int no_fds[2] = { -1, -1 };

	request.host.cpu_speed = join->cpu_speed;
	request.host.counter = join->counter;
	memcpy(request.host.name, join->host, sizeof(request.host.name));
	if (workers_concern(request.op)) {
		if (engine.progressing) /* they do not listen now */
			return -EBUSY;
		workers_send(&request, no_fds);
	}
	host_add(&request.host)->standalone = true;
	if (workers_concern(request.op))
		workers_await(&request, &reply);
	return 0;
}

/* Gives a standalone tracer its id and its host; NULL or what is wrong. */
static const char *join_standalone(struct kronos_register *join)
{
	static char why[KRONOS_ERROR_MAX];

	if (join->tracer_id <= 0)
		join->tracer_id = (int32_t)engine.tracers_joined + 1;
	snprintf(join->host, sizeof(join->host), "tracer-%d", join->tracer_id);
	if (host_find(join->host)) {
		snprintf(why, sizeof(why), "there is a tracer with id %d already",
			 join->tracer_id);
		return why;
	}
	if (counter_is_missing(join->host, join->counter, why, sizeof(why)))
		return why;
	if (add_tracer_host(join))
		return "rounds are being run; fix: start tracers before or between";
	engine.tracers_joined++;
	return NULL;
}

static void answer_tracer(int fd, int32_t id, int result, const char *text)
{
	if (!join_reply.filter_len)
		join_reply.filter_len = (uint32_t)timed_filter(
			(struct sock_filter *)(void *)join_reply.filter,
			KRONOS_FILTER_MAX);
	join_reply.result = result;
	join_reply.tracer_id = id;
	snprintf(join_reply.text, sizeof(join_reply.text), "%s", text);
	if (send(fd, &join_reply, sizeof(join_reply), MSG_NOSIGNAL) < 0)
		engine_warn("a tracer went away while it registered");
	close(fd);
}

static void seize_tracer(int fd, const struct kronos_register *join, struct host *host)
{
	char text[KRONOS_ERROR_MAX] = "";
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);
	int result = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) ?
			     -errno :
			     task_seize(peer.pid, host);

	if (result)
		snprintf(text, sizeof(text),
			 "cannot trace process %d: %s; fix: run the tracer as root, and "
			 "not under strace or a debugger",
			 peer.pid, strerror(-result));
	else
		join_reply.uptime = uptime_wanted(host, peer.pid);
	answer_tracer(fd, join->tracer_id, result, text);
}

/* Who is here already needs some: a task without its latch would run at any time. */
static bool is_short_of_files(int fd, char *text, size_t size)
{
	rlim_t wanted = (rlim_t)fd + FILES_KEPT + FILES_OF_TASK * engine.unlatched;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) || wanted < files.rlim_cur)
		return false;
	snprintf(text, size,
		 "the engine may have %llu open files and needs more; fix: raise the "
		 "hard limit (ulimit -Hn)",
		 (unsigned long long)files.rlim_cur);
	return true;
}

static void on_tracer(int fd)
{
	const char *wrong = NULL;
	char text[KRONOS_ERROR_MAX];
	struct kronos_register join;
	struct host *host;
	ssize_t size;

	size = recv(fd, &join, sizeof(join), MSG_DONTWAIT);
	if (size != sizeof(join)) {
		if (size > 0)
			answer_tracer(fd, 0, -EPROTO, "not a tracer");
		else
			close(fd);
		return;
	}
	if (join.waits) /* sees this end closed when the experiment ends */
		return;
	join.host[sizeof(join.host) - 1] = '\0';
	if (is_short_of_files(fd, text, sizeof(text)))
		wrong = text;
	else if (join.standalone)
		wrong = join_standalone(&join);
	host = host_find(join.host);
	if (!host && !wrong) {
		snprintf(text, sizeof(text), "unknown host %s", join.host);
		wrong = text;
	}
	if (wrong)
		answer_tracer(fd, join.tracer_id, -ENOENT, wrong);
	else if (host->remote)
		workers_send_join(host->worker, &join, fd);
	else
		seize_tracer(fd, &join, host);
}

/* The tracer waits: it must not keep this worker from everything else meanwhile. */
static void cannot_accept(void)
{
	static const struct timespec nap = { .tv_nsec = 10 * NSEC_PER_MSEC };
	static bool told;

	if (!told)
		engine_warn("a tracer cannot register: %s", strerror(errno));
	told = true;
	nanosleep(&nap, NULL);
}

/* ---- who calls --------------------------------------------------------- */

/* An epoll of the listener, and of those who have connected and not yet said what they want. */
static int callers;

static void add(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	engine_assert(!epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

void tracers_watch(void)
{
	if (engine.worker > 0) {
		add(engine.epoll, engine.listener);
		return;
	}
	callers = epoll_create1(EPOLL_CLOEXEC);
	add(callers, engine.listener);
	add(engine.epoll, callers);
}

/* Nobody is waited for: on a busy machine it may be long before one asks. */
static void serve_callers(void)
{
	struct epoll_event event;
	int fd;

	while (epoll_wait(callers, &event, 1, 0) > 0) {
		fd = event.data.fd;
		if (fd != engine.listener) {
			epoll_ctl(callers, EPOLL_CTL_DEL, fd, NULL);
			on_tracer(fd);
			continue;
		}
		fd = accept4(engine.listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0) {
			cannot_accept();
			return;
		}
		add(callers, fd);
	}
}

void tracers_accept(void)
{
	struct kronos_register join;
	int fd;

	if (engine.worker > 0)
		while (workers_take_join(&join, &fd))
			seize_tracer(fd, &join, host_find(join.host));
	else
		serve_callers();
}
