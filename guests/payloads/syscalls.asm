; SYSCALL, SYSRET, SYSENTER, SYSEXIT, IRET, far returns, call gates and interrupts between 64-bit, compatibility and kernel mode
; (SDM 2B; SDM 3A sections 5.8.3, 5.8.7, 5.8.8, 6.14): selectors, flags, stacks, and what each refuses.
%include "payload.inc"
%include "system.inc"
%include "long-system.inc"
cpu default

IA32_STAR       equ 0xc0000081
IA32_LSTAR      equ 0xc0000082
IA32_FMASK      equ 0xc0000084
EFER_SCE        equ 1
SYSENTER_CS     equ 0x174
SYSENTER_ESP    equ 0x175
SYSENTER_EIP    equ 0x176
ENTER_CS        equ 0x80        ; 0x80 code, 0x88 stack, 0x90 and 0x98 for a 32-bit user, 0xa0 and 0xa8 for a 64-bit one
GATE64          equ 0xd0        ; 16 bytes
GATE_32         equ 0xe0        ; a call gate to 32-bit code
IF              equ 1 << 9
NT              equ 1 << 14
KERNEL_RSP      equ inner_stack_top - 256

%macro msr 3            ; index, low, high
        mov ecx, %1
        mov eax, %2
        mov edx, %3
        wrmsr
%endmacro
; The last fault was a UD2 at level 3, with this CS and SS
%macro ended 3          ; 'name', CS, SS
        check_at %1, [caught_vector], UD
        check_at %strcat(%1, '-cs'), [caught_cs], %2
        check_at %strcat(%1, '-ss'), [caught_ss64], %3
%endmacro

main:   call system_init
        descriptor 0x80, 0, 0xfffff, 0xa09b
        descriptor 0x88, 0, 0xfffff, 0xc093
        descriptor 0x90, 0, 0xfffff, 0xc0fb
        descriptor 0x98, 0, 0xfffff, 0xc0f3
        descriptor 0xa0, 0, 0xfffff, 0xa0fb
        descriptor 0xa8, 0, 0xfffff, 0xc0f3
        call_gate GATE64, CODE64, gate64, 0xec, 0
        mov dword [wide_gdt + GATE64 + 8], 0
        mov dword [wide_gdt + GATE64 + 12], 0
        call_gate GATE_32, CODE32, gate64, 0xec, 0
        mov dword [wide_gdt + GATE_32 + 8], 0
        mov dword [wide_gdt + GATE_32 + 12], 0
        mov ebx, fast_calls
        call in_long_mode
        mov ebx, gates_and_returns
        call in_long_mode
        ret
bits 64
fast_calls:
        user_faults 'syscall-without-sce', UD, 0, u_syscall
        mov ecx, IA32_EFER
        rdmsr
        or eax, EFER_SCE
        wrmsr
        msr IA32_STAR, 0, (0x60 << 16) | CODE64
        msr IA32_LSTAR, syscall_entry, 0
        msr IA32_FMASK, 0x4700, 0
        user_faults 'sysenter-without-cs', GP, 0, u_sysenter
        msr SYSENTER_CS, ENTER_CS, 0
        msr SYSENTER_ESP, KERNEL_RSP, 0
        msr SYSENTER_EIP, sysenter_entry, 0

        mov qword [user_flags64], 0x4402 | 1    ; NT, DF, CF
        user64 u_syscall
        mov qword [user_flags64], 2
        ended 'syscall', USER_CODE64, USER_DATA64
        check_at 'syscall-saves-flags', [seen_r11], 0x4403
        check_at 'syscall-masks-flags', [seen_flags], 0x0003
        check_at 'syscall-enters-cs', [seen_cs], CODE64
        check_at 'syscall-enters-ss', [seen_ss], CODE64 + 8
        check_at 'syscall-rcx', [seen_rcx], USER_AREA + (u_syscall.after - user_begin)
        check_at 'syscall-keeps-rsp', [seen_rsp], USER_STACK64
        mov rax, [caught_flags64]
        and eax, 0x4401
        check 'sysret-restores-flags', 0x4401
        mov dword [sysret_32], 1
        user64 u_syscall
        ended 'sysret-to-32', USER_COMPAT, USER_DATA64
        mov dword [sysret_32], 0
        user_faults 'sysret-at-level-3', GP, 0, u_sysret
        mov rcx, NON_CANONICAL
        mov r12, rsp
        catch64
        o64 sysret
        caught64 'sysret-non-canonical', GP, 0

        user64 u_sysenter
        ended 'sysenter-sysexit-64', (ENTER_CS + 32) | 3, (ENTER_CS + 40) | 3
        check_at 'sysenter-cs', [seen_cs], ENTER_CS
        check_at 'sysenter-ss', [seen_ss], ENTER_CS + 8
        check_at 'sysenter-rsp', [seen_rsp], KERNEL_RSP
        check_at 'sysenter-keeps-flags', [seen_flags], 0x0003
        mov rax, [caught_rsp64]
        check 'sysexit-rsp', USER_STACK64 - 64
        mov dword [sysexit_32], 1
        user64 u_sysenter
        ended 'sysexit-32', (ENTER_CS + 16) | 3, (ENTER_CS + 24) | 3
        mov dword [sysexit_32], 0
        user_faults 'sysexit-at-level-3', GP, 0, u_sysexit
        mov rdx, NON_CANONICAL
        xor ecx, ecx
        catch64
        o64 sysexit
        caught64 'sysexit-non-canonical-rip', GP, 0
        xor edx, edx
        mov rcx, NON_CANONICAL
        catch64
        o64 sysexit
        caught64 'sysexit-non-canonical-rsp', GP, 0

        ; compatibility mode
        user64 u_compat_syscall
        check_at 'compat-syscall', [caught_vector], UD
        check_at 'compat-syscall-cs', [caught_cs], USER_COMPAT
        user64 u_compat_sysenter
        ended 'compat-sysenter', (ENTER_CS + 32) | 3, (ENTER_CS + 40) | 3

        ret

