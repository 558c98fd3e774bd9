// SPDX-License-Identifier: MIT
/*
 * Virtual time stands while a dilated task waits for a disk, but not for ever: it then goes on as fast as real time.
 * The disk is a network block device whose server, which is not dilated, answers when real time has passed.
 */
#include <arpa/inet.h>
#include <linux/fs.h>
#include <linux/nbd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "experiment.h"

#define DISK "/dev/nbd0"
#define LIMIT "/sys/module/kronos/parameters/disk_limit_ms"
#define BLOCK 4096
#define BLOCKS 256
#define STEP (10 * MSEC) /* of the module: by which the clock goes on at once */

static struct {
	int64_t delay;	 /* of an answer */
	int64_t elapsed; /* that the reader has seen */
	int64_t real;	 /* in which it has */
} *shared;

/* ---- the disk ----------------------------------------------------------------- */

static bool all(ssize_t (*transfer)(int, void *, size_t), int fd, void *data, size_t size)
{
	while (size) {
		ssize_t done = transfer(fd, data, size);

		if (done <= 0)
			return false;
		data = (char *)data + done;
		size -= (size_t)done;
	}
	return true;
}

static ssize_t put(int fd, void *data, size_t size)
{
	return write(fd, data, size);
}

static void answer(int fd)
{
	static char block[BLOCK * BLOCKS];
	struct nbd_request request;

	while (all(read, fd, &request, sizeof(request))) {
		struct nbd_reply reply = { .magic = htonl(NBD_REPLY_MAGIC) };

		memcpy(&reply.handle, &request.handle, sizeof(reply.handle));
		CHECK(ntohl(request.type) == NBD_CMD_READ && ntohl(request.len) <= sizeof(block));
		wait_real(shared->delay);
		if (!all(put, fd, &reply, sizeof(reply)) || !all(put, fd, block, ntohl(request.len)))
			break;
	}
	exit(0);
}

static pid_t background(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		CHECK(!prctl(PR_SET_PDEATHSIG, SIGKILL));
		/* Else whoever reads our output would wait for them, too. */
		CHECK(freopen("/dev/console", "w", stdout));
	}
	return pid;
}

/* It has its size once it is connected. */
static void await_size(void)
{
	uint64_t size = 0;

	for (int i = 0; !size; i++) {
		int fd = open(DISK, O_RDONLY);

		CHECK(fd >= 0 && !ioctl(fd, BLKGETSIZE64, &size) && i < 100000);
		close(fd);
		usleep(1000);
	}
}

