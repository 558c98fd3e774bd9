// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Loads and unloads the parts, in the order of the layers. */
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "kronos.h"

static const struct part {
	int (*init)(void);
	void (*exit)(void);
} parts[] = {
	{ kronos_symbols_find, NULL },
	{ kronos_clock_init, kronos_clock_exit },
	{ kronos_instructions_init, NULL },
	{ kronos_events_init, kronos_events_exit },
	{ kronos_probes_init, kronos_probes_exit },
	{ kronos_tsc_init, kronos_tsc_exit },
	{ kronos_debug_init, kronos_debug_exit },
#ifdef KRONOS_DEBUG
	{ kronos_selftest, NULL },
#endif
	{ kronos_device_init, kronos_device_exit },
};

static void exit_parts(int count)
{
	while (count--)
		if (parts[count].exit)
			parts[count].exit();
	/* The last steps of tasks that have left the gate are still in our code. */
	synchronize_rcu_tasks();
}

static int __init kronos_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		int result = parts[i].init();

		if (result) {
			exit_parts(i);
			return result;
		}
	}
	pr_info("virtual time, ABI %d\n", KRONOS_MODULE_ABI);
	return 0;
}

static void __exit kronos_exit(void)
{
	exit_parts(ARRAY_SIZE(parts));
}

module_init(kronos_init);
module_exit(kronos_exit);

MODULE_DESCRIPTION("Virtual time for a whole machine");
MODULE_AUTHOR("The mininet_kronos authors");
MODULE_LICENSE("Dual MIT/GPL");
MODULE_VERSION("1");
