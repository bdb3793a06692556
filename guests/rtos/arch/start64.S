/*
 * Entry of the 64-bit image: PVH, so in flat 32-bit protected mode with paging off and EBX pointing to the start
 * information. It maps the first 4 GiB one to one with 2 MiB pages and switches to long mode (SDM 3A section 9.8.5).
 */
#define XEN_ELFNOTE_PHYS32_ENTRY 18

#define CR0_PE_PG_WP 0x80010001
#define CR4_PAE 0x20
#define IA32_EFER 0xc0000080
#define EFER_LME 0x100
#define EFER_NXE 0x800

#define PAGE_PRESENT_WRITABLE 0x003
#define PAGE_LARGE 0x083
#define PAGE_LARGE_UNCACHED 0x09b /* PCD and PWT: device registers */
#define UNCACHED_FROM 0xfec00000

	.section .note.Xen, "a", @note
	.balign 4
	.long 4 /* length of the name */
	.long 8 /* length of the descriptor */
	.long XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.quad _start

	.data
	.balign 16
gdt:
	.quad 0
	.quad 0x00af9b000000ffff /* 0x08: 64-bit code */
	.quad 0x00cf93000000ffff /* 0x10: data */
	.quad 0x0000890000000067 /* 0x18: TSS, 104 bytes; its base is filled in below */
	.quad 0
gdt_register:
	.word gdt_register - gdt - 1
	.quad gdt

	.bss
	.balign 4096
page_map:
	.skip 4096
page_directory_pointers:
	.skip 4096
	.globl page_directories
page_directories:
	.skip 4 * 4096
	.skip 4096
boot_stack_top:
	.skip 4096
fault_stack_top:
task_state_segment:
	.skip 104

	.text
	.code32
	.globl _start
_start:
	cli
	cld
	mov $boot_stack_top, %esp

	movl $page_directory_pointers + PAGE_PRESENT_WRITABLE, page_map
	mov $page_directories + PAGE_PRESENT_WRITABLE, %eax
	mov $page_directory_pointers, %edi
	mov $4, %ecx
1:	mov %eax, (%edi)
	add $4096, %eax
	add $8, %edi
	loop 1b

	mov $page_directories, %edi
	xor %eax, %eax
2:	mov %eax, %edx
	or $PAGE_LARGE, %edx
	cmp $UNCACHED_FROM, %eax
	jb 3f
	or $PAGE_LARGE_UNCACHED, %edx
3:	mov %edx, (%edi)
	add $8, %edi
	add $0x200000, %eax
	jnc 2b /* until it wraps at 4 GiB */

	/* NX exists where CPUID says so; setting EFER.NXE elsewhere would be #GP. EBX survives in ESI. */
	mov %ebx, %esi
	mov $0x80000001, %eax
	cpuid
	mov %edx, %edi
	mov $page_map, %eax
	mov %eax, %cr3
	mov $CR4_PAE, %eax
	mov %eax, %cr4
	mov $IA32_EFER, %ecx
	rdmsr
	or $EFER_LME, %eax
	bt $20, %edi
	jnc 4f
	or $EFER_NXE, %eax
4:	wrmsr
	mov $CR0_PE_PG_WP, %eax
	mov %eax, %cr0

	/* The TSS exists only for its one interrupt stack (SDM 3A section 7.7), used by NMI and #DF. */
	mov $task_state_segment, %eax
	mov %ax, gdt + 0x18 + 2
	shr $16, %eax
	mov %al, gdt + 0x18 + 4
	mov %ah, gdt + 0x18 + 7
	movl $fault_stack_top, task_state_segment + 36
	movw $104, task_state_segment + 102 /* no I/O bitmap */

	lgdt gdt_register
	ljmp $0x08, $long_mode

	.code64
long_mode:
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	mov $0x18, %eax
	ltr %ax
	mov $boot_stack_top, %esp
	xor %ebp, %ebp  /* ends the chain of frame pointers */
	xor %edi, %edi  /* there is no Multiboot magic: PVH says who it is in its own structure */
	call kernel_main
5:	hlt
	jmp 5b
