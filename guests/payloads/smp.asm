; A second core: started with INIT and SIPI (SDM 3A section 8.4.4), interrupts both ways, and the LOCK prefix. Needs at
; least two cores; with one, the first check fails.
%include "payload.inc"
%include "apic.inc"

TRAMPOLINE      equ 0x8000              ; SIPI vector 0x08: the core starts at 0800:0000
VECTOR_PING     equ 0x40
VECTOR_PONG     equ 0x41
ROUNDS          equ 1000
INCREMENTS      equ 5000
PASSES          equ 400
PATIENCE        equ 20000000            ; rounds of a waiting loop

; Waits until [address] is at least a number. EAX: 1 when it came to that.
%macro await_at_least 2
        mov ecx, PATIENCE
%%wait: pause
        mov eax, [%1]
        cmp eax, %2
        jae %%there
        dec ecx
        jnz %%wait
%%there:
        cmp eax, %2
        setae al
        movzx eax, al
%endmacro

main:
        gate VECTOR_PING, ping
        gate VECTOR_PONG, pong
        gate SPURIOUS_VECTOR, spurious
        call pic_init
        call apic_on
        mov eax, [APIC_ID]
        mov [boot_apic_id], eax
        call start
        cmp dword [second_alive], 0
        je .alone
        call ping_pong
        call atomic
        call spinlock
        call compare_exchange
        call cross_modify
        call waiting
        call stop_and_start
.alone: ret

; INIT, 10 ms, SIPI, a little while, SIPI again if need be
start_second:
        mov esi, trampoline
        mov edi, TRAMPOLINE
        mov ecx, trampoline_end - trampoline
        rep movsb
        mov dword [APIC_ICR_LOW], ICR_ALL_OTHERS | ICR_INIT | ICR_ASSERT
        call wait_10_ms
        mov dword [APIC_ICR_LOW], ICR_ALL_OTHERS | ICR_STARTUP | ICR_ASSERT | (TRAMPOLINE >> 12)
        call wait_10_ms
        cmp dword [second_alive], 0
        jne .end
        mov dword [APIC_ICR_LOW], ICR_ALL_OTHERS | ICR_STARTUP | ICR_ASSERT | (TRAMPOLINE >> 12)
.end:   ret

start:
        call start_second
        await_at_least second_alive, 1
        expect 'second-core-starts', 1
        cmp dword [second_alive], 0
        je .end
        mov eax, [second_cs_ip]
        expect 'starts-at-the-vector', TRAMPOLINE << 12
        mov eax, [second_apic_id]
        cmp eax, [boot_apic_id]
        setne al
        movzx eax, al
        expect 'has-an-id-of-its-own', 1
        mov eax, [second_cr0]
        and eax, CR0_PE | CR0_PG
        expect 'starts-in-real-mode', 0
        mov eax, [second_bsp]
        expect 'is-not-the-bootstrap-processor', 0
        mov ecx, 0x1b
        rdmsr
        shr eax, 8
        and eax, 1
        expect 'we-are-the-bootstrap-processor', 1
        ; One write to the ICR at a time; SIPI to a running core is ignored
        mov dword [APIC_ICR_LOW], ICR_ALL_OTHERS | ICR_STARTUP | ICR_ASSERT | (TRAMPOLINE >> 12)
        call wait_10_ms
        mov eax, [starts]
        expect 'sipi-to-a-running-core-is-ignored', 1
.end:   ret

; ---- 1000 interrupts there and back ----

ping_pong:
        mov eax, [second_apic_id]
        mov [APIC_ICR_HIGH], eax
        sti
        mov dword [APIC_ICR_LOW], ICR_ASSERT | VECTOR_PING      ; each pong sends the next ping
        await_at_least pongs, ROUNDS
        cli
        expect 'ping-pong', 1
        mov eax, [pings]
        expect 'pings', ROUNDS
        mov eax, [pongs]
        expect 'pongs', ROUNDS
        ret

