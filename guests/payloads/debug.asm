; Debug registers and single step (SDM 3B sections 18.2 and 18.3): instruction, data and I/O breakpoints, general detection,
; RF, what MOV SS holds back, repetitions, software interrupts, INT1.
%include "payload.inc"
%include "system.inc"

RW_EXECUTE      equ 0
RW_WRITE        equ 1
RW_IO           equ 2
RW_ACCESS       equ 3
%define slot(n, rw, len) ((2 << ((n) * 2)) | ((rw) << (16 + (n) * 4)) | (((len) - 1) << (18 + (n) * 4)))
GD              equ 1 << 13
CR4_DE          equ 1 << 3
TF              equ 1 << 8

main:   call system_init
        gate 1, debug_handler
        call instruction_breakpoints
        call data_breakpoints
        call port_breakpoints
        call general_detect
        call single_step
        call stack_segment_shadow
        call aliases
        ret

; #DB: counts, remembers the first of a series and the last, goes on with RF set when the exception was a fault (B0 alone on EXECUTE).
debug_handler:
        push eax
        inc dword [db_count]
        mov eax, [esp + 4]
        mov [db_eip], eax
        mov eax, [esp + 12]
        mov [db_eflags], eax
        mov eax, dr6
        mov [db_dr6], eax
        or [db_dr6_all], eax
        mov eax, dr7
        mov [db_dr7], eax
        mov eax, 0xffff0ff0
        mov dr6, eax
        mov eax, [esp + 4]
        xor eax, [db_trace]
        rol eax, 3
        add eax, 0x1234567
        mov [db_trace], eax
        pop eax
        cmp dword [db_resume], 0
        je .step_off
        or dword [esp + 8], 1 << 16
        iret
.step_off:
        cmp dword [db_keep_tf], 0
        jne .keep
        and dword [esp + 8], ~TF
.keep:  iret

%macro reset_db 0
        mov dword [db_count], 0
        mov dword [db_eip], 0
        mov dword [db_dr6], 0
        mov dword [db_dr6_all], 0
        mov dword [db_trace], 0
%endmacro
; dr index, value
%macro set_dr 2
        push eax
        mov eax, %2
        mov dr%1, eax
        pop eax
%endmacro

; seen 'name', count, DR6's causes, EIP
%macro seen 4
        push eax
        mov eax, [db_count]
        expect %1, %2
        mov eax, [db_dr6_all]
        and eax, 0xe00f
        expect %strcat(%1, '-dr6'), %3
        mov eax, [db_eip]
        expect %strcat(%1, '-eip'), %4
        pop eax
        reset_db
%endmacro

instruction_breakpoints:
        mov dword [db_resume], 1
        set_dr 0, .here
        set_dr 7, slot(0, RW_EXECUTE, 1)
        reset_db
        xor ebx, ebx
.here:  inc ebx
        inc ebx
        seen 'execute', 1, 1, .here
        mov eax, ebx
        expect 'execute-resumes', 2
        mov eax, [db_eflags]
        and eax, 1 << 16
        expect 'execute-pushes-rf-clear', 0

        ; a repetition is one instruction: once, before it starts
        set_dr 0, .repeat
        mov edi, buffer
        mov ecx, 5
        reset_db
.repeat:
        rep stosb
        seen 'execute-rep', 1, 1, .repeat
        mov eax, ecx
        expect 'execute-rep-completes', 0

        ; a loop to itself hits every time
        set_dr 0, .loop
        mov ecx, 4
        reset_db
.loop:  loop .loop
        seen 'execute-loop', 4, 1, .loop

        ; two at one place
        set_dr 0, .both
        set_dr 3, .both
        set_dr 7, slot(0, RW_EXECUTE, 1) | slot(3, RW_EXECUTE, 1)
        reset_db
.both:  nop
        seen 'execute-two', 1, 9, .both
        set_dr 7, 0
        mov dword [db_resume], 0
        ret

data_breakpoints:
        set_dr 1, buffer + 4
        set_dr 7, slot(1, RW_WRITE, 4)
        reset_db
        mov eax, [buffer + 4]
        seen 'read-under-write', 0, 0, 0
        mov dword [buffer + 4], 1
