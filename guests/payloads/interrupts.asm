; Interrupts from every source that a PC has, and the rules of their delivery.
%include "payload.inc"
%include "apic.inc"

VECTOR_SELF     equ 0x40
VECTOR_HIGH     equ 0x60
VECTOR_TIMER    equ 0x50
VECTOR_COM1     equ 0x44
VECTOR_PIT      equ 0x42

; Waits with interrupts on until [count] reaches a number, at most a bounded while; leaves the count in EAX.
%macro await 2
        mov ecx, 50000000
        sti
%%wait: mov eax, [%1]
        cmp eax, %2
        jae %%there
        dec ecx
        jnz %%wait
%%there:
        cli
%endmacro

main:
        mov eax, 0xff
        mov edx, spurious
        call set_gate
        gate 0x20, pic_tick
        gate VECTOR_SELF, self_interrupt
        gate VECTOR_HIGH, high_interrupt
        gate VECTOR_TIMER, timer_interrupt
        gate VECTOR_COM1, com1_interrupt
        gate VECTOR_PIT, pit_interrupt
        gate 2, nmi
        call pic_init
        call apic_on
        call pic_and_pit
        call self_ipi
        call priorities
        call sti_shadow
        call popf_without_shadow
        call halt
        call timer_one_shot
        call timer_periodic
        call io_apic_com1
        call io_apic_pit
        call nmi_to_self
        ret

; ---- 8254 channel 0 through the 8259 and LINT0 ----

pic_and_pit:
        mov dword [APIC_LVT_LINT0], LVT_EXT_INT
        mov al, 0x34            ; channel 0, both bytes, mode 2
        out 0x43, al
        mov al, 11932 & 0xff    ; 100 Hz
        out 0x40, al
        mov al, 11932 >> 8
        out 0x40, al
        mov al, 0xfe
        out 0x21, al
        await ticks, 3
        cmp eax, 3
        setae al
        movzx eax, al
        expect 'pit-through-pic', 1
        mov al, 0xff
        out 0x21, al
        mov eax, [ticks]
        mov [ticks_masked], eax
        sti
        call wait_10_ms
        call wait_10_ms
        cli
        mov eax, [ticks]
        sub eax, [ticks_masked]
        expect 'pic-mask-holds', 0
        ; Not acknowledged, a line of the 8259 does not interrupt again
        mov dword [keep_in_service], 1
        mov al, 0xfe
        out 0x21, al
        mov dword [ticks], 0
        sti
        call wait_10_ms
        call wait_10_ms
        call wait_10_ms
        cli
        mov eax, [ticks]
        expect 'pic-waits-for-eoi', 1
        mov dword [keep_in_service], 0
        mov al, 0x20
        out 0x20, al
        await ticks, 2
        cmp eax, 2
        setae al
        movzx eax, al
        expect 'pic-goes-on-after-eoi', 1
        mov al, 0xff
        out 0x21, al
        mov dword [APIC_LVT_LINT0], LVT_MASKED
        ret

pic_tick:
        inc dword [ticks]
        cmp dword [keep_in_service], 0
        jne .end
        push eax
        mov al, 0x20
        out 0x20, al
        pop eax
.end:   iret

; ---- Interprocessor interrupt to oneself ----

self_ipi:
        mov dword [self_count], 0
        mov dword [APIC_ICR_LOW], ICR_SELF | VECTOR_SELF
        mov eax, [self_count]
        expect 'self-ipi-held-while-if-is-clear', 0
        mov eax, [APIC + 0x200 + (VECTOR_SELF >> 5) * 16]
        shr eax, VECTOR_SELF & 31
        and eax, 1
        expect 'self-ipi-requested', 1
        await self_count, 1
        expect 'self-ipi', 1
        mov eax, [APIC + 0x100 + (VECTOR_SELF >> 5) * 16]
        expect 'self-ipi-in-service-cleared', 0
        ; Two requests of one vector are one interrupt
        mov dword [self_count], 0
        mov dword [APIC_ICR_LOW], ICR_SELF | VECTOR_SELF
        mov dword [APIC_ICR_LOW], ICR_SELF | VECTOR_SELF
        sti
        nop
        nop
        cli
        mov eax, [self_count]
        expect 'self-ipi-twice-is-once', 1
        ret

