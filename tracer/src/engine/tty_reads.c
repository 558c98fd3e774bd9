// SPDX-License-Identifier: MIT
/*
 * Reads of terminals with a timeout: VTIME, with a VMIN of 0. The kernel keeps both, and
 * ends the read in real time. So a task that blocks in a read of such a terminal is given
 * a deadline in virtual time as well, if any of this engine's tasks has ever set a VTIME;
 * where the kernel's comes first the read is made to begin again.
 */
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <unistd.h>

#include <asm/termbits.h>

#include "engine.h"
#include "host.h"
#include "inject.h"
#include "task.h"
#include "timed.h"

#define VTIME_UNIT (100 * NSEC_PER_MSEC)

static bool used;

static const struct timed_call tty_read = {
	.name = "a read of a terminal", .nr = -1, .timeout = 0, .real = true
};

static bool has_timeout(const struct termios *settings)
{
	return !(settings->c_lflag & ICANON) && !settings->c_cc[VMIN] &&
	       settings->c_cc[VTIME];
}

void tty_set(const struct task *task, uint64_t address)
{
	struct termios settings;

	if (!used && !task_read(task, address, &settings, sizeof(settings)))
		used = has_timeout(&settings);
}

/* A pseudo-terminal's master answers with the settings of its slave. */
static bool is_master(int fd)
{
	unsigned int number;

	return !ioctl(fd, TIOCGPTN, &number);
}

void tty_blocked(struct task *task)
{
	static const struct user_regs_struct none;
	struct blocked_call call;
	struct termios settings;
	int fd;

	if (!used || (task->wait.call && !task->wait.restart) ||
	    !blocked_call(task, &call) || (call.nr != SYS_read && call.nr != SYS_readv))
		return;
	fd = process_open(task->process, (int)call.args[0]);
	if (fd < 0)
		return;
	if (!ioctl(fd, TCGETS, &settings) && has_timeout(&settings) && !is_master(fd))
		wait_begin(task, &tty_read, &none,
			   host_now(task->host) + settings.c_cc[VTIME] * VTIME_UNIT);
	close(fd);
}
