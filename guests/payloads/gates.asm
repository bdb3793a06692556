; Call, interrupt and trap gates, conforming code, far returns (SDM 3A sections 5.8 and 6.12): which level, which stack, which
; parameters, and which exception with which error code when something is wrong.
%include "payload.inc"
%include "system.inc"

GATE32          equ 0x60        ; 3 parameters, to ring 0, DPL 3
GATE16          equ 0x68        ; 2 parameters, 16-bit
GATE_DPL0       equ 0x70
GATE_ABSENT     equ 0x78
GATE_DATA       equ 0x80        ; names a data segment
GATE_CONFORMING equ 0x88
GATE_TO_ABSENT  equ 0x90        ; names an absent code segment
CONFORMING      equ 0x98        ; code, DPL 0, conforming
ABSENT_CODE     equ 0xa0
GATE_USER       equ 0xa8        ; names code of level 3
GATE_LONG_WAY   equ 0xb0        ; offset beyond the limit
SMALL_CODE      equ 0xb8        ; limit 0xfff
CONFORMING_USER equ 0xc0        ; conforming, DPL 3
USER_BASED      equ 0xe0        ; code of level 3 from 1 MiB on, within reach of a 16-bit gate
SMALL_STACK     equ 0xc8        ; data, limit 15
GATE_CODE16     equ 0xd0        ; to ring 0 through the 16-bit gate

; int_gate vector, offset, selector, access byte
%macro int_gate 4
        push eax
        mov eax, %2
        mov [idt + (%1) * 8], ax
        mov word [idt + (%1) * 8 + 2], %3
        mov word [idt + (%1) * 8 + 4], (%4) << 8
        shr eax, 16
        mov [idt + (%1) * 8 + 6], ax
        pop eax
%endmacro
; user_ends 'name', label: runs to its UD2
%macro user_ends 2
        in_user %2
        mov eax, [caught_vector]
        expect %1, UD
%endmacro

main:   call system_init
        descriptor CONFORMING, 0, 0xfffff, 0xc09f
        descriptor CONFORMING_USER, 0, 0xfffff, 0xc0ff
        descriptor USER_BASED, 0x100000, 0xffff, 0x40fb
        descriptor ABSENT_CODE, 0, 0xfffff, 0xc01b
        descriptor SMALL_CODE, 0, 0xfff, 0x409b
        descriptor SMALL_STACK, 0, 15, 0x4093
        call_gate GATE32, CODE32, .gate32, 0xec, 3
        call_gate GATE16, GATE_CODE16, gate16 - 0x100000, 0xe4, 2
        call_gate GATE_DPL0, CODE32, .gate32, 0x8c, 0
        call_gate GATE_ABSENT, CODE32, .gate32, 0x6c, 0
        call_gate GATE_DATA, DATA32, .gate32, 0xec, 0
        call_gate GATE_CONFORMING, CONFORMING, .conforming, 0xec, 0
        call_gate GATE_TO_ABSENT, ABSENT_CODE, .gate32, 0xec, 0
        call_gate GATE_USER, USER_CODE32, .gate32, 0xec, 0
        call_gate GATE_LONG_WAY, SMALL_CODE, 0x1000, 0xec, 0
        descriptor GATE_CODE16, 0x100000, 0xffff, 0x409b
        call inwards
        call refused
        call bad_stacks
        call outwards
        call interrupts
        call beyond_limits
        ret

.gate32:
        mov eax, DATA32                 ; DS is null: IRET took it away on the way to ring 3
        mov ds, eax
        mov eax, [esp]
        mov [seen_eip], eax
        mov eax, [esp + 4]
        mov [seen_cs], eax
        mov eax, [esp + 8]
        mov [seen_parameters], eax
        mov eax, [esp + 12]
        mov [seen_parameters + 4], eax
        mov eax, [esp + 16]
        mov [seen_parameters + 8], eax
        mov eax, [esp + 20]
        mov [seen_esp], eax
        mov eax, [esp + 24]
        mov [seen_ss], eax
        mov [seen_own_esp], esp
        mov eax, ss
        mov [seen_own_ss], eax
        mov eax, cs
        mov [seen_own_cs], eax
        retf 12
