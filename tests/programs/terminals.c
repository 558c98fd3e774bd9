// SPDX-License-Identifier: MIT
/* Reads of a terminal with a timeout: VTIME, with a VMIN of 0 and of 1. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "check.h"

#define VTIME_UNIT (100 * MSEC)
#define LONG 100 /* on a busy machine, too */

static int master, slave;

static void set(int min, int tenths)
{
	struct termios settings;

	CHECK(!tcgetattr(slave, &settings));
	cfmakeraw(&settings);
	settings.c_cc[VMIN] = (cc_t)min;
	settings.c_cc[VTIME] = (cc_t)tenths;
	CHECK(!tcsetattr(slave, TCSANOW, &settings));
	CHECK(!tcgetattr(slave, &settings));
	CHECK(settings.c_cc[VMIN] == min && settings.c_cc[VTIME] == tenths);
}

static void times_out(int tenths)
{
	int64_t start;
	char byte;

	set(0, tenths);
	start = now();
	CHECK(read(slave, &byte, 1) == 0);
	check_elapsed("a read of a terminal", start, tenths * VTIME_UNIT);
}

/* A child that uses the CPU, or sleeps, and then types. */
static pid_t typist(int64_t delay, bool busy)
{
	struct timespec rest = at(delay);
	int64_t start = now();
	pid_t child = fork();

	CHECK(child >= 0);
	if (child)
		return child;
	if (!busy)
		nanosleep(&rest, NULL);
	while (busy && now() - start < delay)
		;
	CHECK(write(master, "x", 1) == 1);
	_exit(0);
}

static void typed(int min, int tenths, int64_t delay, bool busy)
{
	int64_t start = now();
	char byte = 0;
	pid_t child;
	int status;

	set(min, tenths);
	child = typist(delay, busy);
	CHECK(read(slave, &byte, 1) == 1 && byte == 'x');
	check_elapsed("a read of what is typed", start, delay);
	CHECK(waitpid(child, &status, 0) == child && !status);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int signal)
{
	(void)signal;
	alarms++;
}

static void interrupted(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	int64_t start = now();
	char byte;

	set(0, LONG);
	CHECK(!sigaction(SIGALRM, &action, NULL));
	ualarm(50000, 0);
	CHECK(read(slave, &byte, 1) == -1 && errno == EINTR && alarms == 1);
	check_elapsed("an interrupted read of a terminal", start, 50 * MSEC);
}

static void without_a_wait(void)
{
	int64_t start = now();
	char byte;

	set(0, 0);
	CHECK(read(slave, &byte, 1) == 0);
	set(0, 5);
	CHECK(!fcntl(slave, F_SETFL, O_NONBLOCK));
	CHECK(read(slave, &byte, 1) == -1 && errno == EAGAIN);
	CHECK(!fcntl(slave, F_SETFL, 0));
	check_elapsed("reads that do not wait", start, 0);
}

static void hung_up(void)
{
	struct timespec rest = at(50 * MSEC);
	pid_t child;
	char byte;

	set(0, LONG);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		close(slave);
		nanosleep(&rest, NULL);
		_exit(0);
	}
	close(master);
	CHECK(read(slave, &byte, 1) <= 0);
	CHECK(waitpid(child, NULL, 0) == child);
}

int main(int argc, char **argv)
{
	bool native = argc == 1;

	check_arguments(argc, argv);
	slack += 16 * tick; /* timers that are counted in ticks are coarser, the longer they are */
	master = posix_openpt(O_RDWR | O_NOCTTY);
	CHECK(master >= 0 && !grantpt(master) && !unlockpt(master));
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	CHECK(slave >= 0);
	times_out(1);
	times_out(2);
	typed(0, LONG, 50 * MSEC, false);
	typed(1, 1, 350 * MSEC, false);
	/* Where virtual time is slow, the kernel's own timeout comes first. */
	typed(0, native ? LONG : 3, 150 * MSEC, true);
	interrupted();
	without_a_wait();
	hung_up();
	return success();
}
