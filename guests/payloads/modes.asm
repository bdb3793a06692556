; A walk through the operating modes and back: protected, real, protected, 32-bit paging with two levels, PAE, long mode,
; 64-bit code, compatibility mode, 64-bit again, protected. In each the state that the mode defines is looked at.
; SDM 3A sections 9.8.5 (entering and leaving IA-32e mode), 9.9 (switching between real and protected mode).
%include "payload.inc"
%include "paging32.inc"

LOW             equ 0x8000              ; the 16-bit code is copied here: real mode cannot reach 1 MiB
PAE_LARGE       equ 0x83                ; present, writable, 2 MiB

main:
        mov esi, low_begin
        mov edi, LOW
        mov ecx, low_end - low_begin
        rep movsb
        call real_mode
        call two_level_paging
        call pae_paging
        call long_mode
        mov eax, cr0
        and eax, CR0_PE | CR0_PG
        expect 'back-in-protected-mode', CR0_PE
        ret

; ---- Real mode ----

real_mode:
        mov [protected_esp], esp
        jmp CODE16:LOW                  ; to_real, in its copy

section .data
align 16
bits 16
low_begin:
to_real:
        mov eax, DATA16                 ; 64 KiB limits, as real mode has them
        mov ds, eax
        mov es, eax
        mov fs, eax
        mov gs, eax
        mov ss, eax
        lidt [LOW + (real_idt - low_begin)]
        mov eax, cr0
        and eax, ~CR0_PE
        mov cr0, eax
        jmp 0:LOW + (.real - low_begin)
.real:  xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, LOW

        mov eax, cr0                    ; 1: PE is clear
        and ax, CR0_PE
        mov [LOW + (r_pe - low_begin)], ax
        mov ax, 0x1000                  ; 2: a segment is 16 bytes times its selector
        mov es, ax
        mov word [es:0x0010], 0xcafe
        xor ax, ax
        mov es, ax
        mov ax, 0x1001
        mov ds, ax
        mov bx, [0]
        xor ax, ax
        mov ds, ax
        mov [LOW + (r_segment - low_begin)], bx
        mov word [0x40 * 4], LOW + (.handler - low_begin)       ; 3: INT through the vector table at 0
        mov word [0x40 * 4 + 2], 0
        xor dx, dx
        int 0x40
        mov [LOW + (r_int - low_begin)], dx
        mov ax, 0xfff0                  ; 4: 16-bit arithmetic wraps
        add ax, 0x0020
        mov [LOW + (r_wrap - low_begin)], ax
        mov ecx, 0x12345678             ; 5: 32-bit operands are there with a prefix
        mov [LOW + (r_wide - low_begin)], ecx
        push word 0x5a5a                ; 6: pushes are 2 bytes wide
        mov [LOW + (r_push - low_begin)], sp
        pop ax
        call 0:LOW + (.far - low_begin) ; 7: a far call, and back
        mov [LOW + (r_far - low_begin)], bx

        mov eax, cr0
        or eax, CR0_PE
        mov cr0, eax
        jmp dword CODE32:real_mode_back
.handler:
        mov dx, 0x1337
        iret
.far:   mov bx, 0xfa12
        retf

align 4
real_idt:
        dw 0x3ff
        dd 0
r_pe:      dw 0xffff
r_segment: dw 0
r_int:     dw 0
r_wrap:    dw 0
r_push:    dw 0
r_far:     dw 0
r_wide:    dd 0
low_end:
bits 32
section .text

%macro expect_low 3     ; 'name', label, wanted
        movzx eax, word [LOW + (%2 - low_begin)]
        expect %1, %3
%endmacro

