// SPDX-License-Identifier: MIT
/*
 * A file in virtual time over /proc/uptime. It lives in a tmpfs, which is seen
 * only through it: that is mounted elsewhere just for as long as it takes.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "uptime.h"

#define UPTIME "/proc/uptime"
#define STAGE "/proc/bus" /* every kernel has it, and nobody needs it meanwhile */
#define STAGED STAGE "/uptime"

static bool is_real(void)
{
	struct statfs system;

	return !statfs(UPTIME, &system) && system.f_type == PROC_SUPER_MAGIC;
}

/* What other users of the machine mount is still seen, but not the other way round. */
static bool unshare_mounts(void)
{
	return !unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
}

/* With the real one's text, of which the engine needs a part. */
static bool make_file(void)
{
	int from = open(UPTIME, O_RDONLY | O_CLOEXEC);
	int to = open(STAGED, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
	char text[64];
	ssize_t size = read(from, text, sizeof(text));
	bool done = size > 0 && write(to, text, (size_t)size) == size;

	close(from);
	close(to);
	return done;
}

bool uptime_mount(enum kronos_uptime how)
{
	bool done;

	/* Another tracer may have done it here; or there is no /proc. */
	if (how == KRONOS_UPTIME_LEAVE || !is_real())
		return true;
	if (how == KRONOS_UPTIME_UNSHARE && !unshare_mounts())
		return false;
	if (mount("kronos", STAGE, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,mode=755"))
		return false;
	done = make_file() && !mount(STAGED, UPTIME, NULL, MS_BIND, NULL);
	return !umount2(STAGE, MNT_DETACH) && done;
}
