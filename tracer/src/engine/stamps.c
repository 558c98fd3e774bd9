// SPDX-License-Identifier: MIT
/*
 * Stamps of packets, for sockets with SO_TIMESTAMP and the like and for SIOCGSTAMP.
 * The kernel stamps in real time; the engine replaces each stamp before the program
 * sees it. It can, because a host's packets are stamped either while one of its
 * tasks runs or while the engine delivers a frame: it notes both times of both.
 *
 * A process that has asked for stamps is stopped at each of its system calls, since
 * no filter knows which recvmsg() is of such a socket.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <time.h>

#include <linux/sockios.h>

#include "clocks.h"
#include "engine.h"
#include "host.h"
#include "inject.h"
#include "stamps.h"
#include "stops.h"
#include "task.h"
#include "timed.h"

/* More than packets that can wait in the buffers of a host's sockets. */
#define SPANS 8192
#define CONTROL_MAX 4096

/* Real time that was spent at virtual times of the host. */
struct span {
	int64_t real[2]; /* CLOCK_REALTIME */
	int64_t clock[2];
};

struct stamp_map {
	uint64_t count;
	struct span spans[SPANS];
};

/* ---- from real to virtual time ----------------------------------------- */

/*
 * The kernel stamps packets while a socket wants it, and begins some time after it
 * was asked: here at the engine's start, so that no program's first packets have
 * the time at which they are read.
 */
void stamps_init(void)
{
	static const int on = 1;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0) /* it stays open */
		setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof(on));
}

void stamps_watch(struct host *host)
{
	if (!host->stamps)
		host->stamps = xcalloc(sizeof(*host->stamps));
}

int64_t stamps_begin(const struct host *host)
{
	return host->stamps ? real_clock(CLOCK_REALTIME) : 0;
}

void stamps_end(struct host *host, int64_t real, int64_t clock)
{
	struct stamp_map *map = host->stamps;

	if (real)
		map->spans[map->count++ % SPANS] = (struct span){
			.real = { real, real_clock(CLOCK_REALTIME) },
			.clock = { clock, host_now(host) },
		};
}

static int64_t within(const struct span *span, int64_t real)
{
	int64_t length = span->real[1] - span->real[0];

	if (real >= span->real[1])
		return span->clock[1];
	if (real <= span->real[0])
		return span->clock[0];
	return span->clock[0] + (int64_t)((double)(span->clock[1] - span->clock[0]) *
					  (double)(real - span->real[0]) /
					  (double)length);
}

int64_t stamps_virtual(const struct host *host, int64_t real, int64_t unit)
{
	const struct stamp_map *map = host->stamps;
	const struct span *span = NULL;

	/* It has been rounded down, and may seem to be from before its span. */
	real += unit - 1;
	for (uint64_t i = map->count; i > 0 && i + SPANS > map->count; i--) {
		span = &map->spans[(i - 1) % SPANS];
		/* Rounded down it may seem to be from before its span. */
		if (span->real[0] < real + unit)
			return within(span, real) + engine.realtime;
	}
	/* From before anybody asked for stamps, or very long ago. */
	return (span ? span->clock[0] : host_now(host)) + engine.realtime;
}

/* A timespec or, with 1000 ns a unit, a timeval; 0 is none. */
static void replace(const struct host *host, int64_t stamp[2], int64_t unit)
{
	int64_t ns = stamp[0] * NSEC_PER_SEC + stamp[1] * unit;

	if (!ns)
		return;
	ns = stamps_virtual(host, ns, unit);
	stamp[0] = ns / NSEC_PER_SEC;
	stamp[1] = ns % NSEC_PER_SEC / unit;
}

/* ---- control messages -------------------------------------------------- */

static void replace_message(const struct host *host, struct cmsghdr *header)
{
	int64_t *stamps = (int64_t *)(void *)CMSG_DATA(header);
	size_t size = header->cmsg_len - CMSG_LEN(0);

	if (header->cmsg_level != SOL_SOCKET || size < 2 * sizeof(int64_t))
		return;
	switch (header->cmsg_type) {
	case SO_TIMESTAMP_OLD:
	case SO_TIMESTAMP_NEW:
		replace(host, stamps, NSEC_PER_USEC);
		break;
	case SO_TIMESTAMPNS_OLD:
	case SO_TIMESTAMPNS_NEW:
		replace(host, stamps, 1);
		break;
	case SO_TIMESTAMPING_OLD:
	case SO_TIMESTAMPING_NEW:
		for (size_t i = 0; i + 1 < size / sizeof(int64_t); i += 2)
			replace(host, stamps + i, 1);
		break;
	}
}

static void replace_control(const struct task *task, const struct msghdr *message)
{
	_Alignas(struct cmsghdr) static uint8_t control[CONTROL_MAX];
	struct msghdr copy = { .msg_control = control,
			       .msg_controllen = message->msg_controllen };
	uint64_t address = (uint64_t)message->msg_control;

	if (copy.msg_controllen > sizeof(control))
		copy.msg_controllen = sizeof(control);
	if (!copy.msg_controllen ||
	    task_read(task, address, control, copy.msg_controllen))
		return;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&copy); header;
	     header = CMSG_NXTHDR(&copy, header))
		replace_message(task->host, header);
	task_write(task, address, control, copy.msg_controllen);
}

static void leave_recvmsg(struct task *task, struct user_regs_struct *regs)
{
	struct msghdr message;

	if ((int64_t)regs->rax >= 0 &&
	    !task_read(task, regs->rsi, &message, sizeof(message)))
		replace_control(task, &message);
}

static void leave_recvmmsg(struct task *task, struct user_regs_struct *regs)
{
	struct mmsghdr message;

	for (int64_t i = 0; i < (int64_t)regs->rax; i++)
		if (!task_read(task, regs->rsi + (uint64_t)i * sizeof(message),
			       &message, sizeof(message)))
			replace_control(task, &message.msg_hdr);
}

void stamps_enter(struct task *task)
{
	struct user_regs_struct regs;

	if (!task_get_regs(task, &regs))
		return;
	if (regs.orig_rax == SYS_recvmsg)
		task->leave = leave_recvmsg;
	else if (regs.orig_rax == SYS_recvmmsg)
		task->leave = leave_recvmmsg;
	else
		return;
	task->exit = EXIT_RESULT;
}

/* ---- who asks for stamps ----------------------------------------------- */

bool stamps_option(struct task *task, const struct user_regs_struct *regs)
{
	switch (regs->rdx) {
	case SO_TIMESTAMP_OLD:
	case SO_TIMESTAMP_NEW:
	case SO_TIMESTAMPNS_OLD:
	case SO_TIMESTAMPNS_NEW:
	case SO_TIMESTAMPING_OLD:
	case SO_TIMESTAMPING_NEW:
		stamps_watch(task->host);
		task->process->stamped = true;
		return true;
	}
	return false;
}

void leave_stamp_ioctl(struct task *task, struct user_regs_struct *regs)
{
	bool timeval = regs->rsi == SIOCGSTAMP_OLD || regs->rsi == SIOCGSTAMP_NEW;
	int64_t stamp[2];

	stamps_watch(task->host);
	if (regs->rax || task_read(task, regs->rdx, stamp, sizeof(stamp)))
		return;
	replace(task->host, stamp, timeval ? NSEC_PER_USEC : 1);
	task_write(task, regs->rdx, stamp, sizeof(stamp));
}