.conforming:
        mov eax, cs
        retf

; A frame of words: IP, CS, two parameters, SP, SS
gate16: mov eax, DATA32
        mov ds, eax
        mov ax, [esp]
        mov [seen_eip], ax
        mov eax, [esp + 4]
        mov [seen_parameters], eax
        mov ax, [esp + 8]
        mov [seen_esp], ax
        mov [seen_own_esp], esp
        o16 retf 4

inwards:
        user_ends 'call-gate-32', .call
        mov eax, [seen_cs]
        expect 'gate-pushes-cs', USER_CODE32
        mov eax, [seen_eip]
        expect 'gate-pushes-eip', .called
        mov eax, [seen_parameters]
        expect 'gate-copies-parameter-1', 0x33333333
        mov eax, [seen_parameters + 8]
        expect 'gate-copies-parameter-3', 0x11111111
        mov eax, [seen_esp]
        expect 'gate-pushes-esp', user_stack_top - 12
        mov eax, [seen_ss]
        expect 'gate-pushes-ss', USER_DATA32
        mov eax, [seen_own_esp]
        expect 'gate-stack-from-tss', inner_stack_top - 28
        mov eax, [seen_own_cs]
        expect 'gate-cs-has-the-new-level', CODE32
        mov eax, [seen_own_ss]
        expect 'gate-ss-from-tss', DATA32
        mov eax, ebx
        expect 'retf-releases-parameters-on-both-stacks', user_stack_top
        mov eax, edx
        expect 'retf-drops-data-segments', 0
        mov eax, esi
        expect 'retf-keeps-user-segments', USER_DATA32
        mov dword [seen_eip], 0
        mov dword [seen_esp], 0
        user_ends 'call-gate-16', .call16
        mov eax, [seen_eip]
        add eax, 0x100000
        expect 'gate-16-pushes-ip', .called16
        mov eax, [seen_parameters]
        expect 'gate-16-copies-words', 0x33333344
        mov eax, [seen_own_esp]
        expect 'gate-16-frame', inner_stack_top - 12
        ; ring 0 through the same gate: no change of stack, no parameters
        mov [saved_esp], esp
        call GATE_DPL0:0
.same:  mov esp, [saved_esp]            ; RETF released 12 bytes too many here
        mov eax, [seen_eip]
        expect 'same-level-pushes-eip', .same
        mov eax, [seen_own_esp]
        sub eax, [saved_esp]
        expect 'same-level-keeps-the-stack', -8
        ; conforming code at the caller's level
        user_ends 'call-conforming', .to_conforming
        mov eax, ebx
        expect 'conforming-runs-at-level-3', CONFORMING | 3
        user_ends 'call-gate-to-conforming', .gate_to_conforming
        mov eax, ebx
        expect 'gate-to-conforming-runs-at-level-3', CONFORMING | 3
        user_ends 'jmp-gate-to-conforming', .jump_gate
        user_ends 'call-conforming-of-level-3', .conforming_user
        catch_here
        call CONFORMING_USER:0
        caught 'level-0-calls-conforming-of-level-3', GP, CONFORMING_USER
        ret
.call:  mov eax, USER_DATA32
        mov es, eax
        mov eax, CONFORMING_DATA
        mov fs, eax
        push dword 0x11111111
        push dword 0x22222222
        push dword 0x33333333
        call GATE32:0
.called:
        mov ebx, esp
        mov edx, ds
        mov esi, es
        ud2
.call16: push dword 0x33333344
        jmp USER_BASED | 3:.based - 0x100000
.based: call GATE16:0
.called16:
        ud2
.to_conforming:
        call CONFORMING:.conf
        mov ebx, eax
        ud2
.conf:  mov eax, cs
        retf
.gate_to_conforming:
        call GATE_CONFORMING:0
        mov ebx, eax
        ud2
