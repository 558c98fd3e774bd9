// SPDX-License-Identifier: MIT
/* Timerfds with several descriptors: dup, fork, exec and SCM_RIGHTS. */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define DELAY (50 * MSEC)

static void set(int fd, int64_t first, int64_t period)
{
	const struct itimerspec value = { at(period), at(first) };

	CHECK(!timerfd_settime(fd, 0, &value, NULL));
}

static uint64_t ticks(int fd)
{
	uint64_t count;

	CHECK(read(fd, &count, sizeof(count)) == sizeof(count));
	return count;
}

static int is_readable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0);
}

static void nap(int64_t ns)
{
	const struct timespec time = at(ns);

	CHECK(!nanosleep(&time, NULL));
}

static int64_t left(int fd)
{
	struct itimerspec value;

	CHECK(!timerfd_gettime(fd, &value));
	return value.it_value.tv_sec * SEC + value.it_value.tv_nsec;
}

static void end(void)
{
	int status;

	CHECK(wait(&status) > 0 && status == 0);
}

/* One timer, whatever its descriptor. */
static void duplicated(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, 0), other = dup(fd);
	int64_t start = now();

	set(fd, DELAY, 0);
	CHECK(left(other) > 0 && left(other) <= DELAY);
	set(other, 2 * DELAY, 0);
	CHECK(ticks(fd) == 1);
	check_elapsed("a timerfd that was set again", start, 2 * DELAY);
	nap(2 * DELAY);
	CHECK(!is_readable(fd) && !is_readable(other));
	start = now();
	set(fd, DELAY, 0);
	close(fd);
	CHECK(ticks(other) == 1);
	check_elapsed("a duplicate", start, DELAY);
	close(other);
}

/* A number that is another file's now. */
static void numbers_come_back(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, 0), again, kept = dup(fd);
	int64_t start = now();

	set(fd, DELAY, 0);
	close(fd);
	again = timerfd_create(CLOCK_MONOTONIC, 0);
	CHECK(again == fd);
	set(again, 2 * DELAY, 0);
	CHECK(ticks(kept) == 1);
	check_elapsed("a timerfd whose number is another's", start, DELAY);
	CHECK(ticks(again) == 1);
	check_elapsed("a timerfd with another's number", start, 2 * DELAY);
	close(again);
	close(kept);
}

static void over_fork(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	int64_t start = now();

	set(fd, 10 * DELAY, 0);
	if (!fork()) {
		CHECK(left(fd) > 0);
		set(fd, DELAY, 0);
		CHECK(ticks(fd) == 1);
		_exit(0);
	}
	end();
	check_elapsed("a timerfd that the child has set", start, DELAY);
	CHECK(left(fd) == 0);
	if (!fork()) {
		set(fd, 2 * DELAY, 0);
		_exit(0); /* the timer goes on */
	}
	end();
	start = now();
	CHECK(ticks(fd) == 1);
	CHECK(now() - start <= 2 * DELAY || slack > SEC);
	/* The child waits for what its parent has set and has closed. */
	set(fd, DELAY, DELAY);
	if (!fork()) {
		for (uint64_t sum = 0; sum < 5;)
			sum += ticks(fd);
		_exit(0);
	}
	close(fd);
	end();
}

static struct msghdr with_control(struct iovec *iov, void *control, size_t size)
{
	return (struct msghdr){
		.msg_iov = iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = size,
	};
}

static void pass(int socket, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(fd))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr message = with_control(&iov, control, sizeof(control));
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	CHECK(sendmsg(socket, &message, 0) == 1);
}

static int take(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr message = with_control(&iov, control, sizeof(control));
	int fd;

	CHECK(recvmsg(socket, &message, 0) == 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static void over_a_socket(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, 0), pair[2];
	int64_t start = now();

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	if (!fork()) {
		int own;

		close(fd);
		nap(DELAY); /* it is in the socket meanwhile, and expires there */
		own = take(pair[1]);
		CHECK(ticks(own) >= 1);
		set(own, DELAY, 0);
		CHECK(ticks(own) == 1);
		_exit(0);
	}
	set(fd, DELAY / 2, DELAY / 2);
	pass(pair[0], fd);
	close(fd);
	end();
	check_elapsed("a timerfd through a socket", start, 2 * DELAY);
}

static void refuses(void)
{
	int fd = timerfd_create(CLOCK_REALTIME, 0);
	struct itimerspec value = { .it_value.tv_nsec = SEC };

	CHECK(timerfd_settime(fd, 0, &value, NULL) == -1 && errno == EINVAL);
	value.it_value.tv_nsec = 1;
	CHECK(timerfd_settime(fd, 64, &value, NULL) == -1 && errno == EINVAL);
	CHECK(timerfd_settime(0, 0, &value, NULL) == -1);
	CHECK(timerfd_settime(-1, 0, &value, NULL) == -1 && errno == EBADF);
	value.it_value.tv_sec = now_on(CLOCK_REALTIME) / SEC + 1000;
	CHECK(!timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &value, NULL));
	CHECK(!is_readable(fd));
	close(fd);
}

int main(int argc, char **argv)
{
	check_arguments(argc, argv);
	duplicated();
	numbers_come_back();
	over_fork();
	over_a_socket();
	refuses();
	return success();
}
