// SPDX-License-Identifier: MIT
/*
 * Tasks that wait in the kernel when it freezes, in rounds and at the thaw: no
 * call of theirs is interrupted. Tasks at the gate take signals when their turn
 * comes, and SIGKILL at once.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "experiment.h"

static int pipe_fds[2], pair[2], queue;

static void do_read(void)
{
	char byte;

	CHECK(read(pipe_fds[0], &byte, 1) == 1);
}

static void do_poll(void)
{
	struct pollfd pfd = { .fd = pipe_fds[0], .events = POLLIN };

	CHECK(poll(&pfd, 1, -1) == 1);
}

static void do_select(void)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(pipe_fds[0], &set);
	CHECK(select(pipe_fds[0] + 1, &set, NULL, NULL, NULL) == 1);
}

static void do_epoll(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd = epoll_create1(0);

	CHECK(fd >= 0 && !epoll_ctl(fd, EPOLL_CTL_ADD, pipe_fds[0], &event));
	CHECK(epoll_wait(fd, &event, 1, -1) == 1);
}

static void do_recv(void)
{
	struct timeval forever = { 1000, 0 };
	char byte;

	CHECK(!setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever)));
	CHECK(recv(pair[0], &byte, 1, 0) == 1);
}

static void do_message(void)
{
	struct {
		long type;
		char text[8];
	} message;

	CHECK(msgrcv(queue, &message, sizeof(message.text), 0, 0) >= 0);
}

static void do_sleep(void)
{
	struct timespec wait = at(50 * MSEC);

	CHECK(!nanosleep(&wait, NULL));
}

static void do_wait(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		do_sleep();
		_exit(0);
	}
	CHECK(waitpid(pid, NULL, 0) == pid);
}

static void (*const calls[])(void) = {
	do_read, do_poll, do_select, do_epoll, do_recv, do_message, do_sleep, do_wait,
};

#define CALLS (sizeof(calls) / sizeof(*calls))

static void call(void *argument)
{
	(*(void (*const *)(void))argument)();
}

static volatile sig_atomic_t signalled;

static void on_signal(int signal)
{
	signalled = signal;
}

static void mask(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(!sigprocmask(how, &set, NULL));
}

static void await_signal(void *unused)
{
	struct sigaction action = { .sa_handler = on_signal };
	int64_t start;

	(void)unused;
	CHECK(!sigaction(SIGUSR1, &action, NULL));
	mask(SIG_UNBLOCK);
	start = now();
	while (!signalled)
		CHECK(now() - start < 10 * SEC);
}

static void spin(void *unused)
{
	(void)unused;
	for (;;)
		;
}

/* Lets all of the calls return at last. */
static void finish_calls(void)
{
	struct {
		long type;
		char text[8];
	} message = { 1, "" };

	CHECK(write(pipe_fds[1], "12345678", 8) == 8);
	CHECK(send(pair[1], "x", 1, 0) == 1);
	CHECK(!msgsnd(queue, &message, sizeof(message.text), 0));
}

static void check_exit(pid_t pid, int64_t rounds)
{
	int status = run_to_end(pid, MSEC, rounds);

	if (status) {
		printf("%d ended with status %#x\n", pid, status);
		exit(1);
	}
}

static void calls_go_on(const struct kronos_host *host)
{
	pid_t pids[CALLS];

	for (size_t i = 0; i < CALLS; i++)
		pids[i] = spawn(add_host(host), call, (void *)&calls[i]);
	freeze();
	progress(MSEC, 10); /* they wait now */
	CHECK(!ioctl(device, KRONOS_IOC_THAW));
	freeze();
	progress(100 * USEC, 200);
	CHECK(!ioctl(device, KRONOS_IOC_THAW));
	freeze();
	finish_calls();
	for (size_t i = 0; i < CALLS; i++)
		check_exit(pids[i], 10000);
}

/* Rounds until the child's state changes; it may have to wait for its host's clock. */
static int change_of(pid_t pid)
{
	int status;

	for (int i = 0; i < 10000; i++) {
		pid_t changed = waitpid(pid, &status, WUNTRACED | WNOHANG);

		CHECK(changed >= 0);
		if (changed)
			return status;
		progress(MSEC, 1);
	}
	still_runs(pid);
	exit(1);
}

static void works_again(int host)
{
	int64_t work = work_of(host);

	for (int i = 0; work_of(host) < work + 4 * MSEC; i++) {
		CHECK(i < 10000);
		progress(MSEC, 1);
	}
}

static void signals_at_the_gate(const struct kronos_host *host)
{
	int third = (int)CALLS + 2;
	pid_t handler, stopped, killed;
	int64_t work;
	int status;

	mask(SIG_BLOCK); /* until there is a handler */
	handler = spawn(add_host(host), await_signal, NULL);
	stopped = spawn(add_host(host), spin, NULL);
	killed = spawn(add_host(host), spin, NULL);
	while (statistics().tracers < CALLS + 3)
		wait_real(MSEC);
	freeze();
	progress(MSEC, 5);
	CHECK(!kill(handler, SIGUSR1));
	check_exit(handler, 10000);

	CHECK(!kill(stopped, SIGSTOP));
	CHECK(WIFSTOPPED(change_of(stopped)));
	work = work_of(third);
	progress(MSEC, 5);
	CHECK(work_of(third) == work);
	CHECK(!kill(stopped, SIGCONT));
	works_again(third);

	CHECK(!kill(stopped, SIGTERM) && !kill(killed, SIGKILL));
	CHECK(waitpid(stopped, &status, 0) == stopped && WTERMSIG(status) == SIGTERM);
	CHECK(waitpid(killed, &status, 0) == killed && WTERMSIG(status) == SIGKILL);
}

int main(void)
{
	struct kronos_host host = plain_host(1.0);

	CHECK(!pipe(pipe_fds) && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	queue = msgget(IPC_PRIVATE, 0600);
	CHECK(queue >= 0);
	initialize(KRONOS_INIT_KILL, CALLS);
	calls_go_on(&host);
	CHECK(!ioctl(device, KRONOS_IOC_THAW));
	signals_at_the_gate(&host);
	stop();
	CHECK(!msgctl(queue, IPC_RMID, NULL));
	return success();
}