.jump_gate:
        push cs
        push dword .jumped
        jmp GATE_CONFORMING:0
.jumped:
        ud2
.conforming_user:
        call CONFORMING_USER:.conf
        ud2
CONFORMING_DATA equ USER_DATA32

refused:
        user_fault 'gate-dpl-below-cpl', GP, GATE_DPL0, f_dpl0
        user_fault 'gate-rpl-above-dpl', GP, GATE_DPL0, f_rpl
        user_fault 'gate-absent', NP, GATE_ABSENT, f_absent
        user_fault 'gate-to-data', GP, DATA32, f_data
        user_fault 'gate-to-absent-code', NP, ABSENT_CODE, f_to_absent
        user_fault 'jmp-gate-inwards', GP, CODE32, f_jmp
        user_fault 'direct-call-inwards', GP, CODE32, f_direct
        user_fault 'direct-call-to-data', GP, USER_DATA32 & ~3, f_todata
        user_fault 'direct-call-null', GP, 0, f_null
        user_fault 'direct-call-beyond-gdt', GP, 0xff8, f_beyond
        catch_here
        call GATE_USER:0
        caught 'gate-outwards', GP, USER_CODE32 & ~3
        catch_here
        call USER_CODE32:0
        caught 'direct-call-outwards', GP, USER_CODE32 & ~3
        catch_here
        call ABSENT_CODE:0
        caught 'direct-call-absent', NP, ABSENT_CODE
        catch_here
        jmp CODE32 | 3:0
        caught 'direct-rpl-above-cpl', GP, CODE32
        ret
f_dpl0:
.fault: call GATE_DPL0:0
f_rpl:
.fault: call GATE_DPL0 | 3:0
f_absent:
.fault: call GATE_ABSENT:0
f_data:
.fault: call GATE_DATA:0
f_to_absent:
.fault: call GATE_TO_ABSENT:0
f_jmp:
.fault: jmp GATE32:0
f_limit:
.fault: call GATE_LONG_WAY:0
f_direct:
.fault: call CODE32:0
f_todata:
.fault: call USER_DATA32:0
f_null:
.fault: call 3:0
f_beyond:
.fault: call 0xff8:0

; The stack that the TSS gives is wrong. The exception needs one too, so its handler is a task.
%macro bad_stack 5      ; 'name', SS, ESP, vector, error code
        mov dword [system_tss + 4], %3
        mov dword [system_tss + 8], %2
        catcher %4
        mov dword [caught_vector], -1
        mov dword [caught_error], 0
        mov dword [catch_resume], %%back
        mov [ring0_esp], esp
        push dword USER_DATA32
        push dword user_stack_top
        push dword 2
        push dword USER_CODE32
        push dword .user
        iret
%%back: mov eax, [caught_vector]
        expect %1, %4
        mov eax, [caught_error]
        expect %strcat(%1, '-error'), %5
        call idt_init
%endmacro
%macro catcher 1
        mov dword [idt + (%1) * 8], CATCHER << 16
        mov dword [idt + (%1) * 8 + 4], 0x8500
        mov dword [catcher_tss + 0x34], %1
        call make_catcher
%endmacro
CATCHER equ 0xd8
make_catcher:
        descriptor CATCHER, catcher_tss, 103, 0x89
        mov dword [catcher_tss + 0x20], .caught
        mov dword [catcher_tss + 0x24], 2
        mov dword [catcher_tss + 0x38], catcher_stack_top
        mov dword [catcher_tss + 0x48], DATA32
        mov dword [catcher_tss + 0x4c], CODE32
        mov dword [catcher_tss + 0x50], DATA32
        mov dword [catcher_tss + 0x54], DATA32
        mov dword [catcher_tss + 0x58], DATA32
        mov dword [catcher_tss + 0x5c], DATA32
        ret
.caught:
        mov [caught_vector], ebx
        pop dword [caught_error]
        pushfd
        and dword [esp], ~(1 << 14)
        popfd
        and byte [wide_gdt + TASK_STATE + 5], ~2
        mov eax, TASK_STATE
        ltr ax
        mov esp, [ring0_esp]
        jmp [catch_resume]

