// SPDX-License-Identifier: MIT
/* What signals say of their senders, stacks of their own, a program's own traps. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static volatile sig_atomic_t handled;
static siginfo_t last;
static uintptr_t frame;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	int here;

	(void)signal;
	(void)context;
	last = *info;
	frame = (uintptr_t)&here;
	handled++;
}

static void handle(int signal, int flags)
{
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_SIGINFO | flags };

	CHECK(!sigaction(signal, &action, NULL));
	handled = 0;
	memset(&last, 0, sizeof(last));
}

static void nap(int64_t ns)
{
	struct timespec left = at(ns);

	while (nanosleep(&left, &left))
		CHECK(errno == EINTR);
}

static void check_sender(int signal, int code, pid_t pid)
{
	CHECK(handled == 1);
	CHECK(last.si_signo == signal && last.si_code == code);
	CHECK(last.si_pid == pid && last.si_uid == getuid());
	handled = 0;
}

/* By itself, and by another process while it sleeps. */
static void senders(void)
{
	pid_t own = getpid(), pid;

	handle(SIGUSR1, 0);
	handle(SIGRTMIN + 2, 0);
	CHECK(!kill(own, SIGUSR1));
	check_sender(SIGUSR1, SI_USER, own);
	CHECK(!syscall(SYS_tgkill, own, own, SIGUSR1));
	check_sender(SIGUSR1, SI_TKILL, own);
	CHECK(!sigqueue(own, SIGRTMIN + 2, (union sigval){ .sival_int = 4711 }));
	CHECK(last.si_value.sival_int == 4711);
	check_sender(SIGRTMIN + 2, SI_QUEUE, own);
	pid = fork();
	if (pid == 0) {
		nap(20 * MSEC);
		CHECK(!sigqueue(own, SIGRTMIN + 2, (union sigval){ .sival_int = 12 }));
		_exit(7);
	}
	while (!handled)
		nap(5 * MSEC);
	CHECK(last.si_value.sival_int == 12);
	check_sender(SIGRTMIN + 2, SI_QUEUE, pid);
	CHECK(waitpid(pid, NULL, 0) == pid);
}

static void of_a_child(void)
{
	pid_t pid;

	handle(SIGCHLD, 0);
	pid = fork();
	if (pid == 0) {
		nap(10 * MSEC);
		_exit(7);
	}
	while (!handled)
		nap(5 * MSEC);
	CHECK(last.si_status == 7);
	check_sender(SIGCHLD, CLD_EXITED, pid);
	CHECK(waitpid(pid, NULL, 0) == pid);
	signal(SIGCHLD, SIG_DFL);
}

static void own_stack(void)
{
	static char memory[65536];
	const stack_t stack = { .ss_sp = memory, .ss_size = sizeof(memory) };

	CHECK(!sigaltstack(&stack, NULL));
	handle(SIGUSR1, SA_ONSTACK);
	CHECK(!raise(SIGUSR1) && handled == 1);
	CHECK(frame > (uintptr_t)memory && frame < (uintptr_t)memory + sizeof(memory));
	handle(SIGALRM, SA_ONSTACK);
	alarm(1);
	while (!handled)
		pause();
	CHECK(frame > (uintptr_t)memory && frame < (uintptr_t)memory + sizeof(memory));
	CHECK(!sigaltstack(&(stack_t){ .ss_flags = SS_DISABLE }, NULL));
}

/* A debugger's breakpoint in itself; SIGTRAP by its own hand and by a single step. */
static void traps(void)
{
	handle(SIGTRAP, 0);
	__asm__ volatile("int3");
	CHECK(handled == 1 && last.si_signo == SIGTRAP && last.si_code == SI_KERNEL);
	handle(SIGTRAP, 0);
	CHECK(!raise(SIGTRAP));
	check_sender(SIGTRAP, SI_TKILL, getpid());
	for (int i = 0; i < 20; i++) { /* between waits, and after them */
		nap(MSEC);
		__asm__ volatile("int3");
	}
	CHECK(handled == 20);
	signal(SIGTRAP, SIG_DFL);
}

static void faults(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		__asm__ volatile("ud2");
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGILL);
}

static void *execute(void *arg)
{
	nap(5 * MSEC);
	execl("/bin/sh", "sh", "-c", "kill -USR1 $PPID; exit 7", NULL);
	return arg;
}

/* A thread's exec is the whole process', with its parent and its signals. */
static void exec_of_a_thread(void)
{
	pthread_t thread;
	int status;
	pid_t pid;

	handle(SIGUSR1, 0);
	pid = fork();
	if (pid == 0) {
		CHECK(!pthread_create(&thread, NULL, execute, NULL));
		for (;;)
			pause();
	}
	while (waitpid(pid, &status, 0) != pid)
		CHECK(errno == EINTR);
	CHECK(WEXITSTATUS(status) == 7);
	check_sender(SIGUSR1, SI_USER, pid);
}

int main(int argc, char **argv)
{
	check_arguments(argc, argv);
	senders();
	for (int i = 0; i < 20; i++)
		of_a_child();
	own_stack();
	traps();
	faults();
	exec_of_a_thread();
	return success();
}