.w:     seen 'write', 1, 2, .w
        mov byte [buffer + 7], 1
.w7:    seen 'write-last-byte', 1, 2, .w7
        mov dword [buffer + 1], 1
.w1:    seen 'write-overlap-below', 1, 2, .w1
        mov dword [buffer], 1
        seen 'write-below', 0, 0, 0
        mov byte [buffer + 8], 1
        seen 'write-above', 0, 0, 0
        add dword [buffer + 4], 1
.rmw:   seen 'write-rmw', 1, 2, .rmw
        set_dr 7, slot(1, RW_ACCESS, 4)
        reset_db
        mov eax, [buffer + 6]
.r:     seen 'access-read', 1, 2, .r
        cmp dword [buffer + 4], 0
.c:     seen 'access-cmp', 1, 2, .c
        push dword [buffer + 4]
.p:     pop eax
        seen 'access-push', 1, 2, .p
        ; LEN counts, and the address's low bits do not
        set_dr 1, buffer + 5
        set_dr 7, slot(1, RW_WRITE, 2)
        reset_db
        mov byte [buffer + 4], 1
.m:     seen 'length-2-masks-the-address', 1, 2, .m
        mov byte [buffer + 6], 1
        seen 'length-2-ends', 0, 0, 0
        ; a repetition reports after the iteration
        set_dr 1, buffer + 8
        set_dr 7, slot(1, RW_WRITE, 1)
        mov edi, buffer
        mov ecx, 16
        reset_db
.rep:   rep stosb
        seen 'rep-write', 1, 2, .rep
        mov eax, ecx
        expect 'rep-write-completes', 0
        ; an instruction that faults has touched nothing
        set_dr 1, buffer
        set_dr 7, slot(1, RW_ACCESS, 4)
        reset_db
        xor edx, edx
        mov dword [fault_divisor], 0
        catch_here
        div dword [fault_divisor]
        caught 'fault-with-breakpoints-armed', 0, 0
        seen 'fault-is-not-reported', 0, 0, 0
        ; two at once
        set_dr 0, buffer
        set_dr 7, slot(0, RW_WRITE, 1) | slot(1, RW_WRITE, 4)
        reset_db
        mov dword [buffer], 5
.two:   seen 'write-two', 1, 3, .two
        set_dr 7, 0
        ret

port_breakpoints:
        mov eax, cr4
        or eax, CR4_DE
        mov cr4, eax
        set_dr 2, 0x80
        set_dr 7, slot(2, RW_IO, 1)
        reset_db
        out 0x80, al
.out:   seen 'port-out', 1, 4, .out
        in al, 0x80
.in:    seen 'port-in', 1, 4, .in
        in al, 0x61
        seen 'port-other', 0, 0, 0
        mov edx, 0x80
        mov esi, buffer
        mov ecx, 3
        reset_db
        rep outsb
.outs:  seen 'port-outs', 3, 4, .outs
        mov eax, [buffer + 0x80]        ; memory at the port's number is no port
        seen 'port-not-memory', 0, 0, 0
        set_dr 7, 0
        catch_here
        mov eax, dr4
        caught 'dr4-with-de', UD, 0
        mov eax, cr4
        and eax, ~CR4_DE
        mov cr4, eax
        ret

general_detect:
        set_dr 7, GD
        reset_db
        mov eax, dr0                    ; the handler finds GD clear, so that it can look itself; MOV is then restarted
.after: mov eax, [db_count]
        expect 'general-detect', 1
        mov eax, [db_dr6_all]
        and eax, 0xe00f
        expect 'general-detect-dr6', 1 << 13
        mov eax, [db_dr7]
        and eax, GD
        expect 'general-detect-off-in-handler', 0
        ret

; traced: TF on for what follows; the trap comes behind the instruction after POPFD
%macro trace_on 0
        reset_db
        mov dword [db_keep_tf], 1
        pushfd
        or dword [esp], TF
        popfd
%endmacro
%macro trace_off 0
        pushfd
        and dword [esp], ~TF
        popfd
        nop
        mov dword [db_keep_tf], 0