; On the second core
ping:   push eax
        inc dword [pings]
        mov eax, [boot_apic_id]
        mov [APIC_ICR_HIGH], eax
        mov dword [APIC_EOI], 0
        mov dword [APIC_ICR_LOW], ICR_ASSERT | VECTOR_PONG
        pop eax
        iret

; On the first core
pong:   push eax
        inc dword [pongs]
        mov dword [APIC_EOI], 0
        cmp dword [pongs], ROUNDS
        jae .end
        mov eax, [second_apic_id]
        mov [APIC_ICR_HIGH], eax
        mov dword [APIC_ICR_LOW], ICR_ASSERT | VECTOR_PING
.end:   pop eax
        iret

spurious:
        iret

; ---- Work for both cores: the second runs the routine in [job], and says so in [jobs_done] ----

%macro both 1
        mov dword [jobs_done], 0
        mov dword [job], %1
        call %1
        await_at_least jobs_done, 1
%endmacro

atomic:
        both add_atomically
        expect 'both-cores-finish', 1
        mov eax, [counter]
        expect 'lock-inc', INCREMENTS * 2
        mov eax, [counter + 4]
        expect 'lock-xadd', INCREMENTS * 2
        mov eax, [tickets_wrong]
        expect 'xadd-gives-every-ticket-once', 0
        ret

add_atomically:
        mov ecx, INCREMENTS
.next:  lock inc dword [counter]
        mov eax, 1
        lock xadd [counter + 4], eax
        lock bts [tickets_taken], eax
        jnc .fresh
        lock inc dword [tickets_wrong]
.fresh: dec ecx
        jnz .next
        ret

spinlock:
        both add_under_lock
        mov eax, [guarded]
        expect 'spinlock', INCREMENTS * 2
        ret

add_under_lock:
        mov ecx, INCREMENTS
.next:  mov eax, 1
.try:   xchg eax, [lock_word]   ; LOCK is implied (SDM 3A section 8.1.2.1)
        test eax, eax
        jz .mine
.busy:  pause
        cmp dword [lock_word], 0
        jne .busy
        mov eax, 1
        jmp .try
.mine:  inc dword [guarded]     ; without LOCK: the spinlock protects it
        mov dword [lock_word], 0
        dec ecx
        jnz .next
        ret

compare_exchange:
        both add_by_compare_exchange
        mov eax, [exchanged]
        expect 'cmpxchg8b-low', INCREMENTS * 2
        mov eax, [exchanged + 4]
        expect 'cmpxchg8b-high', INCREMENTS * 2
        ret

; Both halves of a quadword are increased as one
add_by_compare_exchange:
        mov esi, INCREMENTS
.next:  mov eax, [exchanged]
        mov edx, [exchanged + 4]
.try:   lea ebx, [eax + 1]
        lea ecx, [edx + 1]
        lock cmpxchg8b [exchanged]
        jnz .try
        dec esi
        jnz .next
        ret

; Code changed by one core for another, with the handshake of SDM 3A section 8.1.3
cross_modify:
        mov dword [jobs_done], 0
        mov dword [job], run_modified
        mov ebx, 1
.next:  mov [modified + 1], ebx
        mov [version], ebx
        push ebx
        await_at_least version_seen, ebx
        pop ebx
        test eax, eax
        jz .end
        inc ebx
        cmp ebx, 100
        jbe .next
.end:   mov dword [version], 0xffffffff
        await_at_least jobs_done, 1
        mov eax, [version_sum]
        expect 'cross-modified-code', 100 * 101 / 2
        ret

run_modified:
        mov esi, 1
.wait:  pause
        mov eax, [version]
        cmp eax, 0xffffffff
        je .end
        cmp eax, esi
        jne .wait
        push ebx
        xor eax, eax
        cpuid                   ; the serialising instruction that the handshake asks for
        pop ebx
        call modified
        add [version_sum], eax
        mov [version_seen], esi
        inc esi
        jmp .wait
.end:   ret
modified:
        mov eax, 0
        ret

