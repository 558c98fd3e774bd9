// SPDX-License-Identifier: MIT
/* The seccomp filter that stops timed calls, made of their table. */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include <asm/termbits.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/if_packet.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>

#include "engine.h"
#include "prctls.h"
#include "timed.h"

/* The kind of a clock id below zero: see clock_getcpuclockid(3). */
#define CLOCKFD_MASK 7
#define CLOCKFD 3

#define X32_SYSCALL_BIT 0x40000000

struct emitter {
	struct sock_filter *code;
	size_t count, max;
};

static void emit(struct emitter *e, uint16_t code, uint32_t k, int jt, int jf)
{
	engine_assert(e->count < e->max);
	e->code[e->count++] = (struct sock_filter){ code, (uint8_t)jt,
						    (uint8_t)jf, k };
}

#define LOAD(e, member)                                                        \
	emit(e, BPF_LD | BPF_W | BPF_ABS,                                      \
	     (uint32_t)offsetof(struct seccomp_data, member), 0, 0)
#define LOAD_LOW(e, arg)                                                       \
	emit(e, BPF_LD | BPF_W | BPF_ABS,                                      \
	     (uint32_t)(offsetof(struct seccomp_data, args) + 8 * (size_t)(arg)), \
	     0, 0)
#define LOAD_HIGH(e, arg)                                                      \
	emit(e, BPF_LD | BPF_W | BPF_ABS,                                      \
	     (uint32_t)(offsetof(struct seccomp_data, args) +                  \
			8 * (size_t)(arg) + 4),                                \
	     0, 0)
#define JUMP(e, op, k, jt, jf) emit(e, BPF_JMP | (op) | BPF_K, k, jt, jf)
#define RETURN(e, k) emit(e, BPF_RET | BPF_K, k, 0, 0)

static void emit_nonnull(struct emitter *e, int arg)
{
	LOAD_LOW(e, arg);
	JUMP(e, BPF_JEQ, 0, 0, 3);
	LOAD_HIGH(e, arg);
	JUMP(e, BPF_JEQ, 0, 0, 1);
	RETURN(e, SECCOMP_RET_ALLOW);
}

/* Goes on only if the low half of the argument is one of these. */
static void emit_any(struct emitter *e, int arg, const uint32_t *values, int count)
{
	LOAD_LOW(e, arg);
	for (int i = 0; i < count; i++)
		JUMP(e, BPF_JEQ, values[i], count - i, 0);
	RETURN(e, SECCOMP_RET_ALLOW);
}

#define EMIT_ANY(e, arg, ...)                                                  \
	do {                                                                   \
		static const uint32_t values_[] = { __VA_ARGS__ };             \
                                                                               \
		emit_any(e, arg, values_, sizeof(values_) / sizeof(values_[0])); \
	} while (0)

#define TIMEOUTS SO_RCVTIMEO_OLD, SO_SNDTIMEO_OLD, SO_RCVTIMEO_NEW, SO_SNDTIMEO_NEW
#define STAMPS                                                                 \
	SO_TIMESTAMP_OLD, SO_TIMESTAMPNS_OLD, SO_TIMESTAMPING_OLD,             \
		SO_TIMESTAMP_NEW, SO_TIMESTAMPNS_NEW, SO_TIMESTAMPING_NEW

static void emit_socket_options(struct emitter *e, bool set)
{
	size_t test, end;

	LOAD_LOW(e, 1);
	test = e->count;
	JUMP(e, BPF_JEQ, SOL_PACKET, 0, 0);
	if (set)
		EMIT_ANY(e, 2, PACKET_RX_RING, PACKET_VERSION);
	else
		EMIT_ANY(e, 2, PACKET_HDRLEN);
	end = e->count;
	JUMP(e, BPF_JA, 0, 0, 0);
	e->code[test].jf = (uint8_t)(e->count - test - 1);
	EMIT_ANY(e, 1, SOL_SOCKET);
	if (set)
		EMIT_ANY(e, 2, TIMEOUTS, STAMPS);
	else
		EMIT_ANY(e, 2, TIMEOUTS);
	e->code[end].k = (uint32_t)(e->count - end - 1);
}

