/* SPDX-License-Identifier: MIT */
/* Datagrams with descriptors over Unix sockets: what all parts send each other. */
#ifndef KRONOS_MESSAGES_H
#define KRONOS_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define MESSAGE_FDS 2 /* at most */

/* Sends the datagram whole, with so many descriptors; false and errno if not. */
bool message_send(int socket, const void *data, size_t size, const int *fds,
		  size_t count);
/* The message's size, or as recvmsg(); descriptors it does not have are -1. */
ssize_t message_receive(int socket, void *data, size_t size, int fds[MESSAGE_FDS],
			int flags);

#endif /* KRONOS_MESSAGES_H */
