/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Tracepoints, events/kronos in tracefs: what each round consists of, and where
 * its real time goes. Virtual times are CLOCK_MONOTONIC's.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kronos

#if !defined(KRONOS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KRONOS_TRACE_H

#include <linux/tracepoint.h>

/* A window, or what follows from its end: up to virtual time `end`, in so much real time. */
DECLARE_EVENT_CLASS(kronos_phase,
	TP_PROTO(u64 end, u64 real),
	TP_ARGS(end, real),
	TP_STRUCT__entry(
		__field(u64, end)
		__field(u64, real)
	),
	TP_fast_assign(
		__entry->end = end;
		__entry->real = real;
	),
	TP_printk("end=%llu real_ns=%llu", __entry->end, __entry->real)
);

DEFINE_EVENT(kronos_phase, kronos_window, TP_PROTO(u64 end, u64 real), TP_ARGS(end, real));
DEFINE_EVENT(kronos_phase, kronos_settle, TP_PROTO(u64 end, u64 real), TP_ARGS(end, real));

/* Rounds that are passed over, from virtual time `from` on. */
TRACE_EVENT(kronos_skip,
	TP_PROTO(u64 from, s64 rounds),
	TP_ARGS(from, rounds),
	TP_STRUCT__entry(
		__field(u64, from)
		__field(s64, rounds)
	),
	TP_fast_assign(
		__entry->from = from;
		__entry->rounds = rounds;
	),
	TP_printk("from=%llu rounds=%lld", __entry->from, __entry->rounds)
);

/* A task gets its turn, or loses it to its budget, when its host's clock shows `time`. */
DECLARE_EVENT_CLASS(kronos_turn,
	TP_PROTO(pid_t tid, u32 host, u64 time),
	TP_ARGS(tid, host, time),
	TP_STRUCT__entry(
		__field(pid_t, tid)
		__field(u32, host)
		__field(u64, time)
	),
	TP_fast_assign(
		__entry->tid = tid;
		__entry->host = host;
		__entry->time = time;
	),
	TP_printk("tid=%d host=%u time=%llu", __entry->tid, __entry->host, __entry->time)
);

DEFINE_EVENT(kronos_turn, kronos_turn, TP_PROTO(pid_t tid, u32 host, u64 time),
	TP_ARGS(tid, host, time));
DEFINE_EVENT(kronos_turn, kronos_cut, TP_PROTO(pid_t tid, u32 host, u64 time),
	TP_ARGS(tid, host, time));

#endif /* KRONOS_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
