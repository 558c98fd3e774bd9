// SPDX-License-Identifier: MIT
/*
 * What links.py runs: a sender of UDP datagrams, as fast as it can, and a
 * relay between two TAP devices that has no virtual time and no model.
 *
 *   frames send ADDRESS COUNT SIZE
 *   frames relay DESCRIPTOR DESCRIPTOR
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[65536];

static int run_sender(char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	long count = atol(argv[3]);
	size_t size = (size_t)atol(argv[4]);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1)
		return 1;
	for (long i = 0; i < count; i++)
		if (sendto(fd, buffer, size, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			return 1;
	return 0;
}

static int run_relay(char **argv)
{
	struct pollfd fds[2] = {
		{ .fd = atoi(argv[2]), .events = POLLIN },
		{ .fd = atoi(argv[3]), .events = POLLIN },
	};

	while (poll(fds, 2, -1) > 0)
		for (int i = 0; i < 2; i++) {
			ssize_t size;

			if (!(fds[i].revents & POLLIN))
				continue;
			size = read(fds[i].fd, buffer, sizeof(buffer));
			if (size > 0 && write(fds[!i].fd, buffer, (size_t)size) < 0)
				continue; /* the other end is down */
		}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "send"))
		return run_sender(argv);
	if (argc == 4 && !strcmp(argv[1], "relay"))
		return run_relay(argv);
	return 2;
}
