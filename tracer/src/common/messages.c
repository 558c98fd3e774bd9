// SPDX-License-Identifier: MIT
/* Datagrams with descriptors over Unix sockets. */
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "messages.h"

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(MESSAGE_FDS * sizeof(int))];
};

bool message_send(int socket, const void *data, size_t size, const int *fds,
		  size_t count)
{
	union control control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)data, size };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (count) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.header = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(count * sizeof(int)),
		};
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)size;
}

ssize_t message_receive(int socket, void *data, size_t size, int fds[MESSAGE_FDS],
			int flags)
{
	union control control = { 0 };
	struct iovec iov = { data, size };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | flags);
	struct cmsghdr *header;

	for (int i = 0; i < MESSAGE_FDS; i++)
		fds[i] = -1;
	if (received <= 0)
		return received;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
	return received;
}
