; Hardware task switches (SDM 3A chapter 7): JMP, CALL, task gates, IRET with NT, interrupts and exceptions through task gates,
; 16- and 32-bit TSSs, busy bits, the link, CR0.TS, the T flag, and faults before and after the point of no return.
%include "payload.inc"
%include "system.inc"

A_TSS           equ 0x60        ; 32-bit
B_TSS           equ 0x68        ; 16-bit
GATE_A          equ 0x70        ; task gate to A_TSS
SHORT_TSS       equ 0x78
ABSENT_TSS      equ 0x80
GATE_NOTHING    equ 0x88        ; task gate to a data segment
LDT_SEL         equ 0x90
GATE_ABSENT     equ 0x98
CODE16H         equ 0xa0        ; 16-bit code where the payload is
NT              equ 1 << 14
CR0_TS_BIT      equ 1 << 3
BUSY            equ 2

%macro access_of 3      ; 'name', selector, wanted access byte
        movzx eax, byte [wide_gdt + (%2) + 5]
        expect %1, %3
%endmacro
; tss32 base, entry point
%macro tss32 2
        mov dword [%1 + 0x20], %2
        mov dword [%1 + 0x24], 2
        mov dword [%1 + 0x38], task_stack_top   ; ESP
        mov dword [%1 + 0x48], DATA32
        mov dword [%1 + 0x4c], CODE32
        mov dword [%1 + 0x50], DATA32
        mov dword [%1 + 0x54], DATA32
        mov dword [%1 + 0x58], DATA32
        mov dword [%1 + 0x5c], DATA32
        mov dword [%1 + 0x60], 0
        mov dword [%1 + 0x64], 104 << 16
%endmacro
; came 'name', vector, error: what the last exception was
%macro came 3
        mov eax, [caught_vector]
        expect %1, %2
        mov eax, [caught_error]
        expect %strcat(%1, '-error'), %3
%endmacro

main:   call system_init
        descriptor A_TSS, task_a, 103, 0x89
        descriptor B_TSS, task_b, 43, 0x81
        descriptor SHORT_TSS, task_a, 102, 0x89
        descriptor ABSENT_TSS, task_a, 103, 0x09
        descriptor LDT_SEL, gdt, 63, 0x82
        descriptor CODE16H, 0x100000, 0xffff, 0x9b
        call_gate GATE_A, A_TSS, 0, 0x85, 0
        call_gate GATE_NOTHING, DATA32, 0, 0x85, 0
        call_gate GATE_ABSENT, A_TSS, 0, 0x05, 0
        call round_trips
        call sixteen_bits
        call by_interrupt
        call refused
        call too_late
        call trap_flag
        ret

round_trips:
        tss32 task_a, .in_a
        mov dword [task_a + 0x28], 0x11111111   ; EAX
        clts
        mov ebx, 0x12345678
        call A_TSS:0
.back:  mov eax, [seen_eax]
        expect 'call-loads-registers', 0x11111111
        mov eax, [seen_flags]
        and eax, NT
        expect 'call-sets-nt', NT
        mov eax, [seen_link]
        expect 'call-links', TASK_STATE
        mov eax, [seen_tr]
        expect 'call-loads-tr', A_TSS
        mov eax, [seen_busy]
        expect 'call-both-busy', 0x8b8b
        mov eax, [seen_cr0]
        and eax, CR0_TS_BIT
        expect 'call-sets-ts', CR0_TS_BIT
        mov eax, ebx
        expect 'iret-restores-registers', 0x12345678
        access_of 'iret-frees-the-task', A_TSS, 0x89
        access_of 'iret-keeps-the-first-busy', TASK_STATE, 0x8b
        str eax
        expect 'iret-restores-tr', TASK_STATE
        mov eax, [task_a + 0x24]
        and eax, NT
        expect 'iret-saves-nt-clear', 0
        mov eax, [system_tss + 0x20]
        expect 'call-saved-eip', .back
        mov eax, [task_a + 0x20]
        expect 'iret-saved-eip', .resumed
        ; called again, it goes on behind its IRET
        call GATE_A:0
        mov eax, [seen_eax]
        expect 'call-gate-resumes', 0x22222222
        access_of 'jmp-frees-the-task', A_TSS, 0x89
        ret
.in_a:  mov [seen_eax], eax
        pushfd
        pop dword [seen_flags]
        movzx eax, word [task_a]
        mov [seen_link], eax
        str eax
        mov [seen_tr], eax
        mov al, [wide_gdt + A_TSS + 5]
        mov ah, [wide_gdt + TASK_STATE + 5]
        movzx eax, ax
        mov [seen_busy], eax
        mov eax, cr0
        mov [seen_cr0], eax
        iret
