; Virtual-8086 mode (SDM 3B chapter 20): entering by IRETD, leaving by an exception, IOPL, the I/O bitmap; with CR4.VME the
; interrupt redirection bitmap and the virtual interrupt flag; with CR4.PVI the same flag for level 3 in protected mode.
%include "payload.inc"
%include "system.inc"

CR4_VME equ 1 << 0
CR4_PVI equ 1 << 1
IF      equ 1 << 9
VM      equ 1 << 17
VIF     equ 1 << 19
VIP     equ 1 << 20
IOPL0   equ 0
IOPL3   equ 3 << 12
BASE    equ 0x10030             ; a selector whose low bits are 3, as those of ring 3
CS16     equ BASE >> 4
STACK   equ 0xf00

main:   call system_init
        mov esi, code16
        mov edi, BASE
        mov ecx, code16_end - code16
        rep movsb
        mov dword [0x60 * 4], (CS16 << 16) | (own_handler - code16)      ; the program's own vector table
        mov byte [idt + 0x60 * 8 + 5], 0        ; and no gate for it
        call plain
        mov eax, 1
        xor ecx, ecx
        cpuid
        test edx, 1 << 1
        jz .no_vme
        call vme
        call pvi
        ret
.no_vme:
        print 'skip vme-'
        call newline
        print 'skip pvi-'
        call newline
        ret

; in_v86 label, EFLAGS: runs the 16-bit code until it faults
%macro in_v86 2
        mov dword [caught_vector], -1
        mov dword [resume], %%back
        mov [ring0_esp], esp
        push dword 0                    ; GS
        push dword 0
        push dword CS16                  ; DS
        push dword 0xb800               ; ES
        push dword CS16                  ; SS
        push dword STACK
        push dword (%2) | VM | 2
        push dword CS16
        push dword %1 - code16
        iret
%%back: mov dword [resume], 0
%endmacro

; v86 'name', label, EFLAGS, vector, error code, where relative to code16
%macro v86 6
        in_v86 %2, %3
        pushad
        mov edi, %6 - code16
        mov ebx, %4
        mov ecx, %5
        call check_exception
        expect %1, 0
        popad
%endmacro
%macro word_at 3        ; 'name', label, wanted
        movzx eax, word [BASE + (%2 - code16)]
        expect %1, %3
%endmacro
%macro flags_are 2      ; 'name', wanted among IF VIF VIP VM IOPL
        mov eax, [caught_eflags]
        and eax, IF | VIF | VIP | VM | IOPL3
        expect %1, %2
%endmacro

