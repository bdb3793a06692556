/* Interrupt entry and context switch, 32-bit. Segments are flat and never change, so nothing saves them. */
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
	.balign 4
	.globl vector_stubs
vector_stubs:
	.set vector, 0
	.rept VECTOR_COUNT
	.long first_stub + 16 * vector
	.set vector, vector + 1
	.endr

	.text
enter:
	pusha
	cld
	push %esp /* struct frame * */
	call interrupt_dispatch
	add $4, %esp
	popa
	add $8, %esp /* vector and error code */
	iret

/* void switch_context(void **save_stack_pointer, void *load_stack_pointer); the order of pushes is task_create()'s */
	.globl switch_context
switch_context:
	mov 4(%esp), %eax
	mov 8(%esp), %edx
	push %ebp
	push %ebx
	push %esi
	push %edi
	mov %esp, (%eax)
	mov %edx, %esp
	pop %edi
	pop %esi
	pop %ebx
	pop %ebp
	ret

/* The first thing a task runs. EBX: its entry, ESI: its argument. */
	.globl task_trampoline
task_trampoline:
	sti
	sub $8, %esp
	push %esi
	push %ebx
	call task_main
