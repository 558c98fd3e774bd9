// SPDX-License-Identifier: MIT
/*
 * Kronos' API for programs that are tracers by themselves: one connection to
 * the orchestrator, see own_tracers.h. Each call waits for its answer, and the
 * orchestrator answers while it freezes or makes progress.
 */
#include <pthread.h>
#include <stdbool.h>
#include <sys/un.h>

#include "Kronos_functions.h"
#include "kronos_abi.h"
#include "kronosapi.h"
#include "own_tracers.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int orchestrator = -1;
static int own_id;

static int connect_to_orchestrator(const char *function)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (orchestrator >= 0)
		return 0;
	if (own_tracers_path(address.sun_path, sizeof(address.sun_path)))
		return complain(function, "the path in $KRONOS_SOCKET is too long");
	orchestrator = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (orchestrator >= 0 &&
	    !connect(orchestrator, (struct sockaddr *)&address, sizeof(address)))
		return 0;
	close(orchestrator);
	orchestrator = -1;
	return complain(function, no_experiment);
}

/* Returns the answer; `gone` if the orchestrator has ended the experiment. */
static int64_t ask(const struct tracer_request *request, int64_t gone)
{
	int64_t result;
	ssize_t size;

	pthread_mutex_lock(&lock);
	if (send(orchestrator, request, sizeof(*request), MSG_NOSIGNAL) < 0)
		size = -1;
	else
		do
			size = recv(orchestrator, &result, sizeof(result), 0);
		while (size < 0 && errno == EINTR);
	pthread_mutex_unlock(&lock);
	return size == sizeof(result) ? result : gone;
}

static int fill_pids(struct tracer_request *request, const int *pids, int count)
{
	if (count < 0 || count > TRACER_PIDS_MAX || (count && !pids))
		return -1;
	request->count = (uint32_t)count;
	for (int i = 0; i < count; i++)
		request->pids[i] = pids[i];
	return 0;
}

/* NULL, or why the caller cannot speak for this tracer. */
static const char *stranger(int tracer_id)
{
	return !own_id ? "this program is no tracer; fix: call registerTracer() first" :
	       tracer_id != own_id ? "a tracer speaks for itself alone; fix: give its own id" :
				     NULL;
}

bool is_own_tracer(void)
{
	return own_id;
}

s64 own_tracer_time(int tracer_id)
{
	const struct tracer_request request = { .op = TRACER_TIME, .id = tracer_id };

	return ask(&request, -1);
}

s64 registerTracer(int tracer_id, int tracer_type, int registration_type,
		   int optional_pid, int optional_timeline_id)
{
	static const char function[] = "registerTracer";
	struct tracer_request request = {
		.op = TRACER_REGISTER,
		.id = tracer_id,
		.timeline = optional_timeline_id,
		.value = tracer_type,
	};
	int64_t result;

	if (tracer_type != TRACER_TYPE_INS_VT && tracer_type != TRACER_TYPE_APP_VT)
		return complain(function, "the type must be TRACER_TYPE_INS_VT or TRACER_TYPE_APP_VT");
	if (registration_type < SIMPLE_REGISTRATION ||
	    registration_type > REGISTRATION_W_CONTROL_THREAD || optional_pid < 0)
		return complain(function, "the kind of registration makes no sense");
	if (tracer_id == 0 || tracer_id < -1)
		return complain(function, "a tracer's id is a number from 1, or -1 for the next free one");
	if (is_orchestrator())
		return complain(function, "a tracer is a program of its own; fix: fork first");
	if (own_id)
		return complain(function, "this program is a tracer already");
	if (registration_type != SIMPLE_REGISTRATION)
		fill_pids(&request, &optional_pid, 1);
	if (connect_to_orchestrator(function))
		return -1;
	result = ask(&request, -1);
	if (result < 0)
		return complain(function, "the id is taken, or there is no such timeline");
	own_id = (int)result;
	return 0; /* the CPU, of which any will do */
}

int getAssignedTracerID(void)
{
	const char *of_tracer = getenv(KRONOS_TRACER_ENV);

	return own_id ? own_id : of_tracer ? atoi(of_tracer) : -1;
}

int addProcessesToTracerSq(int tracer_id, int *pids, int num_pids)
{
	static const char function[] = "addProcessesToTracerSq";
	struct tracer_request request = { .op = TRACER_ADD, .id = tracer_id };

	if (stranger(tracer_id))
		return complain(function, stranger(tracer_id));
	if (num_pids <= 0 || fill_pids(&request, pids, num_pids))
		return complain(function, "give 1 to 1000 process ids");
	return (int)ask(&request, -1);
}

int updateTracerClock(int tracer_id, s64 increment)
{
	const struct tracer_request request = {
		.op = TRACER_CLOCK,
		.id = tracer_id,
		.value = increment,
	};

	if (stranger(tracer_id))
		return complain("updateTracerClock", stranger(tracer_id));
	if (increment < 0)
		return complain("updateTracerClock", "clocks do not go back");
	return (int)ask(&request, -1);
}

s64 writeTracerResults(int tracer_id, int *pids, int num_pids)
{
	static const char function[] = "writeTracerResults";
	struct tracer_request request = { .op = TRACER_DONE, .id = tracer_id };

	if (stranger(tracer_id))
		return complain(function, stranger(tracer_id));
	if (fill_pids(&request, pids, num_pids))
		return complain(function, "give up to 1000 process ids");
	return ask(&request, 0); /* 0: the experiment has ended */
}