; Each core waits for the other's store, with MONITOR and MWAIT (SDM 3A section 9.10.4): no store may be missed
waiting:
        mov eax, 1
        cpuid
        bt ecx, 3
        jnc .absent
        mov dword [ball], 0
        mov dword [jobs_done], 0
        mov dword [job], return_odd
        mov ebx, 0
.next:  mov eax, ebx
        call wait_for_ball
        inc dword [ball]
        add ebx, 2
        cmp ebx, PASSES
        jb .next
        mov eax, PASSES
        call wait_for_ball
        mov eax, [ball]
        expect 'monitor-mwait', PASSES
        await_at_least jobs_done, 1
        ret
.absent:
        print `skip monitor-mwait\n`
        ret

; On the second core
return_odd:
        mov ebx, 1
.next:  mov eax, ebx
        call wait_for_ball
        inc dword [ball]
        add ebx, 2
        cmp ebx, PASSES
        jb .next
        ret

; EAX: the value to wait for
wait_for_ball:
        mov edi, eax
.look:  mov eax, ball
        xor ecx, ecx
        xor edx, edx
        monitor
        cmp [ball], edi         ; what was stored before MONITOR wakes nobody
        je .there
        xor eax, eax
        mwait
        cmp [ball], edi
        jne .look
.there: ret

; INIT stops it wherever it is; SIPI starts it again
stop_and_start:
        mov dword [APIC_ICR_LOW], ICR_ALL_OTHERS | ICR_INIT | ICR_ASSERT
        call wait_10_ms
        mov eax, [heartbeat]
        mov [saved], eax
        call wait_10_ms
        mov eax, [heartbeat]
        sub eax, [saved]
        expect 'init-stops-the-core', 0
        mov dword [second_alive], 0
        call start_second
        await_at_least second_alive, 1
        expect 'starts-again', 1
        mov eax, [starts]
        expect 'started-twice', 2
        mov dword [APIC_ICR_LOW], ICR_ALL_OTHERS | ICR_INIT | ICR_ASSERT
        ret

; ---- The second core ----

section .data
align 16
bits 16
trampoline:
        cli
        call .here
.here:  pop bx
        sub bx, .here - trampoline
        mov cx, cs
        xor ax, ax
        mov ds, ax
        mov eax, cr0
        mov edx, eax
        o32 lgdt [TRAMPOLINE + (.gdt - trampoline)]
        or eax, CR0_PE
        mov cr0, eax
        jmp dword CODE32:second
.gdt:   dw gdt_end - gdt - 1
        dd gdt
trampoline_end:
bits 32
section .text

second:
        mov eax, DATA32
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov esp, second_stack_top
        shl ecx, 16
        mov cx, bx
        mov [second_cs_ip], ecx
        mov [second_cr0], edx
        lidt [idt_register]
        mov ecx, 0x1b
        rdmsr
        shr eax, 8
        and eax, 1
        mov [second_bsp], eax
        call apic_on
        mov eax, [APIC_ID]
        mov [second_apic_id], eax
        inc dword [starts]
        mov dword [second_alive], 1
        sti
.wait:  pause
        inc dword [heartbeat]
        xor eax, eax            ; take the job, so that it is done once
        xchg eax, [job]
        test eax, eax
        jz .wait
        call eax
        mov dword [jobs_done], 1
        jmp .wait

section .bss
alignb 64
boot_apic_id:   resd 1
second_apic_id: resd 1
second_alive:   resd 1
second_cs_ip:   resd 1
second_cr0:     resd 1
second_bsp:     resd 1
starts:         resd 1
saved:          resd 1
alignb 64
heartbeat:      resd 1
pings:          resd 1
pongs:          resd 1
alignb 64
ball:           resd 1
alignb 64
job:            resd 1
jobs_done:      resd 1
alignb 64
counter:        resd 2
tickets_wrong:  resd 1
alignb 64
lock_word:      resd 1
alignb 64
guarded:        resd 1
alignb 64
exchanged:      resq 1
alignb 64
version:        resd 1
version_seen:   resd 1
version_sum:    resd 1
alignb 64
tickets_taken:  resb INCREMENTS * 2 / 8 + 4
alignb 16
                resb 4096
second_stack_top:
