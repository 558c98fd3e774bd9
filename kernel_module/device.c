// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * /dev/kronos: the calls of uapi/kronos_module.h, and who may make them. The
 * process that has initialized an experiment owns it. Whatever becomes of that
 * process, the machine's clock runs free again afterwards.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "kronos.h"

/* Short calls of anybody, and long ones of the owner. Taken in the other order. */
static DEFINE_MUTEX(lock);
static DEFINE_MUTEX(owner_lock);

static struct {
	struct file *file; /* NULL: nobody */
	struct pid *process;
	u32 flags, expected_tracers;
	bool progressing;
} owner;

static DECLARE_WAIT_QUEUE_HEAD(until_free);

/* ---- arguments ---------------------------------------------------------------- */

/* A structure of the caller's size, which is its first member. */
static int get(void *to, size_t size, void __user *from)
{
	u32 theirs;

	if (get_user(theirs, (u32 __user *)from))
		return -EFAULT;
	if (theirs < sizeof(u32))
		return -EINVAL;
	if (theirs > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(to, size, from, theirs);
}

static int put(void __user *to, const void *from, size_t size, u32 theirs)
{
	return copy_to_user(to, from, min_t(size_t, size, theirs)) ? -EFAULT : 0;
}

static bool is_owner(struct file *file)
{
	return owner.file == file && owner.process == task_tgid(current);
}

/* ---- any descriptor ----------------------------------------------------------- */

static u32 state(void)
{
	if (!owner.file)
		return KRONOS_STATE_FREE;
	if (!kronos_frozen())
		return KRONOS_STATE_LIVE;
	return READ_ONCE(owner.progressing) ? KRONOS_STATE_RUNNING : KRONOS_STATE_FROZEN;
}

static long do_info(struct kronos_info *info)
{
	info->abi = KRONOS_MODULE_ABI;
	info->state = state();
	info->features = kronos_tsc_virtual() ? KRONOS_FEATURE_RDTSC : 0;
	if (kronos_instructions_available())
		info->features |= KRONOS_FEATURE_INSTRUCTIONS;
	info->owner = pid_vnr(owner.process);
	info->cpus = num_online_cpus();
	return 0;
}

static long do_join(struct file *file, const struct kronos_join *join)
{
	if (join->flags & ~(KRONOS_JOIN_TRACER | KRONOS_JOIN_HOLD) || join->tid < 0)
		return -EINVAL;
	if (join->tid && !is_owner(file))
		return -EPERM;
	if (!owner.file)
		return -ENOENT;
	if (!join->tid && owner.process == task_tgid(current))
		return -EINVAL; /* who would let it go on? */
	return kronos_task_join(join);
}

static long clock_of_task(struct kronos_clock *clock)
{
	struct task_struct *task;
	struct kronos_task *t;
	long result = -ESRCH;

	rcu_read_lock();
	task = pid_task(find_vpid(clock->tid), PIDTYPE_PID);
	t = task ? kronos_task_find(task) : NULL;
	if (t) {
		clock->monotonic_ns = kronos_core_now(t->core);
		clock->work_ns = t->work;
		result = 0;
	}
	rcu_read_unlock();
	return result;
}

static long clock_of_host(struct kronos_clock *clock)
{
	struct kronos_lp *lp = kronos_lp_find(clock->host);
	u32 i;

	if (!lp)
		return -ENOENT;
	for (i = 0; i < lp->cores; i++)
		clock->monotonic_ns = max_t(u64, clock->monotonic_ns, kronos_core_now(&lp->core[i]));
	clock->work_ns = atomic64_read(&lp->work);
	clock->slices = READ_ONCE(lp->slices);
	clock->tasks = atomic_read(&lp->tasks);
	return 0;
}

static long do_clock(struct kronos_clock *clock)
{
	long result = 0;

	clock->monotonic_ns = 0;
	clock->work_ns = 0;
	if (clock->tid)
		result = clock_of_task(clock);
	else if (clock->host)
		result = clock_of_host(clock);
	else
		clock->monotonic_ns = kronos_now();
	clock->now_ns = kronos_rounds_virtual(clock->monotonic_ns);
	clock->real_ns = kronos_real_ns();
	return result;
}

static long do_stats(struct kronos_module_stats *stats)
{
	u32 size = stats->size;

	*stats = kronos_stats;
	stats->size = size;
	stats->hosts = kronos_lp_count();
	stats->tasks = kronos_tasks_count(0);
	stats->tracers = kronos_tracers_count();
	stats->waits_for = READ_ONCE(owner.progressing) ? kronos_quiet_who() : 0;
	return 0;
}

static long do_wait(const struct kronos_wait *wait)
{
	struct file *file = NULL;
	long result;

	if (wait->fd >= 0) {
		file = fget(wait->fd);
		if (!file)
			return -EBADF;
	}
	result = kronos_wait_fd(file, wait->timeout_ns);
	if (file)
		fput(file);
	return result;
}

/* ---- the owner ------------------------------------------------------------------ */

static long do_initialize(struct file *file, const struct kronos_initialize *init)
{
	if (init->abi != KRONOS_MODULE_ABI)
		return -EPROTO;
	if (init->flags & ~KRONOS_INIT_KILL)
		return -EINVAL;
	if (owner.file)
		return -EBUSY;
	memset(&kronos_stats, 0, sizeof(kronos_stats));
	kronos_debug_reset();
	owner.file = file;
	owner.process = get_pid(task_tgid(current));
	owner.flags = init->flags;
	owner.expected_tracers = init->expected_tracers;
	return 0;
}

static long do_add_host(const struct kronos_host *host)
{
	int result;

	if (host->pace > KRONOS_MODULE_INSTANT || host->counter > KRONOS_MODULE_WORK_FREE ||
	    host->cores > KRONOS_CORES_MAX || !memchr(host->name, 0, sizeof(host->name)))
		return -EINVAL;
	if (host->counter == KRONOS_MODULE_INSTRUCTIONS) {
		result = kronos_instructions_start();
		if (result)
			return result;
	}
	return kronos_lp_add(host);
}

static u32 dying; /* the host that do_kill() waits for */

static bool is_gone(void)
{
	return !kronos_tasks_count(dying);
}

static long do_kill(const struct kronos_kill *kill)
{
	int result;

	if (kill->host && !kronos_lp_find(kill->host))
		return -ENOENT;
	dying = kill->host;
	kronos_tasks_kill(kill->host);
	result = kronos_wait_until(is_gone, -1);
	return min(result, 0);
}

static bool tracers_are_there(void)
{
	return kronos_tracers_count() >= owner.expected_tracers;
}

static long do_freeze(const struct kronos_freeze *freeze)
{
	int result;

	if (freeze->flags || kronos_frozen())
		return -EINVAL;
	result = kronos_wait_until(tracers_are_there, freeze->timeout_ns);
	if (result <= 0)
		return result ?: -ETIMEDOUT;
	return kronos_rounds_freeze(freeze->epoch_ns);
}

static long do_progress(struct kronos_progress *progress)
{
	struct file *until = NULL;
	long result;

	if (!kronos_frozen() || progress->timestep_ns < NSEC_PER_USEC ||
	    progress->timestep_ns > 1000 * NSEC_PER_SEC || progress->rounds < 1 || progress->reserved)
		return -EINVAL;
	if (progress->until_fd >= 0) {
		until = fget(progress->until_fd);
		if (!until)
			return -EBADF;
	}
	WRITE_ONCE(owner.progressing, true);
	result = kronos_rounds_progress(progress, until);
	WRITE_ONCE(owner.progressing, false);
	if (until)
		fput(until);
	return result;
}

static long do_thaw(void)
{
	if (!kronos_frozen())
		return -EINVAL;
	kronos_rounds_thaw();
	return 0;
}

/* With both locks held. */
static void stop(void)
{
	if (owner.flags & KRONOS_INIT_KILL)
		kronos_tasks_kill(0);
	kronos_rounds_end();
	kronos_tasks_release();
	kronos_instructions_stop();
	put_pid(owner.process);
	owner.process = NULL;
	WRITE_ONCE(owner.file, NULL);
	wake_up_interruptible_poll(&until_free, EPOLLIN);
}

/* The owner closes its descriptor, or dies, perhaps in the middle of a progress. */
static void stop_if_owner(struct file *file, bool closed)
{
	bool ours;

	mutex_lock(&lock);
	ours = owner.file == file && (closed || owner.process == task_tgid(current));
	mutex_unlock(&lock);
	if (!ours)
		return;
	kronos_rounds_interrupt();
	mutex_lock(&owner_lock);
	mutex_lock(&lock);
	if (owner.file == file)
		stop();
	mutex_unlock(&lock);
	mutex_unlock(&owner_lock);
}

/* ---- the calls ------------------------------------------------------------------- */

union argument {
	u32 size;
	struct kronos_info info;
	struct kronos_initialize initialize;
	struct kronos_host host;
	struct kronos_join join;
	struct kronos_kill kill;
	struct kronos_freeze freeze;
	struct kronos_progress progress;
	struct kronos_clock clock;
	struct kronos_wait wait;
	struct kronos_module_stats stats;
};

/* By anybody, and not for long. */
static long short_call(struct file *file, unsigned int nr, union argument *a)
{
	switch (nr) {
	case _IOC_NR(KRONOS_IOC_INFO):
		return do_info(&a->info);
	case _IOC_NR(KRONOS_IOC_INITIALIZE):
		return do_initialize(file, &a->initialize);
	case _IOC_NR(KRONOS_IOC_JOIN):
		return do_join(file, &a->join);
	case _IOC_NR(KRONOS_IOC_CLOCK):
		return do_clock(&a->clock);
	case _IOC_NR(KRONOS_IOC_STATS):
		return do_stats(&a->stats);
	case _IOC_NR(KRONOS_IOC_ADD_HOST):
		return is_owner(file) ? do_add_host(&a->host) : -EPERM;
	}
	return -ENOTTY;
}

/* By the owner, one at a time. */
static long long_call(struct file *file, unsigned int nr, union argument *a)
{
	switch (nr) {
	case _IOC_NR(KRONOS_IOC_KILL):
		return do_kill(&a->kill);
	case _IOC_NR(KRONOS_IOC_FREEZE):
		return do_freeze(&a->freeze);
	case _IOC_NR(KRONOS_IOC_THAW):
		return do_thaw();
	case _IOC_NR(KRONOS_IOC_PROGRESS):
		return do_progress(&a->progress);
	}
	return -ENOTTY;
}

static long stop_call(struct file *file)
{
	long result;

	mutex_lock(&lock);
	result = is_owner(file) ? 0 : -EPERM;
	mutex_unlock(&lock);
	if (!result)
		stop_if_owner(file, false);
	return result;
}

static long interrupt_call(struct file *file)
{
	if (!is_owner(file))
		return -EPERM;
	kronos_rounds_interrupt();
	return 0;
}

static long call_with_lock(struct file *file, unsigned int nr, union argument *a)
{
	long result;

	mutex_lock(&lock);
	result = short_call(file, nr, a);
	mutex_unlock(&lock);
	if (result != -ENOTTY)
		return result;
	if (mutex_lock_killable(&owner_lock))
		return -EINTR;
	result = is_owner(file) ? long_call(file, nr, a) : -EPERM;
	mutex_unlock(&owner_lock);
	return result;
}

static long call(struct file *file, unsigned int nr, union argument *a)
{
	switch (nr) {
	case _IOC_NR(KRONOS_IOC_INTERRUPT):
		return interrupt_call(file);
	case _IOC_NR(KRONOS_IOC_STOP):
		return stop_call(file);
	case _IOC_NR(KRONOS_IOC_WAIT):
		return do_wait(&a->wait);
	}
	return call_with_lock(file, nr, a);
}

/* As this module knows them: a caller's structure may be smaller or larger. */
static const unsigned int calls[] = {
	KRONOS_IOC_INFO,     KRONOS_IOC_INITIALIZE, KRONOS_IOC_ADD_HOST, KRONOS_IOC_JOIN,
	KRONOS_IOC_KILL,     KRONOS_IOC_FREEZE,	    KRONOS_IOC_THAW,	 KRONOS_IOC_PROGRESS,
	KRONOS_IOC_INTERRUPT, KRONOS_IOC_CLOCK,	    KRONOS_IOC_WAIT,	 KRONOS_IOC_STATS,
	KRONOS_IOC_STOP,
};

static long kronos_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	unsigned int nr = _IOC_NR(cmd);
	union argument a = { 0 };
	size_t size;
	long result;
	int error = 0;

	if (_IOC_TYPE(cmd) != KRONOS_IOC_MAGIC || nr >= ARRAY_SIZE(calls) ||
	    _IOC_DIR(cmd) != _IOC_DIR(calls[nr]))
		return -ENOTTY;
	size = _IOC_SIZE(calls[nr]);
	if (size)
		error = get(&a, size, user);
	if (error)
		return error;
	result = call(file, nr, &a);
	if (result >= 0 && (_IOC_DIR(cmd) & _IOC_READ))
		error = put(user, &a, size, a.size);
	return error ?: result;
}

static __poll_t kronos_poll(struct file *file, poll_table *table)
{
	poll_wait(file, &until_free, table);
	return READ_ONCE(owner.file) ? 0 : EPOLLIN | EPOLLRDNORM;
}

/* On each close() of a copy of the descriptor. */
static int kronos_flush(struct file *file, fl_owner_t id)
{
	stop_if_owner(file, false);
	return 0;
}

static int kronos_release(struct inode *inode, struct file *file)
{
	stop_if_owner(file, true);
	return 0;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = kronos_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = kronos_poll,
	.flush = kronos_flush,
	.release = kronos_release,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kronos",
	.fops = &operations,
	.mode = 0660,
};

int kronos_device_init(void)
{
	return misc_register(&device);
}

void kronos_device_exit(void)
{
	misc_deregister(&device);
}
