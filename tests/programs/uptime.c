// SPDX-License-Identifier: MIT
/* /proc/uptime follows the clocks, however it is read. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define CENT (10 * MSEC) /* it is rounded down to it */

static int64_t boottime(void)
{
	return now_on(CLOCK_BOOTTIME);
}

static void parse(const char *text, int64_t *up, int64_t *idle)
{
	long long seconds[2], cents[2];
	int end;

	CHECK(sscanf(text, "%lld.%2lld %lld.%2lld%n", &seconds[0], &cents[0],
		     &seconds[1], &cents[1], &end) == 4);
	CHECK(!strcmp(text + end, "\n"));
	*up = seconds[0] * SEC + cents[0] * CENT;
	*idle = seconds[1] * SEC + cents[1] * CENT;
}

static int64_t read_again(int fd, int64_t *idle)
{
	int64_t before = boottime(), up;
	char text[128] = { 0 };

	CHECK(!lseek(fd, 0, SEEK_SET));
	CHECK(read(fd, text, sizeof(text) - 1) > 0);
	parse(text, &up, idle);
	CHECK(up <= boottime());
	CHECK(up > before - 3 * CENT);
	return up;
}

static int64_t read_once(int64_t *idle)
{
	int fd = open("/proc/uptime", O_RDONLY);
	int64_t up;

	CHECK(fd >= 0);
	up = read_again(fd, idle);
	close(fd);
	return up;
}

static void goes_on(void)
{
	int fd = open("/proc/uptime", O_RDONLY);
	struct timespec nap = at(3 * SEC / 10);
	int64_t first, last, idle[2];

	CHECK(fd >= 0);
	first = read_again(fd, &idle[0]);
	CHECK(!nanosleep(&nap, NULL));
	last = read_again(fd, &idle[1]);
	CHECK(last - first > 3 * SEC / 10 - 2 * CENT);
	CHECK(last - first - 3 * SEC / 10 - 2 * CENT <= slack);
	CHECK(idle[1] >= idle[0]);
	close(fd);
}

static void agrees_with_sysinfo(void)
{
	struct sysinfo info;
	int64_t idle, before = read_once(&idle);

	CHECK(!sysinfo(&info));
	CHECK(info.uptime >= before / SEC);
	CHECK(info.uptime <= boottime() / SEC + 1);
}

static void of_a_command(void)
{
	int64_t before = boottime(), up, idle;
	FILE *pipe = popen("cat /proc/uptime", "r");
	char text[128] = { 0 };

	CHECK(pipe && fread(text, 1, sizeof(text) - 1, pipe)); /* to its end */
	CHECK(!pclose(pipe));
	parse(text, &up, &idle);
	CHECK(up > before - 3 * CENT && up <= boottime());
}

/* Containers begin like this; without permission there is nothing to see. */
static void in_another_namespace(void)
{
	struct timespec nap = at(SEC / 10);
	int64_t idle;
	int status;

	if (!fork()) {
		CHECK(!unshare(CLONE_NEWNS) || errno == EPERM);
		nanosleep(&nap, NULL);
		read_once(&idle);
		_exit(0);
	}
	CHECK(wait(&status) > 0 && status == 0);
}

int main(int argc, char **argv)
{
	int64_t idle;

	check_arguments(argc, argv);
	read_once(&idle);
	goes_on();
	agrees_with_sysinfo();
	of_a_command();
	in_another_namespace();
	return success();
}
