/* SPDX-License-Identifier: MIT */
/*
 * ping_pong_stops N: as ping_pong, natively; but whoever is woken comes to a ptrace
 * stop before it goes on, and a tracer that does nothing else lets it go on. What
 * stops woken tasks cannot cost less.
 */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static int pipes[2][2];

static int play(int number, long count)
{
	int in = pipes[number][0], out = pipes[!number][1];
	char byte = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	if (number == 0 && count && write(out, &byte, 1) != 1)
		return 1;
	for (long i = 0; i < count; i++) {
		if (read(in, &byte, 1) != 1)
			return 1;
		__asm__ volatile("int3");
		if ((number || i + 1 < count) && write(out, &byte, 1) != 1)
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct sched_param below = { .sched_priority = 5 };
	long count = argc > 1 ? atol(argv[1]) : 0;
	pid_t players[2];
	int status;

	if (pipe(pipes[0]) || pipe(pipes[1]))
		return 1;
	for (int i = 0; i < 2; i++) {
		players[i] = fork();
		if (players[i] == 0)
			_exit(play(i, count));
		if (players[i] < 0 || waitpid(players[i], &status, 0) < 0)
			return 1;
	}
	/* Below them, it goes on when both have blocked or stopped. */
	if (sched_setscheduler(0, SCHED_FIFO, &below) ||
	    ptrace(PTRACE_CONT, players[1], 0, 0) || ptrace(PTRACE_CONT, players[0], 0, 0))
		return 1;
	for (long i = 0; i < 2 * count; i++)
		if (ptrace(PTRACE_CONT, players[(i + 1) % 2], 0, 0))
			return 1;
	for (int i = 0; i < 2; i++)
		if (waitpid(players[i], &status, __WALL) < 0 || status)
			return 1;
	return 0;
}
