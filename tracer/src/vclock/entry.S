/* SPDX-License-Identifier: MIT */
/* Fixed places to jump to, 16 bytes apart, at the start of the code page. */
	.section .entry, "ax"
	.balign 16
	jmp vclock_gettime
	.balign 16
	jmp vclock_gettimeofday
	.balign 16
	jmp vclock_time
	.section .note.GNU-stack, "", @progbits
