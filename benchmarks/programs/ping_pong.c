/* SPDX-License-Identifier: MIT */
/*
 * ping_pong N [pipe|unix|tcp|poll|epoll]: two processes on one CPU pass a byte to and fro
 * N times, through pipes, a socketpair, a TCP connection, or a socketpair that they wait
 * for in poll() or epoll_wait().
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *kind;
static int epoll;

/* ends[0] and ends[1] are those of the first process: to read from, and to write to. */
static int open_pipes(int ends[2][2])
{
	int there[2], back[2];

	if (pipe(there) || pipe(back))
		return -1;
	ends[0][0] = back[0];
	ends[0][1] = there[1];
	ends[1][0] = there[0];
	ends[1][1] = back[1];
	return 0;
}

static int connect_tcp(int pair[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &size) ||
	    connect(pair[0], (struct sockaddr *)&address, size))
		return -1;
	pair[1] = accept(listener, NULL, NULL);
	for (int i = 0; i < 2; i++)
		setsockopt(pair[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return pair[1] < 0;
}

static int open_ends(int ends[2][2])
{
	int pair[2];

	if (!strcmp(kind, "pipe"))
		return open_pipes(ends);
	if (!strcmp(kind, "tcp") ? connect_tcp(pair) :
				   socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -1;
	for (int i = 0; i < 2; i++)
		ends[i][0] = ends[i][1] = pair[i];
	return 0;
}

static void wait_for(int fd)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	struct epoll_event event;

	if (!strcmp(kind, "poll"))
		poll(&readable, 1, -1);
	else if (!strcmp(kind, "epoll"))
		epoll_wait(epoll, &event, 1, -1);
}

static int play(const int ends[2], long count, int first)
{
	struct epoll_event event = { .events = EPOLLIN };
	char byte = 0;

	epoll = epoll_create1(0);
	if (strcmp(kind, "pipe"))
		epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event);
	for (long i = 0; i < count; i++) {
		if (first && write(ends[1], &byte, 1) != 1)
			return 1;
		wait_for(ends[0]);
		if (read(ends[0], &byte, 1) != 1 ||
		    (!first && write(ends[1], &byte, 1) != 1))
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 0;
	int ends[2][2];

	kind = argc > 2 ? argv[2] : "pipe";
	if (open_ends(ends))
		return 1;
	if (fork() == 0)
		return play(ends[1], count, 0);
	return play(ends[0], count, 1);
}