self_interrupt:
        inc dword [self_count]
        push eax
        mov eax, [order]
        shl eax, 8
        mov al, VECTOR_SELF
        mov [order], eax
        pop eax
        mov dword [APIC_EOI], 0
        iret

; ---- The higher vector goes first; TPR holds back what is not above it (SDM 3A section 11.8.3) ----

priorities:
        mov dword [order], 0
        mov dword [APIC_ICR_LOW], ICR_SELF | VECTOR_SELF
        mov dword [APIC_ICR_LOW], ICR_SELF | VECTOR_HIGH
        sti
        nop
        nop
        nop
        cli
        mov eax, [order]
        expect 'higher-vector-first', VECTOR_HIGH << 8 | VECTOR_SELF
        mov dword [order], 0
        mov dword [APIC + 0x080], 0x50
        mov dword [APIC_ICR_LOW], ICR_SELF | VECTOR_SELF
        mov dword [APIC_ICR_LOW], ICR_SELF | VECTOR_HIGH
        sti
        nop
        nop
        cli
        mov eax, [order]
        expect 'task-priority-holds-back', VECTOR_HIGH
        mov dword [APIC + 0x080], 0
        sti
        nop
        nop
        cli
        mov eax, [order]
        expect 'task-priority-lets-go', VECTOR_HIGH << 8 | VECTOR_SELF
        ret

high_interrupt:
        push eax
        mov eax, [order]
        shl eax, 8
        mov al, VECTOR_HIGH
        mov [order], eax
        pop eax
        mov dword [APIC_EOI], 0
        iret

; ---- Interrupt shadows ----

; STI: the instruction behind it still runs (SDM 2B, STI)
sti_shadow:
        mov dword [APIC_ICR_LOW], ICR_SELF | VECTOR_SELF
        mov dword [self_count], 0
        sti
        mov eax, [self_count]
        mov ebx, [self_count]
        cli
        expect 'sti-shadow', 0
        mov eax, ebx
        expect 'after-sti-shadow', 1
        ; STI, CLI: nothing gets in between
        mov dword [self_count], 0
        mov dword [APIC_ICR_LOW], ICR_SELF | VECTOR_SELF
        sti
        cli
        mov eax, [self_count]
        expect 'sti-cli', 0
        await self_count, 1
        ret

; POPF that sets IF has no shadow: the interrupt comes before the next instruction
popf_without_shadow:
        mov dword [self_count], 0
        mov dword [APIC_ICR_LOW], ICR_SELF | VECTOR_SELF
        pushfd
        or dword [esp], 1 << 9
        popfd
        mov eax, [self_count]
        cli
        expect 'popf-has-no-shadow', 1
        ret

; ---- HLT ----

halt:
        mov dword [timer_count], 0
        mov dword [APIC_LVT_TIMER], VECTOR_TIMER
        mov dword [APIC_TIMER_INITIAL], 1000000
        sti
        hlt
        cli
        mov eax, [timer_count]
        expect 'hlt-wakes', 1
        ; Pending already: HLT right behind STI does not sleep
        mov dword [self_count], 0
        mov dword [APIC_ICR_LOW], ICR_SELF | VECTOR_SELF
        sti
        hlt
        cli
        mov eax, [self_count]
        expect 'sti-hlt-with-pending', 1
        ret

; ---- Local APIC timer ----

timer_one_shot:
        mov dword [timer_count], 0
        mov dword [APIC_LVT_TIMER], VECTOR_TIMER
        mov dword [APIC_TIMER_INITIAL], 100000
        await timer_count, 1
        expect 'timer-one-shot', 1
        sti
        call wait_10_ms
        cli
        mov eax, [timer_count]
        expect 'timer-one-shot-only-once', 1
        mov eax, [APIC_TIMER_CURRENT]
        expect 'timer-one-shot-stands-at-zero', 0
        mov dword [APIC_LVT_TIMER], LVT_MASKED | VECTOR_TIMER
        mov dword [APIC_TIMER_INITIAL], 100000
        sti
        call wait_10_ms
        cli
        mov eax, [timer_count]
        expect 'timer-mask-holds', 1
        ret