gates_and_returns:
        ; a call gate goes to 64-bit code on the stack of the TSS, SS is null
        user64 u_gate
        ended 'call-gate-64', USER_CODE64, USER_DATA64
        check_at 'call-gate-64-pushed-rip', [seen_rip], USER_AREA + (u_gate.after - user_begin)
        check_at 'call-gate-64-pushed-cs', [seen_cs], USER_CODE64
        check_at 'call-gate-64-pushed-rsp', [seen_rsp], USER_STACK64
        check_at 'call-gate-64-null-ss', [seen_ss], 0
        check_at 'call-gate-64-stack', [seen_own_rsp], inner_stack_top - 32
        user_faults 'call-gate-to-32-bit-code', GP, CODE32, u_gate_32
        user_faults 'task-gate-is-gone', GP, TASK_STATE64, u_task
        ; interrupts
        mov byte [idt64 + UD * 16 + 4], 1       ; IST1
        user64 u_ud
        check_at 'ist-stack', [caught_esp], ist_stack_top
        mov byte [idt64 + UD * 16 + 4], 0
        catch64
        ud2
        caught64 'ud-at-level-0', UD, 0
        mov rbx, rsp
        and rbx, ~15
        sub rbx, 8
        mov r12, rsp
        mov rsp, rbx
        catch64
        ud2
        caught64 'ud-on-an-odd-stack', UD, 0
        mov rsp, r12
        mov eax, [caught_esp]
        sub rax, rbx
        check 'frame-is-aligned-to-16', -8
        mov rax, [caught_rsp64]
        sub rax, rbx
        check 'frame-has-the-old-rsp', 0
        user64 u_ud
        check_at 'inner-stack', [caught_esp], inner_stack_top
        mov eax, ss
        check 'inner-level-has-a-null-ss', 0

        ; IRETQ
%macro returning 6      ; 'name', SS, flags, CS, vector, error code
        push qword %2
        push qword USER_STACK64
        push qword %3
        push qword %4
        push qword USER_AREA
        catch64
        iretq
        caught64 %1, %5, %6
        add rsp, 40
%endmacro
        returning 'iret-null-ss-at-level-3', 0, 2, USER_CODE64, GP, 0
        returning 'iret-ss-of-another-level', USER_DATA64 & ~3, 2, USER_CODE64, GP, USER_DATA64 & ~3
        returning 'iret-null-cs', USER_DATA64, 2, 0, GP, 0
        returning 'iret-cs-is-data', USER_DATA64, 2, USER_DATA64, GP, USER_DATA64 & ~3
        pushfq
        or qword [rsp], NT
        popfq
        catch64
        iretq
        caught64 'iret-nt-in-long-mode', GP, 0
        pushfq
        and qword [rsp], ~NT
        popfq
        mov rbx, rsp
        push qword 0                            ; a null SS will do at level 0
        push rbx
        push qword 2
        push qword CODE64
        mov eax, .same
        push rax
        iretq