bad_stacks:
        bad_stack 'inner-stack-null', 0, inner_stack_top, TS, 0
        bad_stack 'inner-stack-is-code', CODE32, inner_stack_top, TS, CODE32
        bad_stack 'inner-stack-of-level-3', USER_DATA32, inner_stack_top, TS, USER_DATA32 & ~3
        bad_stack 'inner-stack-beyond-gdt', 0xff0, inner_stack_top, TS, 0xff0
        bad_stack 'inner-stack-absent', ABSENT_DATA, inner_stack_top, SSF, ABSENT_DATA
        bad_stack 'inner-stack-too-small', SMALL_STACK, 0x100, SSF, SMALL_STACK
        mov dword [system_tss + 4], inner_stack_top
        mov dword [system_tss + 8], DATA32
        ret
.user:  call GATE32:0
        ud2

; returns: 'name', selector, offset, SS, vector, error code
%macro far_return 6
        push dword %4
        push dword user_stack_top
        push dword %2
        push dword %3
        mov [saved_esp], esp
        catch_here
        retf
        caught %1, %5, %6
        mov eax, esp
        expect %strcat(%1, '-keeps-esp'), [saved_esp]
        add esp, 16
%endmacro
%macro interrupt_return 6
        push dword %4
        push dword user_stack_top
        push dword 2
        push dword %2
        push dword %3
        catch_here
        iret
        caught %1, %5, %6
        add esp, 20
%endmacro
%macro both 6
        far_return %strcat('retf-', %1), %2, %3, %4, %5, %6
        interrupt_return %strcat('iret-', %1), %2, %3, %4, %5, %6
%endmacro

outwards:
        both 'null-code', 0, user_target, USER_DATA32, GP, 0
        both 'code-is-data', DATA32, user_target, USER_DATA32, GP, DATA32
        both 'code-absent', ABSENT_CODE, user_target, USER_DATA32, NP, ABSENT_CODE
        both 'rpl-not-dpl', CODE32 | 3, user_target, USER_DATA32, GP, CODE32
        both 'stack-null', USER_CODE32, user_target, 0, GP, 0
        both 'stack-is-code', USER_CODE32, user_target, USER_CODE32, GP, USER_CODE32 & ~3
        both 'stack-of-level-0', USER_CODE32, user_target, DATA32, GP, DATA32
        both 'stack-absent', USER_CODE32, user_target, ABSENT_DATA | 3, GP, ABSENT_DATA
        both 'conforming-above-rpl', CONFORMING_USER, user_target, USER_DATA32, GP, CONFORMING_USER
        both 'beyond-gdt', 0xff8, user_target, USER_DATA32, GP, 0xff8
        user_fault 'retf-inwards', GP, CODE32, r_inwards
        user_fault 'iret-inwards', GP, CODE32, r_iret
        ; to conforming code of level 0, at level 3
        mov dword [resume], .back
        mov [ring0_esp], esp
        push dword USER_DATA32
        push dword user_stack_top
        push dword CONFORMING | 3
        push dword .at_level_3
        retf 0
.back:  mov dword [resume], 0
        mov eax, [caught_cs]
        expect 'retf-to-conforming', CONFORMING | 3
        ; IRET writes IF and IOPL by the level it runs at
        mov dword [user_eflags], 2
        in_user .iret_flags
        mov eax, [caught_vector]
        expect 'iret-at-level-3', UD
        mov eax, [caught_eflags]
        and eax, 0x3200
        expect 'iret-at-level-3-keeps-iopl-and-if', 0
        mov dword [user_eflags], 0x3002
        in_user .popf
        mov eax, [caught_eflags]
        and eax, 0x3200
        expect 'popf-at-iopl-3-writes-if', 0x3200
        mov dword [user_eflags], 2
        ret
.at_level_3:
        ud2
.iret_flags:
        push dword 0x3202
        push cs
        push dword .there
        iret
.there: ud2
.popf:  push dword 0x0202
        popfd
        ud2
