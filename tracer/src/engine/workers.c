// SPDX-License-Identifier: MIT
/*
 * The engine on several CPUs: the first process starts one more for each of
 * the others. It passes on the orchestrator's requests, so that all know the
 * same hosts and links by the same ids, and the tracers that belong to others.
 * If one of them ends, all do.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/messages.h"
#include "cpus.h"
#include "engine.h"
#include "links.h"
#include "rounds.h"
#include "watchdog.h"
#include "workers.h"

static struct {
	int control; /* requests and replies */
	int joins;   /* tracers */
	pid_t pid;
} peers[WORKERS_MAX];

/* ---- start ------------------------------------------------------------- */

static _Noreturn void become_worker(uint32_t number, int cpu, int control, int joins,
				    void (*serve)(void))
{
	engine.worker = number;
	engine.cpu = cpu;
	engine.wake = rounds_wake_fd(number);
	close(engine.listener);
	engine.listener = joins;
	engine_assert(!cpus_pin(0, cpu));
	/* The control socket's end is noticed there as the orchestrator's is. */
	engine_assert(dup3(control, KRONOS_CONTROL_FD, O_CLOEXEC) >= 0);
	close(control);
	for (uint32_t i = 1; i < number; i++) {
		close(peers[i].control);
		close(peers[i].joins);
	}
	serve();
	_exit(0);
}

void workers_start(const int *cpus, void (*serve)(void))
{
	int control[2], joins[2];
	pid_t child;

	for (uint32_t i = 1; i < engine.workers; i++) {
		engine_assert(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
					  control));
		engine_assert(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
					  joins));
		child = fork();
		engine_assert(child >= 0);
		if (child == 0) {
			close(control[0]);
			close(joins[0]);
			become_worker(i, cpus[i], control[1], joins[1], serve);
		}
		close(control[1]);
		close(joins[1]);
		peers[i].control = control[0];
		peers[i].joins = joins[0];
		peers[i].pid = child;
	}
}

void workers_watch(void)
{
	for (uint32_t i = 1; engine.worker == 0 && i < engine.workers; i++)
		watchdog_watch_control(peers[i].control);
}

/* ---- requests ---------------------------------------------------------- */

bool workers_concern(uint32_t op)
{
	switch (op) {
	case KRONOS_OP_INITIALIZE:
	case KRONOS_OP_ON_ABORT:
	case KRONOS_OP_ADD_RELAY: /* between hosts of the first */
	case KRONOS_OP_FIND_HOST:
	case KRONOS_OP_CLOCK: /* all are equal */
		return false;
	}
	return engine.worker == 0 && engine.workers > 1;
}

void workers_send(const struct kronos_request *request, const int *fds)
{
	size_t count = (fds[0] >= 0) + (fds[1] >= 0);

	for (uint32_t i = 1; i < engine.workers; i++)
		if (!message_send(peers[i].control, request, sizeof(*request), fds,
				   count))
			engine_abort();
}

static void add_link_stats(struct kronos_link_stats *sum,
			   const struct kronos_link_stats *stats)
{
	/* One has sent, another received: all but the last are counts. */
	for (size_t i = 0; i < KRONOS_LINK_COUNTS; i++)
		sum->count[i] += stats->count[i];
	if (stats->max_late_ns > sum->max_late_ns)
		sum->max_late_ns = stats->max_late_ns;
}

static void add_stats(struct kronos_stats *sum, const struct kronos_stats *stats)
{
	sum->slices += stats->slices;
	sum->stops += stats->stops;
	sum->frames += stats->frames;
	sum->late_frames += stats->late_frames;
	sum->tasks += stats->tasks;
}

static void add_host_stats(struct kronos_host_stats *sum,
			   const struct kronos_host_stats *stats)
{
	sum->cpu_ns += stats->cpu_ns;
	sum->slices += stats->slices;
	sum->tasks += stats->tasks;
}

/* Whether only the host's worker can answer. */
static bool known_to_one(uint32_t op)
{
	return op == KRONOS_OP_HOST_STATUS || op == KRONOS_OP_TASK;
}

int64_t workers_await(const struct kronos_request *request,
		      struct kronos_reply *reply)
{
	struct kronos_reply other;
	int64_t result = 0;

	for (uint32_t i = 1; i < engine.workers; i++) {
		ssize_t size;

		do
			size = recv(peers[i].control, &other, sizeof(other), 0);
		while (size < 0 && errno == EINTR);
		if (size != sizeof(other))
			engine_abort();
		if (request->op == KRONOS_OP_LINK_STATS)
			add_link_stats(&reply->link_stats, &other.link_stats);
		else if (request->op == KRONOS_OP_STATS)
			add_stats(&reply->stats, &other.stats);
		else if (request->op == KRONOS_OP_HOST_STATS)
			add_host_stats(&reply->host_stats, &other.host_stats);
		else if (known_to_one(request->op) && other.result > 0) {
			*reply = other;
			result = other.result;
		}
	}
	return result;
}

/* ---- tracers ----------------------------------------------------------- */

void workers_send_join(uint32_t worker, const struct kronos_register *join, int fd)
{
	if (!message_send(peers[worker].joins, join, sizeof(*join), &fd, 1))
		engine_abort();
	close(fd);
}

bool workers_take_join(struct kronos_register *join, int *fd)
{
	int fds[2];

	if (message_receive(engine.listener, join, sizeof(*join), fds,
			     MSG_DONTWAIT) != sizeof(*join))
		return false;
	*fd = fds[0];
	return true;
}

/* ---- end --------------------------------------------------------------- */

void workers_stop(void)
{
	int status;

	for (uint32_t i = 1; i < engine.workers; i++) {
		watchdog_forget(peers[i].control);
		close(peers[i].control);
		/* It may have been waited for already, where tasks are. */
		waitpid(peers[i].pid, &status, 0);
	}
}