static void emit_condition(struct emitter *e, const struct timed_call *call)
{

	switch (call->condition) {
	case ALWAYS:
		break;
	case NONNULL:
		emit_nonnull(e, call->arg);
		break;
	case POSITIVE:
		LOAD_LOW(e, call->arg);
		JUMP(e, BPF_JEQ, 0, 1, 0);
		JUMP(e, BPF_JSET, 0x80000000, 0, 1);
		RETURN(e, SECCOMP_RET_ALLOW);
		break;
	case CLOCKID:
		LOAD_LOW(e, 0);
		JUMP(e, BPF_JGT, CLOCK_TAI, 0, 5);
		JUMP(e, BPF_JSET, 0x80000000, 1, 0);
		RETURN(e, SECCOMP_RET_ALLOW);
		/* Below zero: a device's, or CPU time of a task. */
		emit(e, BPF_ALU | BPF_AND | BPF_K, CLOCKFD_MASK, 0, 0);
		JUMP(e, BPF_JEQ, CLOCKFD, 0, 1);
		RETURN(e, SECCOMP_RET_ALLOW);
		break;
	case CLOCKSET:
		LOAD_LOW(e, 0);
		JUMP(e, BPF_JEQ, CLOCK_REALTIME, 0, 1);
		RETURN(e, SECCOMP_RET_ERRNO | EPERM);
		RETURN(e, SECCOMP_RET_ALLOW);
		break;
	case REFUSED:
		RETURN(e, SECCOMP_RET_ERRNO | EPERM);
		break;
	case FUTEX:
		LOAD_LOW(e, 1);
		emit(e, BPF_ALU | BPF_AND | BPF_K, (uint32_t)FUTEX_CMD_MASK, 0, 0);
		JUMP(e, BPF_JEQ, FUTEX_WAIT, 5, 0);
		JUMP(e, BPF_JEQ, FUTEX_WAIT_BITSET, 4, 0);
		JUMP(e, BPF_JEQ, FUTEX_LOCK_PI, 3, 0);
		JUMP(e, BPF_JEQ, FUTEX_WAIT_REQUEUE_PI, 2, 0);
		JUMP(e, BPF_JEQ, FUTEX_LOCK_PI2, 1, 0);
		RETURN(e, SECCOMP_RET_ALLOW);
		emit_nonnull(e, call->arg);
		break;
	case SOCKOPT:
		emit_socket_options(e, true);
		break;
	case TIMEOPT:
		emit_socket_options(e, false);
		break;
	case MAPFILE:
		LOAD_LOW(e, 3);
		emit(e, BPF_ALU | BPF_AND | BPF_K, MAP_SHARED | MAP_ANONYMOUS, 0, 0);
		JUMP(e, BPF_JEQ, MAP_SHARED, 4, 0);
		JUMP(e, BPF_JEQ, 0, 0, 2);
		LOAD_LOW(e, 2);
		JUMP(e, BPF_JSET, PROT_EXEC, 1, 0);
		RETURN(e, SECCOMP_RET_ALLOW);
		break;
	case PRCTL:
		EMIT_ANY(e, 0, PR_SET_SECCOMP, PR_SET_TSC, PR_GET_TSC,
			 PR_SET_TIMERSLACK, PR_GET_TIMERSLACK);
		LOAD_LOW(e, 4);
		JUMP(e, BPF_JEQ, PRCTL_OF_ENGINE, 0, 1);
		RETURN(e, SECCOMP_RET_ALLOW);
		break;
	case CLONES:
		LOAD_LOW(e, 0);
		JUMP(e, BPF_JSET, CLONE_NEWUSER | CLONE_UNTRACED, 1, 0);
		RETURN(e, SECCOMP_RET_ALLOW);
		break;
	case IOCTL:
		EMIT_ANY(e, 1, SIOCGSTAMP_OLD, SIOCGSTAMPNS_OLD, SIOCGSTAMP_NEW,
			 SIOCGSTAMPNS_NEW, TIOCSPTLCK, TCSETS, TCSETSW, TCSETSF, TCSETS2,
			 TCSETSW2, TCSETSF2);
		break;
	case MISSING:
		RETURN(e, SECCOMP_RET_ERRNO | ENOSYS);
		break;
	}
}

static bool answers_itself(enum condition condition)
{
	return condition == REFUSED || condition == CLOCKSET || condition == MISSING;
}

size_t timed_filter(struct sock_filter *filter, size_t max)
{
	struct emitter e = { filter, 0, max };

	LOAD(&e, arch);
	JUMP(&e, BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0);
	RETURN(&e, SECCOMP_RET_TRACE | FILTER_FOREIGN);
	LOAD(&e, nr);
	/* There is no x32 here; -1 is nobody's. */
	JUMP(&e, BPF_JGE, X32_SYSCALL_BIT, 0, 1);
	RETURN(&e, SECCOMP_RET_ERRNO | ENOSYS);
	for (size_t i = 0; i < timed_call_count; i++) {
		size_t test = e.count;

		JUMP(&e, BPF_JEQ, (uint32_t)timed_calls[i].nr, 0, 0);
		emit_condition(&e, &timed_calls[i]);
		if (!answers_itself(timed_calls[i].condition))
			RETURN(&e, SECCOMP_RET_TRACE | (uint32_t)i);
		engine_assert(e.count - test - 1 < 256);
		filter[test].jf = (uint8_t)(e.count - test - 1);
	}
	RETURN(&e, SECCOMP_RET_ALLOW);
	return e.count;
}