timer_periodic:
        mov dword [timer_count], 0
        mov dword [APIC_LVT_TIMER], LVT_PERIODIC | VECTOR_TIMER
        mov dword [APIC_TIMER_INITIAL], 100000
        await timer_count, 10
        cmp eax, 10
        setae al
        movzx eax, al
        expect 'timer-periodic', 1
        mov dword [APIC_TIMER_INITIAL], 0       ; stops it
        sti
        nop
        cli
        mov eax, [timer_count]
        mov [ticks_masked], eax
        sti
        call wait_10_ms
        cli
        mov eax, [timer_count]
        sub eax, [ticks_masked]
        expect 'timer-stopped', 0
        mov dword [APIC_LVT_TIMER], LVT_MASKED
        ret

timer_interrupt:
        inc dword [timer_count]
        mov dword [APIC_EOI], 0
        iret

; ---- I/O APIC, edge-triggered ----

; COM1's transmitter interrupt on pin 4: raised by enabling it while the transmitter is empty (PC16550D section 8.7)
io_apic_com1:
        mov dword [com1_count], 0
        mov ebx, [APIC_ID]
        io_apic 4, VECTOR_COM1
        mov dx, COM1 + 4
        mov al, 0x0b            ; OUT2 lets the interrupt out
        out dx, al
        mov dx, COM1 + 1
        mov al, 2
        out dx, al
        await com1_count, 1
        expect 'io-apic-edge', 1
        mov dx, COM1 + 1
        xor eax, eax
        out dx, al
        mov dword [com1_count], 0
        io_apic 4, LVT_MASKED | VECTOR_COM1
        mov dx, COM1 + 1
        mov al, 2
        out dx, al
        sti
        nop
        nop
        cli
        xor eax, eax
        out dx, al
        mov eax, [com1_count]
        expect 'io-apic-mask-holds', 0
        ret

com1_interrupt:
        push eax
        push edx
        inc dword [com1_count]
        mov dx, COM1 + 2
        in al, dx               ; acknowledges the transmitter interrupt
        mov dx, COM1 + 1
        xor eax, eax
        out dx, al
        pop edx
        pop eax
        mov dword [APIC_EOI], 0
        iret

; The 8254's channel 0 is pin 2 of the I/O APIC on PCs, as their ACPI tables say
io_apic_pit:
        mov dword [pit_count], 0
        mov ebx, [APIC_ID]
        io_apic 2, VECTOR_PIT
        await pit_count, 3
        cmp eax, 3
        setae al
        movzx eax, al
        expect 'io-apic-pit-on-pin-2', 1
        io_apic 2, LVT_MASKED | VECTOR_PIT
        ret

pit_interrupt:
        inc dword [pit_count]
        mov dword [APIC_EOI], 0
        iret

; ---- NMI: comes through with IF clear, and not again before IRET (SDM 3A section 6.7.1) ----

nmi_to_self:
        mov eax, [APIC_ID]
        mov [APIC_ICR_HIGH], eax
        mov dword [APIC_ICR_LOW], ICR_NMI | ICR_ASSERT
        mov ecx, 1000000
.wait:  cmp dword [nmi_count], 2
        loopne .wait
        mov eax, [nmi_count]
        expect 'nmi-with-if-clear', 2
        mov eax, [nmi_nested]
        expect 'nmi-does-not-nest', 0
        ret

nmi:    push eax
        inc dword [nmi_depth]
        cmp dword [nmi_depth], 1
        je .outermost
        inc dword [nmi_nested]
.outermost:
        inc dword [nmi_count]
        cmp dword [nmi_count], 1
        jne .end
        mov dword [APIC_ICR_LOW], ICR_NMI | ICR_ASSERT  ; held until we return
        mov eax, 1000
.delay: dec eax
        jnz .delay
.end:   dec dword [nmi_depth]
        pop eax
        iret

spurious:
        iret

section .data
ticks:           dd 0
ticks_masked:    dd 0
keep_in_service: dd 0
self_count:      dd 0
order:           dd 0
timer_count:     dd 0
com1_count:      dd 0
pit_count:       dd 0
nmi_count:       dd 0
nmi_nested:      dd 0
nmi_depth:       dd 0