/* Returns the server. */
static pid_t attach(void)
{
	int fd = open(DISK, O_RDWR), pair[2];
	pid_t server;

	CHECK(fd >= 0 && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	CHECK(!ioctl(fd, NBD_SET_BLKSIZE, BLOCK) && !ioctl(fd, NBD_SET_SIZE_BLOCKS, BLOCKS));
	CHECK(!ioctl(fd, NBD_SET_SOCK, pair[1]));
	server = background();
	if (!server) {
		close(pair[1]);
		device = open(KRONOS_MODULE_DEVICE, O_RDWR);
		answer(pair[0]);
	}
	close(pair[0]);
	if (!background()) {
		ioctl(fd, NBD_DO_IT);
		exit(0);
	}
	close(pair[1]);
	close(fd);
	await_size();
	return server;
}

static void detach(pid_t server)
{
	CHECK(!kill(server, SIGKILL));
	while (wait(NULL) > 0)
		;
}

/* ---- who reads it ------------------------------------------------------------- */

static void wait_for(void (*wait)(void *), void *argument)
{
	int64_t real = real_time(), start = now();

	wait(argument);
	shared->elapsed = now() - start;
	shared->real = real_time() - real;
}

static void read_block(void *fd)
{
	static _Alignas(BLOCK) char block[BLOCK];

	CHECK(pread(*(int *)fd, block, BLOCK, 64 * BLOCK) == BLOCK);
}

static void read_direct(void *unused)
{
	int fd = open(DISK, O_RDONLY | O_DIRECT);

	(void)unused;
	wait_for(read_block, &fd);
}

static void read_buffered(void *unused)
{
	int fd = open(DISK, O_RDONLY);

	(void)unused;
	wait_for(read_block, &fd);
}

static void touch(void *page)
{
	CHECK(!*(const volatile char *)page);
}

static void read_mapped(void *unused)
{
	int fd = open(DISK, O_RDONLY);
	void *page = mmap(NULL, BLOCK, PROT_READ, MAP_PRIVATE, fd, 192 * BLOCK);

	(void)unused;
	CHECK(page != MAP_FAILED);
	wait_for(touch, page);
}

static void await_child(void *unused)
{
	static const struct timespec sleep = { .tv_nsec = 100 * MSEC };

	(void)unused;
	if (!vfork()) {
		syscall(SYS_nanosleep, &sleep, NULL);
		_exit(0);
	}
}

static void wait_for_child(void *unused)
{
	wait_for(await_child, unused);
}

/* Another host, for which time passes. */
static void tick_on(void *unused)
{
	static const struct timespec sleep = { .tv_nsec = MSEC };

	(void)unused;
	for (;;)
		nanosleep(&sleep, NULL);
}

/* ---- what they see ------------------------------------------------------------ */

static void set_limit(int64_t ns)
{
	FILE *file = fopen(LIMIT, "w");

	CHECK(file && fprintf(file, "%lld", (long long)(ns / MSEC)) > 0 && !fclose(file));
}

struct result {
	int64_t elapsed;      /* virtual, for the reader */
	int64_t real;	      /* meanwhile */
	int64_t disks;	      /* real, in which time stood and there was nothing else to wait for */
	unsigned long forced; /* times that it went on nevertheless */
};

static struct result run(void (*reader)(void *), int64_t delay, int64_t rounds)
{
	struct kronos_host host = plain_host(1.0);
	struct kronos_module_stats stats;
	struct result result;
	pid_t pid;

	host.counter = KRONOS_MODULE_WORK_FREE; /* what is waited for takes time */
	host.cost = 50;
	shared->delay = delay;
	initialize(KRONOS_INIT_KILL, 2);
	spawn(add_host(&host), tick_on, NULL);
	pid = spawn(add_host(&host), reader, NULL);
	freeze();
	CHECK(!run_to_end(pid, MSEC, rounds));
	stats = statistics();
	stop();
	shared->delay = 0;
	result.elapsed = shared->elapsed;
	result.real = shared->real;
	result.disks = (int64_t)stats.disks_ns;
	result.forced = (unsigned long)stats.disks_forced;
	printf("%lld ns virtual, %lld ns real, %lld ns for disks, forced %lu times\n",
	       (long long)result.elapsed, (long long)result.real, (long long)result.disks,
	       result.forced);
	return result;
}

static void stands(void (*reader)(void *))
{
	struct result result = run(reader, SEC / 2, 1000);

	CHECK(result.elapsed < 10 * MSEC && result.real >= SEC / 2);
	CHECK(result.disks > 0 && !result.forced);
}

/* By no more than real time exceeds the limit; but for a step, and for what the reader's own readings take. */
static void goes_on(void)
{
	struct result result;
	int64_t limit = SEC / 2;

	set_limit(limit);
	result = run(read_direct, 2 * SEC, 10000);
	CHECK(result.forced && result.disks > 0);
	CHECK(result.elapsed > 0 && result.elapsed <= result.real - limit + STEP + USEC);
}

static void parents_are_no_obstacle(void)
{
	struct result result = run(wait_for_child, 0, 10000);

	CHECK(result.elapsed >= 100 * MSEC && !result.forced);
	CHECK(result.elapsed < 110 * MSEC);
}

int main(void)
{
	pid_t server;

	setbuf(stdout, NULL);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	server = attach();
	set_limit(1000 * SEC); /* a busy machine's answers may take longer than they should */
	stands(read_direct);
	stands(read_buffered);
	stands(read_mapped);
	goes_on();
	set_limit(5 * SEC);
	parents_are_no_obstacle();
	detach(server);
	return success();
}
