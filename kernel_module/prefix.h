/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Before every other header of every file: how the module's messages begin. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
