/*
 * Entry of the 32-bit image, by Multiboot 0.6.96 or by PVH. Both arrive in flat 32-bit protected mode, paging off,
 * interrupts off, EBX pointing to the loader's information; with Multiboot EAX holds its magic.
 */
#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x3 /* modules on page boundaries, memory sizes wanted */
#define XEN_ELFNOTE_PHYS32_ENTRY 18

	.section .multiboot, "a"
	.balign 4
	.long MULTIBOOT_MAGIC
	.long MULTIBOOT_FLAGS
	.long -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

	.section .note.Xen, "a", @note
	.balign 4
	.long 4 /* length of the name */
	.long 4 /* length of the descriptor */
	.long XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.long _start

	.section .rodata
	.balign 8
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff /* 0x08: code, base 0, limit 4 GiB, ring 0, accessed */
	.quad 0x00cf93000000ffff /* 0x10: data, likewise */
gdt_register:
	.word gdt_register - gdt - 1
	.long gdt

	.bss
	.balign 16
	.skip 4096
boot_stack_top:

	.text
	.globl _start
_start:
	cli
	cld
	mov $boot_stack_top, %esp
	/* The loader's GDT may lie anywhere and is not promised to stay (Multiboot section 3.2). */
	lgdt gdt_register
	ljmp $0x08, $1f
1:	mov $0x10, %ecx
	mov %ecx, %ds
	mov %ecx, %es
	mov %ecx, %fs
	mov %ecx, %gs
	mov %ecx, %ss
	xor %ebp, %ebp /* ends the chain of frame pointers */
	sub $8, %esp   /* the arguments leave the stack aligned to 16 bytes at the call (System V i386 ABI) */
	push %ebx
	push %eax
	call kernel_main
2:	hlt
	jmp 2b