plain:  v86 'cli-iopl0', v_cli, IOPL0, GP, 0, v_cli
        flags_are 'flags-on-the-way-out', VM
        mov eax, [caught_cs]
        expect 'cs-on-the-way-out', CS16
        v86 'sti-iopl0', v_sti, IOPL0, GP, 0, v_sti
        v86 'pushf-iopl0', v_pushf, IOPL0, GP, 0, v_pushf
        v86 'popf-iopl0', v_popf, IOPL0, GP, 0, v_popf.fault
        v86 'int-iopl0', v_int, IOPL0, GP, 0, v_int
        v86 'iret-iopl0', v_iret, IOPL0, GP, 0, v_iret
        v86 'hlt', v_hlt, IOPL3, GP, 0, v_hlt
        v86 'mov-cr0', v_cr0, IOPL3, GP, 0, v_cr0
        v86 'lar-is-undefined', v_lar, IOPL3, UD, 0, v_lar
        v86 'sldt-is-undefined', v_sldt, IOPL3, UD, 0, v_sldt
        v86 'arpl-is-undefined', v_arpl, IOPL3, UD, 0, v_arpl
        v86 'cli-iopl3', v_cli, IOPL3 | IF, UD, 0, v_cli.end
        flags_are 'cli-iopl3-flags', VM | IOPL3
        v86 'pushf-iopl3', v_pushf, IOPL3 | IF, UD, 0, v_pushf.end
        word_at 'pushf-iopl3-image', v_image, 0x3202
        v86 'popf-iopl3', v_popf, IOPL3, UD, 0, v_popf.end
        flags_are 'popf-iopl3-keeps-iopl', VM | IOPL3 | IF
        v86 'int-iopl3-no-gate', v_int, IOPL3, GP, 0x60 * 8 + 2, v_int
        v86 'int3-iopl0', v_int3, IOPL0, GP, 3 * 8 + 2, v_int3
        mov byte [idt + 3 * 8 + 5], 0xee
        v86 'int3-through-its-gate', v_int3, IOPL0, 3, 0, v_int3.end
        mov byte [idt + 3 * 8 + 5], 0x8e
        v86 'segments-are-16-times', v_segment, IOPL0, UD, 0, v_segment.end
        word_at 'segments-are-16-times-value', v_image, 0x4a4b
        v86 'offset-beyond-64k', v_limit, IOPL0, GP, 0, v_limit
        v86 'stack-beyond-64k', v_stack, IOPL0, SSF, 0, v_stack.fault
        v86 'far-jump', v_far, IOPL0, UD, 0, v_far.there + 0x80
        v86 'iret-in-v86', v_iret_ok, IOPL3, UD, 0, v_iret_ok.there
        flags_are 'iret-in-v86-flags', VM | IOPL3 | IF
        ; ports: the bitmap alone, whatever IOPL is
        v86 'port-allowed', v_out, IOPL0, UD, 0, v_out.end
        mov byte [system_tss + TSS_IO_MAP + 0x80 / 8], 1
        v86 'port-forbidden', v_out, IOPL3, GP, 0, v_out
        v86 'port-word-forbidden-by-its-second-byte', v_outw, IOPL3, GP, 0, v_outw.fault
        mov byte [system_tss + TSS_IO_MAP + 0x80 / 8], 0
        v86 'port-beyond-the-bitmap', v_outhigh, IOPL3, GP, 0, v_outhigh.fault
        ; the data segments were pushed, and are null in the handler
        mov eax, [inner_stack_top - 4]
        expect 'gs-pushed', 0
        mov eax, [inner_stack_top - 12]
        expect 'ds-pushed', CS16
        mov eax, [inner_stack_top - 16]
        expect 'es-pushed', 0xb800
        ; a gate whose handler is not at level 0
        descriptor 0x60, 0, 0xfffff, 0xc0db     ; code, DPL 2
        mov word [idt + 6 * 8 + 2], 0x60
        v86 'handler-must-be-at-level-0', v_ud, IOPL3, GP, 0x61, v_ud
        mov word [idt + 6 * 8 + 2], CODE32
        ret

vme:    mov eax, cr4
        or eax, CR4_VME
        mov cr4, eax
        v86 'vme-cli', v_cli, IF | VIF, UD, 0, v_cli.end
        flags_are 'vme-cli-clears-vif', VM | IF
        v86 'vme-sti', v_sti, 0, UD, 0, v_sti.end
        flags_are 'vme-sti-sets-vif', VM | VIF
        v86 'vme-sti-with-vip', v_sti, VIP, GP, 0, v_sti
        v86 'vme-sti-iopl3-sets-if', v_sti, IOPL3 | VIP, UD, 0, v_sti.end
        flags_are 'vme-sti-iopl3-flags', VM | IOPL3 | VIP | IF
        v86 'vme-pushf', v_pushf, VIF, UD, 0, v_pushf.end
        word_at 'vme-pushf-image', v_image, 0x3202
        v86 'vme-pushf-without-vif', v_pushf, IF, UD, 0, v_pushf.end
        word_at 'vme-pushf-without-vif-image', v_image, 0x3002
        v86 'vme-pushfd', v_pushfd, VIF, GP, 0, v_pushfd
        v86 'vme-popf', v_popf, 0, UD, 0, v_popf.end
        flags_are 'vme-popf-sets-vif', VM | VIF
        v86 'vme-popf-with-vip', v_popf, VIP, GP, 0, v_popf.fault
        v86 'vme-popf-tf', v_popf_tf, 0, GP, 0, v_popf_tf.fault
        v86 'vme-iret', v_iret_ok, 0, UD, 0, v_iret_ok.there
        flags_are 'vme-iret-sets-vif', VM | VIF
        v86 'vme-iret-with-vip', v_iret_ok, VIP, GP, 0, v_iret_ok.fault
        ; INT n: bit clear, to the program
        v86 'vme-int-redirected', v_int, VIF | IF, UD, 0, own_handler.end
        flags_are 'vme-int-redirected-flags', VM | IF
        word_at 'vme-int-redirected-image', v_image, 0x3202
        v86 'vme-int-redirected-iopl3', v_int, IOPL3 | IF, UD, 0, own_handler.end
        flags_are 'vme-int-redirected-iopl3-flags', VM | IOPL3
        word_at 'vme-int-redirected-iopl3-image', v_image, 0x3202
        ; bit set: to the system
        mov byte [system_tss + TSS_REDIRECTION + 0x60 / 8], 1
        v86 'vme-int-not-redirected', v_int, VIF, GP, 0, v_int
        v86 'vme-int-not-redirected-iopl3', v_int, IOPL3, GP, 0x60 * 8 + 2, v_int
        mov byte [system_tss + TSS_REDIRECTION + 0x60 / 8], 0
        mov eax, cr4
        and eax, ~CR4_VME
        mov cr4, eax
        ret

