// SPDX-License-Identifier: MIT
/* Whoever asks when a packet came is told in the same time as all clocks have. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <linux/if_packet.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

#define WAIT (30 * MSEC) /* between a packet's arrival and the look at it */

struct sockets {
	int from, to;
};

static struct sockets open_sockets(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct timeval timeout = { 1, 0 };
	socklen_t size = sizeof(address);
	struct sockets sockets = { socket(AF_INET, SOCK_DGRAM, 0),
				   socket(AF_INET, SOCK_DGRAM, 0) };

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(!bind(sockets.to, (struct sockaddr *)&address, sizeof(address)));
	CHECK(!getsockname(sockets.to, (struct sockaddr *)&address, &size));
	CHECK(!connect(sockets.from, (struct sockaddr *)&address, sizeof(address)));
	CHECK(!setsockopt(sockets.to, SOL_SOCKET, SO_RCVTIMEO, &timeout,
			  sizeof(timeout)));
	return sockets;
}

static void close_sockets(struct sockets sockets)
{
	close(sockets.from);
	close(sockets.to);
}

static void enable(int socket, int option, int value)
{
	CHECK(!setsockopt(socket, SOL_SOCKET, option, &value, sizeof(value)));
}

/* Lets the kernel begin to stamp, which it does some time after it is asked. */
static void warm_up(void)
{
	struct sockets sockets = open_sockets();
	struct timespec nap = at(MSEC);

	enable(sockets.to, SO_TIMESTAMP, 1);
	for (int i = 0; i < 20; i++)
		CHECK(!nanosleep(&nap, NULL));
	close_sockets(sockets);
}

static int64_t stamp_of(struct msghdr *message, int type, int64_t unit)
{
	struct cmsghdr *header;
	int64_t *value;

	for (header = CMSG_FIRSTHDR(message); header;
	     header = CMSG_NXTHDR(message, header)) {
		value = (void *)CMSG_DATA(header);
		if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == type)
			return value[0] * SEC + value[1] * unit;
	}
	return 0;
}

static void send_and_wait(int socket, int64_t *sent, int64_t *looked)
{
	struct timespec nap = at(WAIT);

	*sent = now_on(CLOCK_REALTIME);
	CHECK(send(socket, "x", 1, 0) == 1);
	*looked = now_on(CLOCK_REALTIME);
	CHECK(!nanosleep(&nap, NULL));
}

static void control_message(int option, int value, int64_t unit)
{
	struct sockets sockets = open_sockets();
	int64_t sent, looked, stamp;
	char data, control[256];
	struct iovec iov = { &data, 1 };
	struct mmsghdr many[2] = { 0 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	enable(sockets.to, option, value);
	for (int i = 0; i < 3; i++) {
		send_and_wait(sockets.from, &sent, &looked);
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		many[0].msg_hdr = message;
		if (i < 2) {
			CHECK(recvmsg(sockets.to, &message, 0) == 1);
			stamp = stamp_of(&message, option, unit);
		} else {
			CHECK(recvmmsg(sockets.to, many, 2, MSG_DONTWAIT, NULL) == 1);
			stamp = stamp_of(&many[0].msg_hdr, option, unit);
		}
		CHECK(stamp >= sent - unit && stamp <= looked);
	}
	close_sockets(sockets);
}

static void on_sending(void)
{
	struct sockets sockets = open_sockets();
	int64_t sent, looked, stamp;
	char data[256], control[512];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };

	enable(sockets.from, SO_TIMESTAMPING,
	       SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_SOFTWARE);
	send_and_wait(sockets.from, &sent, &looked);
	CHECK(recvmsg(sockets.from, &message, MSG_ERRQUEUE) >= 0);
	stamp = stamp_of(&message, SO_TIMESTAMPING, 1);
	CHECK(stamp >= sent && stamp <= looked);
	close_sockets(sockets);
}

static void by_ioctl(void)
{
	struct sockets sockets = open_sockets();
	int64_t sent, looked, stamp;
	struct timespec ts;
	struct timeval tv;
	char data;

	CHECK(ioctl(sockets.to, SIOCGSTAMP, &tv) == -1 && errno == ENOENT);
	for (int i = 0; i < 2; i++) {
		send_and_wait(sockets.from, &sent, &looked);
		CHECK(recv(sockets.to, &data, 1, 0) == 1);
		CHECK(!ioctl(sockets.to, SIOCGSTAMP, &tv));
		CHECK(!ioctl(sockets.to, SIOCGSTAMPNS, &ts));
		stamp = ts.tv_sec * SEC + ts.tv_nsec;
		CHECK(stamp >= sent && stamp <= now_on(CLOCK_REALTIME));
		stamp = tv.tv_sec * SEC + tv.tv_usec * 1000LL;
		CHECK(stamp >= sent - 1000 && stamp <= now_on(CLOCK_REALTIME));
	}
	close_sockets(sockets);
}

#define FRAME 2048
#define FRAMES 16

/* Others may use the loopback, too. */
static int is_ours(const struct tpacket2_hdr *frame, int socket)
{
	const struct iphdr *ip = (const void *)((const char *)frame + frame->tp_net);
	const struct udphdr *udp = (const void *)(ip + 1);
	struct sockaddr_in address;
	socklen_t size = sizeof(address);

	CHECK(!getsockname(socket, (struct sockaddr *)&address, &size));
	return ip->protocol == IPPROTO_UDP && udp->dest == address.sin_port;
}

/* More packets than the ring has room for, so that it is used again. */
static void ring(void)
{
	struct tpacket_req size = { .tp_block_size = 2 * FRAME,
				    .tp_block_nr = FRAMES / 2,
				    .tp_frame_size = FRAME,
				    .tp_frame_nr = FRAMES };
	int packets = socket(AF_PACKET, SOCK_DGRAM, htons(0x0800));
	int version = TPACKET_V2, next = 0, seen = 0;
	struct sockets sockets = open_sockets();
	struct pollfd pfd = { .fd = packets, .events = POLLIN };
	struct tpacket2_hdr *frame;
	int64_t sent, looked, stamp;
	char *frames;

	CHECK(packets >= 0);
	CHECK(!setsockopt(packets, SOL_PACKET, PACKET_VERSION, &version,
			  sizeof(version)));
	CHECK(!setsockopt(packets, SOL_PACKET, PACKET_RX_RING, &size, sizeof(size)));
	frames = mmap(NULL, FRAME * FRAMES, PROT_READ | PROT_WRITE, MAP_SHARED,
		      packets, 0);
	CHECK(frames != MAP_FAILED);
	for (int i = 0; i < FRAMES; i++) {
		send_and_wait(sockets.from, &sent, &looked);
		CHECK(poll(&pfd, 1, 1000) == 1);
		for (;;) {
			frame = (void *)(frames + next * FRAME);
			if (!(*(volatile uint32_t *)&frame->tp_status & TP_STATUS_USER))
				break;
			stamp = frame->tp_sec * SEC + frame->tp_nsec;
			CHECK(!is_ours(frame, sockets.to) ||
			      (stamp >= sent && stamp <= looked));
			frame->tp_status = TP_STATUS_KERNEL;
			next = (next + 1) % FRAMES;
			seen++;
		}
	}
	CHECK(seen >= FRAMES);
	close(packets);
	close_sockets(sockets);
}

int main(int argc, char **argv)
{
	check_arguments(argc, argv);
	warm_up();
	control_message(SO_TIMESTAMP, 1, 1000);
	control_message(SO_TIMESTAMPNS, 1, 1);
	control_message(SO_TIMESTAMPING,
			SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE, 1);
	on_sending();
	by_ioctl();
	ring();
	return success();
}
