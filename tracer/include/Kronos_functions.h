/* SPDX-License-Identifier: MIT */
/*
 * The API of Kronos, for orchestrators that were written for it: link with
 * -lkronosapi. New programs use kronos.h. What differs from Kronos is in
 * docs/migrating-from-kronos.md.
 *
 * Times are in nanoseconds of virtual time since the freeze. Functions return
 * a negative value on failure, after one line on standard error.
 */
#ifndef KRONOS_FUNCTIONS_H
#define KRONOS_FUNCTIONS_H

/* Programs for Kronos rely on its header for these. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef long long s64;

#define EXP_CBE 1 /* all tracers advance together: progressBy() */
#define EXP_CS 2  /* an external simulator advances each timeline by itself */

/* ---- the orchestrator --------------------------------------------------- */

/* Start an experiment that so many tracers will join. */
int initializeExp(int num_expected_tracers);
/*
 * The same with a type: under EXP_CS each tracer belongs to a timeline
 * (tracer -t), from 0 to num_timelines - 1.
 */
int initializeVtExp(int exp_type, int num_timelines, int num_expected_tracers);
/* Returns a positive value once all tracers have joined and stand still, else 0: retry. */
int synchronizeAndFreeze(void);
/* Run rounds, each of which advances virtual time by duration; 0. */
int progressBy(s64 duration, int num_rounds);
/* Advance one timeline of an EXP_CS experiment; 0. Any thread may call it. */
int progressTimelineBy(int timeline_id, s64 duration);
/* End all dilated processes. */
int stopExp(void);

s64 getCurrentVirtualTime(void);
s64 getCurrentTimeTracer(int tracer_id);
s64 getCurrentTimePid(int pid);

/* The interface belongs to this tracer's processes (0: to any). */
int setNetDeviceOwner(int tracer_id, char *intf_name);

/* ---- tracers ------------------------------------------------------------ */

#define TRACER_TYPE_INS_VT 1 /* takes part in rounds: writeTracerResults() */
#define TRACER_TYPE_APP_VT 2 /* does not have to */
#define SIMPLE_REGISTRATION 0
#define REGISTRATION_W_SPINNER 1	/* with another process, see optional_pid */
#define REGISTRATION_W_CONTROL_THREAD 2 /* the same */

/*
 * The `tracer` program needs none of these. They are for programs that are
 * tracers by themselves. Such a program, and the processes that it adds, run in
 * real time, when it lets them; what it has is a part in the rounds, and a clock.
 */

/*
 * Register the calling program, as tracer_id or with -1 as the next free one; it
 * returns when the orchestrator is in synchronizeAndFreeze(). Returns a CPU.
 */
s64 registerTracer(int tracer_id, int tracer_type, int registration_type,
		   int optional_pid, int optional_timeline_id);
/* The id of this tracer, or of the one that has started this process; -1. */
int getAssignedTracerID(void);
/* These processes have the tracer's clock: getCurrentTimePid(). */
int addProcessesToTracerSq(int tracer_id, int *pids, int num_pids);
/* Within a round the tracer's clock moves; at its end all clocks are equal. */
int updateTracerClock(int tracer_id, s64 increment);
/*
 * The tracer is done with its round, and with these processes. Waits for the next
 * round and returns its length in ns; 0 when the experiment has ended.
 */
s64 writeTracerResults(int tracer_id, int *pids, int num_pids);
/* Returns when the experiment has ended. */
int waitForExit(int tracer_id);

#ifdef __cplusplus
}
#endif
#endif /* KRONOS_FUNCTIONS_H */