real_mode_back:
        mov eax, DATA32
        mov ds, eax
        mov es, eax
        mov fs, eax
        mov gs, eax
        mov ss, eax
        mov esp, [protected_esp]
        lidt [idt_register]
        expect_low 'real-mode-pe-clear', r_pe, 0
        expect_low 'real-mode-segments', r_segment, 0xcafe
        expect_low 'real-mode-interrupt', r_int, 0x1337
        expect_low 'real-mode-16-bit-wrap', r_wrap, 0x0010
        expect_low 'real-mode-16-bit-push', r_push, LOW - 2
        expect_low 'real-mode-far-call', r_far, 0xfa12
        mov eax, [LOW + (r_wide - low_begin)]
        expect 'real-mode-32-bit-operand', 0x12345678
        ret

; ---- Paging: two levels ----

two_level_paging:
        call paging_on
        mov eax, cr0
        and eax, CR0_PE | CR0_PG
        expect 'paging-on', CR0_PE | CR0_PG
        mov dword [0x300000], 0xaaaa5555
        mov dword [page_directory + 4], alias_table + PTE_PRESENT + PTE_WRITABLE
        mov dword [alias_table + 4 * 5], 0x300000 + PTE_PRESENT + PTE_WRITABLE
        mov eax, [0x405000]
        expect 'two-level-translation', 0xaaaa5555
        mov dword [page_directory + 4], 0x00000000 + PDE_LARGE + PTE_PRESENT + PTE_WRITABLE
        mov eax, cr3
        mov cr3, eax
        mov eax, [0x700000]
        expect 'four-megabyte-page', 0xaaaa5555
        mov eax, cr0
        and eax, ~CR0_PG
        mov cr0, eax
        ret

; ---- PAE: three levels of 64-bit entries ----

pae_paging:
        mov eax, cr4
        or eax, CR4_PAE
        mov cr4, eax
        mov dword [pae_pointers], pae_directory + 1     ; present; the other bits are reserved here (SDM 3A table 4-8)
        mov dword [pae_directory], PAE_LARGE
        mov dword [pae_directory + 8], 0x00200000 + PAE_LARGE
        mov dword [pae_directory + 16], alias_table + PTE_PRESENT + PTE_WRITABLE
        mov dword [alias_table + 8 * 3], 0x300000 + PTE_PRESENT + PTE_WRITABLE
        mov dword [alias_table + 8 * 3 + 4], 0
        mov dword [0x300010], 0x70707070
        mov eax, pae_pointers
        mov cr3, eax
        mov eax, cr0
        or eax, CR0_PG
        mov cr0, eax
        mov eax, [0x403010]
        expect 'pae-translation', 0x70707070
        mov eax, [0x300010]
        expect 'pae-large-page', 0x70707070
        mov eax, cr0
        and eax, ~CR0_PG
        mov cr0, eax
        ret

; ---- Long mode ----

long_mode:
        mov dword [level_4], level_3 + PTE_PRESENT + PTE_WRITABLE
        mov dword [level_3], pae_directory + PTE_PRESENT + PTE_WRITABLE
        mov eax, level_4
        mov cr3, eax
        mov ecx, IA32_EFER
        rdmsr
        or eax, EFER_LME
        wrmsr
        rdmsr
        and eax, EFER_LME | EFER_LMA
        expect 'long-mode-enabled-not-active', EFER_LME
        mov eax, cr0
        or eax, CR0_PG
        mov cr0, eax
        mov ecx, IA32_EFER
        rdmsr
        and eax, EFER_LME | EFER_LMA
        expect 'long-mode-active', EFER_LME | EFER_LMA

        ; Compatibility mode comes first: CS is still a 32-bit segment
        xor eax, eax
        dec eax                 ; one byte 0x48: in 64-bit code a REX prefix instead
        expect 'compatibility-mode-decodes-32-bit', 0xffffffff
        mov [protected_esp], esp
        jmp CODE64:sixty_four