user_target:
        ud2
r_inwards:
        push dword CODE32
        push dword user_target
.fault: retf
r_iret: push dword 2
        push dword CODE32
        push dword user_target
.fault: iret

interrupts:
        int_gate 0x50, .handler, CODE32, 0xee
        user_ends 'int-inwards', .int
        mov eax, [seen_own_esp]
        expect 'int-frame', inner_stack_top - 20
        int_gate 0x50, .handler, CODE32, 0xef
        user_ends 'trap-gate', .int
        int_gate 0x50, .handler16 - 0x100000, GATE_CODE16, 0xe6
        user_ends 'int-gate-16', .int16
        int_gate 0x51, .handler, CODE32, 0x8e
        user_fault 'int-dpl', GP, 0x51 * 8 + 2, i_dpl
        int_gate 0x51, .handler, CODE32, 0x6e
        user_fault 'int-absent', NP, 0x51 * 8 + 2, i_dpl
        int_gate 0x51, .handler, 0, 0xee
        user_fault 'int-null-code', GP, 0, i_dpl
        int_gate 0x51, .handler, DATA32, 0xee
        user_fault 'int-data', GP, DATA32, i_dpl
        int_gate 0x51, .handler, ABSENT_CODE, 0xee
        user_fault 'int-absent-code', NP, ABSENT_CODE, i_dpl
        int_gate 0x51, .handler, CODE32, 0xec
        user_fault 'int-call-gate', GP, 0x51 * 8 + 2, i_dpl
        int_gate 0x51, .handler, USER_CODE32, 0xee
        catch_here
        int 0x51
        caught 'int-outwards', GP, USER_CODE32 & ~3
        int_gate 0x51, .in_conforming, CONFORMING, 0xee
        user_ends 'int-conforming', .int51
        mov eax, ebx
        expect 'int-conforming-runs-at-level-3', CONFORMING | 3
        ; an exception whose gate is absent: EXT is set
        int_gate 6, exception_stubs + 6 * 16, CODE32, 0x0e
        mov dword [caught_vector], -1
        mov dword [resume], .np
        ud2
.np:    mov dword [resume], 0
        mov eax, [caught_vector]
        expect 'exception-gate-absent', NP
        mov eax, [caught_error]
        expect 'exception-gate-absent-error', 6 * 8 + 3
        int_gate 6, exception_stubs + 6 * 16, 0x1230, 0x8e
        mov dword [resume], .gp
        ud2
.gp:    mov dword [resume], 0
        mov eax, [caught_error]
        expect 'exception-gate-code-error', 0x1231
        call idt_init
        ret
.handler:
        mov [ss:seen_own_esp], esp
        iret
.handler16:
        o16 iret
.in_conforming:
        mov ebx, cs
        iret
.int:   int 0x50
        ud2
.int16: jmp USER_BASED | 3:.based - 0x100000
.based: int 0x50
        ud2
.int51: int 0x51
        ud2
i_dpl:
.fault: int 0x51

; Last, because QEMU's TCG does not look at the limit and is gone then
beyond_limits:
        user_fault 'gate-offset-beyond-limit', GP, 0, f_limit
        catch_here
        call SMALL_CODE:0x1000
        caught 'direct-call-beyond-limit', GP, 0
        both 'offset-beyond-limit', SMALL_CODE, 0x1000, USER_DATA32, GP, 0
        int_gate 0x51, 0x1000, SMALL_CODE, 0xee
        user_fault 'int-beyond-limit', GP, 0, i_dpl
        call idt_init
        ret

section .data
seen_eip: dd 0
seen_cs: dd 0
seen_parameters: dd 0, 0, 0
seen_esp: dd 0
seen_ss: dd 0
seen_own_esp: dd 0
seen_own_ss: dd 0
seen_own_cs: dd 0
seen_word: dd 0
saved_esp: dd 0
catch_resume: dd 0
section .bss
alignb 16
catcher_tss: resb 104
catcher_stack: resb 1024
catcher_stack_top:
