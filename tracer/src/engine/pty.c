// SPDX-License-Identifier: MIT
/*
 * Terminals inside hosts. What one side of a pseudo-terminal writes reaches the
 * other by a kernel thread, in real time: signals of its keys as well. A host
 * whose tasks all wait is not idle while that thread has yet to run.
 *
 * The kernel's workqueue begins its work in the order in which it was queued. So
 * a byte through a pseudo-terminal of the engine's own comes after all that the
 * host has written.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"
#include "host.h"
#include "pty.h"
#include "task.h"

static int master = -1, slave = -1;

static bool open_pair(void)
{
	struct termios raw;

	if (slave >= 0)
		return true;
	master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (master < 0 || grantpt(master) || unlockpt(master))
		return false;
	slave = ioctl(master, TIOCGPTPEER,
		      O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (slave < 0 || tcgetattr(slave, &raw))
		return false;
	cfmakeraw(&raw);
	return !tcsetattr(slave, TCSANOW, &raw);
}

/* poll() of a terminal waits for the kernel thread's work on it. */
static void pass_byte(void)
{
	struct pollfd readable = { .fd = master, .events = POLLIN };
	char byte = 0;

	if (write(slave, &byte, 1) == 1 && poll(&readable, 1, 100) > 0 &&
	    read(master, &byte, 1) != 1)
		engine_warn("the engine's terminal has lost what was written to it");
}

void pty_opened(struct host *host)
{
	if (!host->has_ptys && !open_pair())
		engine_warn("%s: no pseudo-terminal for the engine (is devpts "
			    "full?): terminals inside this host may be late",
			    host->name);
	host->has_ptys = slave >= 0;
}

bool pty_settle(struct host *host)
{
	static const struct timespec nap = { .tv_nsec = 100 * NSEC_PER_USEC };

	if (!host->pty_unsettled)
		return false;
	host->pty_unsettled = false;
	/* What was begun before the byte may end a little later. */
	pass_byte();
	nanosleep(&nap, NULL);
	task_drain();
	return !TAILQ_EMPTY(&host->ready);
}