.resumed:
        mov dword [seen_eax], 0x22222222
        ; back by JMP: the first task must be free for that
        and byte [wide_gdt + TASK_STATE + 5], ~BUSY
        jmp TASK_STATE:0

sixteen_bits:
        mov edi, task_b
        mov ecx, 11
        xor eax, eax
        rep stosd
        mov eax, .in_b - 0x100000
        mov [task_b + 0x0e], ax
        mov word [task_b + 0x10], 2
        mov word [task_b + 0x12], 0x1234        ; AX
        mov word [task_b + 0x1a], 0x7f0         ; SP
        mov word [task_b + 0x22], DATA32
        mov word [task_b + 0x24], CODE16H
        mov word [task_b + 0x26], DATA32
        mov word [task_b + 0x28], DATA32
        mov eax, FS_MARK
        mov fs, eax
        call B_TSS:0
        mov eax, [seen_eax]
        expect 'tss16-ax', 0x1234
        mov eax, [seen_fs]
        expect 'tss16-fs-is-null', 0
        mov eax, fs
        expect 'tss16-back-fs', FS_MARK
        mov ax, [task_b]
        movzx eax, ax
        expect 'tss16-link', TASK_STATE
        access_of 'tss16-free', B_TSS, 0x81
        mov eax, DATA32
        mov fs, eax
        ret
FS_MARK equ CODE32
bits 16
.in_b:  movzx eax, ax
        mov [dword seen_eax], eax
        mov eax, fs
        mov [dword seen_fs], eax
        iret
bits 32

by_interrupt:
        ; INT n and an exception with an error code, through a task gate
        tss32 task_a, .in_a
        mov dword [idt + 0x50 * 8], A_TSS << 16
        mov dword [idt + 0x50 * 8 + 4], 0x8500
        int 0x50
.back:  mov eax, [seen_link]
        expect 'int-links', TASK_STATE
        mov eax, [seen_esp]
        expect 'int-pushes-nothing', task_stack_top
        mov eax, [system_tss + 0x20]
        expect 'int-saved-eip', .back
        mov eax, [idt + 13 * 8]
        mov [kept_gate], eax
        mov eax, [idt + 13 * 8 + 4]
        mov [kept_gate + 4], eax
        mov dword [idt + 13 * 8], A_TSS << 16
        mov dword [idt + 13 * 8 + 4], 0x8500
        tss32 task_a, .with_error
        mov eax, 0x1230
.fault: mov ds, eax
.after: mov eax, [seen_error]
        expect 'exception-pushes-its-code', 0x1230
        mov eax, [seen_eip]
        expect 'exception-saved-eip', .fault
        mov eax, [seen_flags]
        and eax, 1 << 16
        expect 'exception-saved-rf', 1 << 16
        mov eax, [kept_gate]
        mov [idt + 13 * 8], eax
        mov eax, [kept_gate + 4]
        mov [idt + 13 * 8 + 4], eax
        ; a double fault in a task of its own
        tss32 task_a, .double
        mov dword [idt + 8 * 8], A_TSS << 16
        mov dword [idt + 8 * 8 + 4], 0x8500
        mov byte [idt + 5], 0
        xor ecx, ecx
        div ecx
.divided:
        mov eax, [seen_error]
        expect 'double-fault-task', 0
        mov byte [idt + 5], 0x8e
        gate 8, exception_stubs + 8 * 16
        ret
.in_a:  mov [seen_esp], esp
        movzx eax, word [task_a]
        mov [seen_link], eax
        iret
.with_error:
        pop dword [seen_error]
        mov eax, [system_tss + 0x20]
        mov [seen_eip], eax
        mov eax, [system_tss + 0x24]
        mov [seen_flags], eax
        mov dword [system_tss + 0x20], .after
        iret
.double:
        pop dword [seen_error]
        mov dword [system_tss + 0x20], .divided
        iret

refused:
        catch_here
        call SHORT_TSS:0
        caught 'tss-too-short', TS, SHORT_TSS
        catch_here
        call ABSENT_TSS:0
        caught 'tss-absent', NP, ABSENT_TSS
        catch_here
        call TASK_STATE:0
        caught 'tss-busy', GP, TASK_STATE
        catch_here
        call GATE_NOTHING:0
        caught 'task-gate-to-data', GP, DATA32
        catch_here
        call GATE_ABSENT:0
        caught 'task-gate-absent', NP, GATE_ABSENT
        mov dword [idt + 0x51 * 8], TASK_STATE << 16
        mov dword [idt + 0x51 * 8 + 4], 0x8500
        catch_here
        int 0x51
        caught 'int-to-a-busy-task', GP, TASK_STATE
        user_fault 'user-calls-tss', GP, A_TSS, user_tss
        user_fault 'user-calls-task-gate', GP, GATE_A, user_gate
        ; IRET with NT to something that is not a busy TSS
        mov word [system_tss], A_TSS
        pushfd
        or dword [esp], NT
        popfd
        catch_here
        iret
        caught 'iret-to-a-free-task', TS, A_TSS
        mov word [system_tss], DATA32
        pushfd
        or dword [esp], NT
        popfd
        catch_here
        iret
        caught 'iret-to-data', TS, DATA32
        pushfd
        and dword [esp], ~NT
        popfd
        mov word [system_tss], 0
        ret