.same:  mov eax, ss
        check 'iret-null-ss-at-level-0', 0
        mov rax, rsp
        sub rax, rbx
        check 'iret-pops-rsp-at-every-level', 0
        user64 u_iret_compat
        ended 'iret-to-compat', USER_COMPAT, USER_DATA64
        user64 u_far_compat
        ended 'far-jump-to-compat-and-back', USER_CODE64, USER_DATA64
        ; SWAPGS and the bases
        msr 0xc0000101, 0x1234, 0
        msr 0xc0000102, 0x5678, 0
        swapgs
        mov ecx, 0xc0000101
        rdmsr
        check 'swapgs', 0x5678
        swapgs
        mov eax, USER_DATA64
        mov gs, eax
        mov ecx, 0xc0000101
        rdmsr
        check 'loading-gs-loads-its-base', 0
        ret

; What level 0 found: flags, CS, SS
%macro note_kernel 0
        mov esp, KERNEL_RSP - 64
        pushfq
        pop rax
        and eax, 0x4703
        mov [seen_flags], eax
        mov eax, cs
        mov [seen_cs], eax
        mov eax, ss
        mov [seen_ss], eax
%endmacro

syscall_entry:
        mov [seen_rcx], rcx
        mov [seen_r11], r11
        mov [seen_rsp], rsp
        note_kernel
        mov rsp, [seen_rsp]
        cmp dword [sysret_32], 0
        jne .to_32
        o64 sysret
.to_32: sysret
sysenter_entry:
        mov [seen_rsp], rsp
        note_kernel
        mov edx, USER_AREA + (u_sysenter.after - user_begin)
        mov ecx, USER_STACK64 - 64
        cmp dword [sysexit_32], 0
        jne .to_32
        o64 sysexit
.to_32: sysexit
gate64:
        mov rax, [rsp]
        mov [seen_rip], rax
        mov rax, [rsp + 8]
        mov [seen_cs], rax
        mov rax, [rsp + 16]
        mov [seen_rsp], rax
        mov [seen_own_rsp], rsp
        mov eax, ss
        mov [seen_ss], eax
        retfq

section .data
align 16
user_begin:
u_syscall:
.fault: syscall
.after: ud2
u_sysret:
.fault: o64 sysret
u_sysenter:
        stc
.fault: sysenter
.after: ud2
u_sysexit:
.fault: o64 sysexit
u_compat_syscall:
        push qword USER_COMPAT
        push qword USER_AREA + (.compat - user_begin)
        retfq
.compat: syscall
        ud2
u_compat_sysenter:
        push qword USER_COMPAT
        push qword USER_AREA + (.compat - user_begin)
        retfq
.compat: sysenter
u_gate: call far dword [abs USER_AREA + (.pointer - user_begin)]
.after: ud2
.pointer: dd 0
        dw GATE64
u_gate_32:
.fault: call far dword [abs USER_AREA + (.pointer - user_begin)]
.pointer: dd 0
        dw GATE_32
u_task:
.fault: call far dword [abs USER_AREA + (.pointer - user_begin)]
.pointer: dd 0
        dw TASK_STATE64
u_ud:   ud2
u_iret_compat:
        push qword USER_DATA64
        push qword USER_STACK64
        push qword 2
        push qword USER_COMPAT
        push qword USER_AREA + (.compat - user_begin)
        iretq
.compat: ud2
u_far_compat:
        jmp far dword [abs USER_AREA + (.pointer - user_begin)]
bits 32
.compat: mov eax, 0x12345678
        dec eax
        jmp USER_CODE64:USER_AREA + (.back - user_begin)
bits 64
.back:  ud2
.pointer: dd USER_AREA + (.compat - user_begin)
        dw USER_COMPAT
user_end:
bits 32
sysret_32:  dd 0
sysexit_32: dd 0
align 8
seen_rcx:   dq 0
seen_r11:   dq 0
seen_rsp:   dq 0
seen_rip:   dq 0
seen_own_rsp: dq 0
seen_cs:    dq 0
seen_ss:    dd 0
seen_flags: dd 0