pvi:    mov dword [user_eflags], 2
        user_fault 'pvi-off-cli', GP, 0, p_cli
        mov eax, cr4
        or eax, CR4_PVI
        mov cr4, eax
        in_user .sti
        mov eax, [caught_vector]
        expect 'pvi-sti', UD
        flags_are 'pvi-sti-flags', VIF
        mov dword [user_eflags], 2 | VIF | IF
        in_user p_cli
        mov eax, [caught_vector]
        expect 'pvi-cli', UD
        flags_are 'pvi-cli-flags', IF
        mov dword [user_eflags], 2 | VIP
        user_fault 'pvi-sti-with-vip', GP, 0, p_sti
        mov dword [user_eflags], 2 | VIF
        in_user .pushf
        mov eax, [caught_vector]
        expect 'pvi-pushf', UD
        mov eax, ebx
        and eax, VIF | IF | IOPL3
        expect 'pvi-pushf-shows-no-virtual-if', VIF
        mov eax, cr4
        and eax, ~CR4_PVI
        mov cr4, eax
        ret
.sti:   sti
        ud2
.pushf: pushfd
        pop ebx
        ud2
p_cli:
.fault: cli
        ud2
p_sti:
.fault: sti
        ud2

section .data
bits 16
code16:
v_cli:  cli
.end:   ud2
v_sti:  sti
.end:   ud2
v_pushf: pushf
        pop word [v_image - code16]
.end:   ud2
v_pushfd: pushfd
        ud2
v_popf: push word 0x0202
.fault: popf
.end:   ud2
v_popf_tf: push word 0x0102
.fault: popf
        ud2
v_int:  int 0x60
.end:   ud2
v_int3: int3
.end:   ud2
v_iret: iret
v_hlt:  hlt
v_cr0:  mov eax, cr0
v_lar:  lar ax, bx
v_sldt: sldt ax
v_arpl: arpl ax, bx
v_ud:   ud2
v_segment:
        mov ax, CS16 + 1
        mov es, ax
        mov word [v_word + 16 - code16], 0x4a4b
        mov ax, [es:v_word - code16]
        mov [v_image - code16], ax
.end:   ud2
v_limit: mov ax, [0xffff]
v_stack: mov bp, 0xffff
.fault: mov ax, [bp]
v_far:  jmp (CS16 - 8):(.there - code16 + 0x80)
.there: ud2
v_out:  out 0x80, al
.end:   ud2
v_outw: mov dx, 0x7f
.fault: out dx, ax
v_outhigh: mov dx, 0x400
.fault: out dx, al
v_iret_ok:
        push word 0x0202
        push cs
        push word .there - code16
.fault: iret
.there: ud2
own_handler:
        pop ax
        pop ax
        pop word [v_image - code16]
.end:   ud2
v_image: dw 0
v_word: times 32 db 0
bits 32
code16_end:
section .text