bits 64
default abs
sixty_four:
        mov rax, 0x123456789abcdef0
        mov r8, rax
        shr rax, 32
        mov [l_high], eax
        mov eax, 0xffffffff     ; a 32-bit result clears the upper half
        mov r9, -1
        mov r9d, eax
        shr r9, 32
        mov [l_zero_extended], r9d
        lea rax, [rel sixty_four]
        mov [l_rip], eax
        mov esp, other_stack_top      ; zero-extends
        push rax                ; 8 bytes wide
        mov eax, other_stack_top
        sub rax, rsp
        mov [l_push], eax
        pop rax
        movsxd rax, dword [minus_one]
        neg rax
        mov [l_movsxd], eax
        mov rax, r8
        bswap rax
        mov [l_bswap], eax
        ; A 64-bit interrupt gate and IRETQ
        mov eax, interrupt_64
        mov [idt_64 + 16 * 0x41], ax
        mov word [idt_64 + 16 * 0x41 + 2], CODE64
        mov word [idt_64 + 16 * 0x41 + 4], 0x8e00
        shr eax, 16
        mov [idt_64 + 16 * 0x41 + 6], ax
        lidt [idt_64_register]
        xor edx, edx
        mov rcx, rsp
        int 0x41
        sub rcx, rsp
        add edx, ecx            ; 0 when RSP came back
        mov [l_interrupt], edx

        ; Down to compatibility mode with a far return, work there, and up again
        push qword CODE32
        mov eax, compatible
        push rax
        retfq
bits 32
compatible:
        mov eax, DATA32
        mov ss, eax
        mov esp, other_stack_top
        push eax
        mov eax, other_stack_top
        sub eax, esp
        mov [c_push], eax
        pop ecx
        xor eax, eax
        dec eax
        inc eax                 ; 0x40: a REX prefix again
        mov [c_inc], eax
        jmp CODE64:again
bits 64
again:
        mov ecx, IA32_EFER
        rdmsr
        and eax, EFER_LMA
        mov [l_still_active], eax

        ; And out of long mode: to compatibility mode, paging off, LME off
        mov eax, leave_long
        push qword CODE32
        push rax
        retfq
bits 32
leave_long:
        mov eax, cr0
        and eax, ~CR0_PG
        mov cr0, eax
        mov ecx, IA32_EFER
        rdmsr
        mov [l_left], eax
        and dword [l_left], EFER_LMA
        and eax, ~EFER_LME
        wrmsr
        mov eax, cr4
        and eax, ~CR4_PAE
        mov cr4, eax
        mov eax, DATA32
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov esp, [protected_esp]
        lidt [idt_register]

%macro expect_at 3      ; 'name', address, wanted
        mov eax, [%2]
        expect %1, %3
%endmacro
        expect_at 'long-64-bit-registers', l_high, 0x12345678
        expect_at 'long-32-bit-results-zero-extend', l_zero_extended, 0
        expect_at 'long-rip-relative', l_rip, sixty_four
        expect_at 'long-8-byte-push', l_push, 8
        expect_at 'long-movsxd', l_movsxd, 1
        expect_at 'long-bswap', l_bswap, 0x78563412
        expect_at 'long-interrupt-and-iretq', l_interrupt, 0x6464
        expect_at 'compatibility-4-byte-push', c_push, 4
        expect_at 'compatibility-inc-is-not-rex', c_inc, 0
        expect_at 'long-mode-still-active', l_still_active, EFER_LMA
        expect_at 'long-mode-left', l_left, 0
        ret

bits 64
interrupt_64:
        mov edx, 0x6464
        iretq
bits 32

section .data
protected_esp:   dd 0
minus_one:       dd -1
idt_64_register: dw 256 * 16 - 1
                 dd idt_64, 0
section .bss
l_high:          resd 1
l_zero_extended: resd 1
l_rip:           resd 1
l_push:          resd 1
l_movsxd:        resd 1
l_bswap:         resd 1
l_interrupt:     resd 1
l_still_active:  resd 1
l_left:          resd 1
c_push:          resd 1
c_inc:           resd 1
alignb 4096
alias_table:     resd 1024
pae_directory:   resq 512
level_3:         resq 512
level_4:         resq 512
idt_64:          resq 512
                 resb 1024
other_stack_top:                ; long mode works here: the stack of protected mode holds our return addresses
alignb 32
pae_pointers:    resq 4
