/* SPDX-License-Identifier: MIT */
/* Fixed places, 16 bytes apart, at the start of the code page: to jump to, and data. */
	.section .entry, "ax"
	.balign 16
	jmp vclock_gettime
	.balign 16
	jmp vclock_gettimeofday
	.balign 16
	jmp vclock_time
	.balign 16
	.quad 0x1f0000000, 0 /* a timespec that never comes, see inject_forever() */
	.section .note.GNU-stack, "", @progbits
