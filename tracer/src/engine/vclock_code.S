/* SPDX-License-Identifier: MIT */
/* The code page of src/vclock/ as bytes of the engine. */
	.section .rodata
	.globl vclock_code, vclock_code_end
	.balign 16
vclock_code:
	.incbin "vclock.bin"
vclock_code_end:
	.section .note.GNU-stack, "", @progbits
