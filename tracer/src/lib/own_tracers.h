/* SPDX-License-Identifier: MIT */
/*
 * Programs that are tracers by themselves: they register by Kronos' API, and
 * are then told of each round. For the orchestrator, which hears them only
 * while it freezes or makes progress: there is no thread for it.
 */
#ifndef KRONOS_OWN_TRACERS_H
#define KRONOS_OWN_TRACERS_H

#include <stdbool.h>
#include <stdint.h>

#define TRACER_PIDS_MAX 1000

enum tracer_op {
	TRACER_REGISTER, /* value: its type; pids: another process, if there is one */
	TRACER_ADD,
	TRACER_CLOCK, /* moves by value */
	TRACER_DONE,  /* with its round, and with these pids; answered by the next */
	TRACER_TIME,
};

/* Tracer to orchestrator; the answer is an int64_t. */
struct tracer_request {
	uint32_t op;
	int32_t id, timeline;
	uint32_t count;
	int64_t value;
	int32_t pids[TRACER_PIDS_MAX];
};

/* Where the orchestrator listens. Returns -1 if there is no room. */
int own_tracers_path(char *path, unsigned long size);
/*
 * is_taken tells ids of other tracers, now the time of a timeline, or -1 if there
 * is no such; real_wait waits as poll() does, in real time. Returns -1 if it
 * cannot listen.
 */
int own_tracers_listen(bool (*is_taken)(int id), int64_t (*now)(int timeline),
		       int (*real_wait)(int fd, int64_t ns));
void own_tracers_stop(void);
/* Hears what they have to say, for up to so many ms. */
void own_tracers_hear(int timeout_ms);
/* Those that have joined; one that takes part in rounds also has to wait for the first. */
int own_tracers_joined(void);
/* Whether any takes part in the timeline's rounds. */
bool own_tracers_step(int timeline);
void own_tracers_begin(int timeline, int64_t ns);
/* Returns when all are done with the round. */
void own_tracers_await(int timeline);
/* The timeline of a tracer, or of a process that one has added; -1 if there is none. */
int own_tracers_timeline(int id);
int own_tracers_timeline_of_process(int pid);
/* A tracer that has added processes; 0 if there is none. */
int own_tracers_with_processes(void);

#endif /* KRONOS_OWN_TRACERS_H */