user_tss:
.fault:
        call A_TSS:0
user_gate:
.fault:
        call GATE_A:0

; After the switch a fault belongs to the new task: TR is there, the old task is saved. Which segments the new task has by then
; differs between processors, so the handlers are tasks themselves.
%macro late 5           ; 'name', offset in the TSS, value, vector, error code
        tss32 task_a, no_entry
        mov dword [task_a + (%2)], %3
        catcher_task 0, TS
        catcher_task 1, NP
        catcher_task 2, GP
        catcher_task 3, UD
        catcher_task 4, SSF
        mov dword [caught_error], 0
        call A_TSS:0
        came %1, %4, %5
        mov eax, [seen_link]
        expect %strcat(%1, '-belongs-to-the-new-task'), A_TSS
        mov eax, [task_a + 0x20]
        expect %strcat(%1, '-eip'), no_entry
%endmacro
%macro catcher_task 2   ; number, vector
        tss32 catchers + (%1) * 104, catcher
        mov dword [catchers + (%1) * 104 + 0x34], %2                    ; EBX
        mov dword [catchers + (%1) * 104 + 0x2c], catchers + (%1) * 104 ; ECX
        descriptor CATCHERS + (%1) * 8, catchers + (%1) * 104, 103, 0x89
        mov dword [idt + (%2) * 8], (CATCHERS + (%1) * 8) << 16
        mov dword [idt + (%2) * 8 + 4], 0x8500
%endmacro
CATCHERS equ 0xb0
no_entry:
        ud2
catcher:
        mov [caught_vector], ebx
        cmp ebx, UD
        je .no_code
        pop dword [caught_error]
.no_code:
        movzx eax, word [ecx]
        mov [seen_link], eax
        and byte [wide_gdt + TASK_STATE + 5], ~BUSY
        and byte [wide_gdt + A_TSS + 5], ~BUSY
        jmp TASK_STATE:0

too_late:
        late 'ldt-is-data', 0x60, DATA32, TS, DATA32
        late 'ldt-in-ldt', 0x60, LDT_SEL | 4, TS, LDT_SEL | 4
        late 'code-is-data', 0x4c, DATA32, TS, DATA32
        late 'code-is-null', 0x4c, 0, TS, 0
        late 'stack-is-null', 0x50, 0, TS, 0
        late 'stack-is-code', 0x50, CODE32, TS, CODE32
        late 'stack-absent', 0x50, ABSENT_DATA, SSF, ABSENT_DATA
        late 'data-is-system', 0x54, A_TSS, TS, A_TSS
        late 'data-absent', 0x48, ABSENT_DATA, NP, ABSENT_DATA
        late 'eip-beyond-limit', 0x4c, CODE16, GP, 0
        late 'nothing-wrong', 0x60, LDT_SEL, UD, 0
        call idt_init
        ret

trap_flag:
        gate 1, .debug
        tss32 task_a, .in_a
        or word [task_a + 0x64], 1
        mov dword [seen_eip], 0
        xor eax, eax
        mov dr6, eax
        mov eax, 0x100000
        mov dr0, eax
        mov eax, 0x703                  ; L0, G0, LE
        mov dr7, eax
        call A_TSS:0
        mov eax, [seen_eip]
        expect 't-flag', .in_a
        mov eax, [seen_dr6]
        and eax, 0xe000
        expect 't-flag-dr6', 1 << 15
        mov eax, dr7
        and eax, 0xff
        expect 'switch-clears-l0', 2
        xor eax, eax
        mov dr7, eax
        ret
.in_a:  iret
.debug: push eax
        mov eax, dr6
        mov [seen_dr6], eax
        xor eax, eax
        mov dr6, eax
        mov eax, [esp + 4]
        mov [seen_eip], eax
        pop eax
        iret

section .data
kept_gate: dq 0
seen_eax:  dd 0
seen_flags: dd 0
seen_link: dd 0
seen_tr:   dd 0
seen_busy: dd 0
seen_cr0:  dd 0
seen_fs:   dd -1
seen_esp:  dd 0
seen_error: dd -1
seen_eip:  dd 0
seen_dr6:  dd 0
section .bss
alignb 16
task_a: resb 104
alignb 16
catchers: resb 104 * 5
alignb 16
task_b: resb 44
alignb 16
task_stack: resb 4096
task_stack_top:
