/* Interrupt entry and context switch, 64-bit. SSE registers belong to the tasks: the kernel is compiled without them. */
#define VECTOR_COUNT 64
#define ERROR_CODE_VECTORS 0x60227d00 /* bit n: the processor pushes an error code for vector n (SDM 3A table 6-1) */

	.text
	.balign 16
first_stub:
	.set vector, 0
	.rept VECTOR_COUNT
	.balign 16
	.if vector >= 32 || !((ERROR_CODE_VECTORS >> vector) & 1)
	push $0
	.endif
	push $vector
	jmp enter
	.set vector, vector + 1
	.endr

	.section .rodata
	.balign 8
	.globl vector_stubs
vector_stubs:
	.set vector, 0
	.rept VECTOR_COUNT
	.quad first_stub + 16 * vector
	.set vector, vector + 1
	.endr

	.text
enter:
	push %rax
	push %rbx
	push %rcx
	push %rdx
	push %rsi
	push %rdi
	push %rbp
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	/* The processor aligned the stack to 16 bytes and 22 quadwords lie on it, so the call finds it aligned. */
	mov %rsp, %rdi /* struct frame * */
	call interrupt_dispatch
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rbp
	pop %rdi
	pop %rsi
	pop %rdx
	pop %rcx
	pop %rbx
	pop %rax
	add $16, %rsp /* vector and error code */
	iretq

/* void switch_context(void **save_stack_pointer, void *load_stack_pointer); the order of pushes is task_create()'s */
	.globl switch_context
switch_context:
	push %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, (%rdi)
	mov %rsi, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbx
	pop %rbp
	ret

/* The first thing a task runs. RBX: its entry, R12: its argument. */
	.globl task_trampoline
task_trampoline:
	sti
	mov %rbx, %rdi
	mov %r12, %rsi
	call task_main