%endmacro

single_step:
        mov ecx, 3
        mov edi, buffer
        trace_on
        rep stosb                       ; three iterations, three traps
        trace_off                       ; and three more: PUSHFD, AND, POPFD
        mov eax, [db_count]
        expect 'step-rep-each-iteration', 6
        trace_on
        nop
        trace_off
        mov eax, [db_count]
        expect 'step-nop', 4
        mov eax, [db_dr6_all]
        and eax, 0xe00f
        expect 'step-dr6', 1 << 14

        ; INT n goes through its gate without a trap; the handler returns to TF, and the trap is behind the instruction after
        gate 0x50, .interrupt
        trace_on
        int 0x50
.int:   nop
        trace_off
        mov eax, [db_count]
        expect 'step-int', 4
        ; a fault: no step of the faulting instruction
        mov dword [caught_vector], -1
        mov dword [resume], .faulted
        trace_on
        ud2
.faulted:
        mov dword [resume], 0
        mov dword [db_keep_tf], 0
        mov eax, [db_count]
        expect 'step-fault', 0
        mov eax, [caught_eflags]
        and eax, TF | (1 << 16)
        expect 'fault-pushes-tf-and-rf', TF | (1 << 16)
        ; a data breakpoint and a step are one exception
        set_dr 1, buffer
        set_dr 7, slot(1, RW_WRITE, 4)
        trace_on
        mov dword [buffer], 1
        trace_off
        set_dr 7, 0
        mov eax, [db_count]
        expect 'step-and-write', 4
        mov eax, [db_dr6_all]
        and eax, 0xe00f
        expect 'step-and-write-dr6', (1 << 14) | 2
        ; IRET that sets TF: the instruction after it is stepped over
        reset_db
        pushfd
        or dword [esp], TF
        push dword CODE32
        push dword .returned
        iret
.returned:
        nop
.after: mov eax, [db_eip]
        expect 'step-after-iret', .after
        ; PUSHF shows TF, POPF takes it away at once
        reset_db
        mov dword [db_keep_tf], 1
        pushfd
        or dword [esp], TF
        popfd
        pushfd
        pop ebx
        mov dword [db_keep_tf], 0
        nop
        mov eax, ebx
        and eax, TF
        expect 'step-pushf-shows-tf', TF
        ; INT1: no cause in DR6
        reset_db
        db 0xf1
.int1:  seen 'int1', 1, 0, .int1
        ret
.interrupt:
        iret

stack_segment_shadow:
        ; TF: the instruction behind MOV SS runs before the trap
        mov ecx, DATA32
        trace_on
        mov ss, ecx
        nop
        trace_off
        mov eax, [db_count]
        expect 'step-mov-ss', 4         ; one for both, then PUSHFD, AND, POPFD
        ; a data breakpoint on the operand of MOV SS waits as well
        mov word [buffer], DATA32
        set_dr 1, buffer
        set_dr 7, slot(1, RW_ACCESS, 2)
        reset_db
        mov ss, [buffer]
        nop
.late:  seen 'mov-ss-data', 1, 2, .late
        set_dr 7, 0
        ret

aliases:
        set_dr 7, 0
        mov eax, dr7
        expect 'dr7-fixed', 0x400
        mov eax, dr5
        expect 'dr5-is-dr7', 0x400
        mov eax, 0
        mov dr6, eax
        mov eax, dr6
        and eax, 0xfffe17ff             ; bits 11 and 16 are newer than some of the processors this runs on
        expect 'dr6-fixed', 0xfffe07f0
        in_user .user
        mov eax, [caught_vector]
        expect 'user-reads-dr', GP
        ret
.user:  mov eax, dr0


section .data
db_count:   dd 0
db_eip:     dd 0
db_eflags:  dd 0
db_dr6:     dd 0
db_dr6_all: dd 0
db_dr7:     dd 0
db_trace:   dd 0
db_resume:  dd 0
db_keep_tf: dd 0
fault_divisor: dd 0
section .bss
alignb 4096
buffer: resb 4096
