; A guest that does everything it should not. Whatever it does must stay its own problem: the hypervisor and the other
; partitions go on, and it itself gets nothing worse than what its hardware would give it.
;
; Command line: `ports`, `sweep`, `flood`, `spin`, `triple`, or `all` (also as mode=...); nothing is `all`.
; `gentle` besides them spares emulators that never come back from a timer that is due at once (QEMU 7.2).
; Each part ends with an `ok` line when the guest survived it; `triple` is the end, so there is no `done` after it.
%include "payload.inc"
%include "apic.inc"

MiB             equ 1 << 20
TIMER_VECTOR    equ 0x50
IPI_VECTOR      equ 0x51
FLOOD_IPIS      equ 10000
FLOOD_TICKS     equ 2000
SPIN_ROUNDS     equ 20000000
SWEEP_STEP      equ 0x10000
DEVICE_REGION   equ 0xfe000000          ; from here on every page
PAGE            equ 0x1000

%macro when 2           ; 'word', routine
        option_given %1
        je %%run
        cmp dword [everything], 0
        je %%skip
%%run:  call %2
%%skip:
%endmacro

main:
        option_given 'all'
        je .all
        option_given 'ports'
        je .some
        option_given 'sweep'
        je .some
        option_given 'flood'
        je .some
        option_given 'spin'
        je .some
        option_given 'triple'
        je .some
.all:   inc dword [everything]
.some:  call pic_init
        mov eax, 32             ; the sweep may well send us interrupts of any vector: a write to 0xfeexxxxx is a message
.gates: mov edx, other
        call set_gate
        inc eax
        cmp eax, 256
        jb .gates
        gate TIMER_VECTOR, timer
        gate IPI_VECTOR, ipi
        when 'ports', ports
        when 'sweep', sweep
        when 'flood', flood
        when 'spin', spin
        when 'triple', triple
        ret

; ---- Every port, every width, several values, reads in between ----

; Left out: what ends the test or makes its output unreadable. First and last port of each range.
section .data
forbidden:
        dw 0x060, 0x064         ; i8042: 0xfe pulses the reset line
        dw 0x092, 0x092         ; fast reset
        dw 0x0b2, 0x0b3         ; SMI command: firmware may put the machine to sleep
        dw DEBUG_EXIT, DEBUG_EXIT + 3
        dw COM1, COM1 + 7
        dw 0x501, 0x501         ; debug-exit on some machines
        dw 0x600, 0x607         ; ACPI PM1: SLP_EN powers off
        dw 0xcf8, 0xcff         ; PCI configuration and the reset control register 0xcf9
forbidden_end:
port_values:
        dd 0, 0xffffffff, 0x55555555, 0x80000001
port_values_end:
section .text

ports:
        xor edx, edx
.port:  mov esi, forbidden
.check: cmp dx, [esi]
        jb .allowed             ; the ranges are in order
        cmp dx, [esi + 2]
        jbe .next
        add esi, 4
        cmp esi, forbidden_end
        jb .check
.allowed:
        ; A dword reaches three ports further: only where the next forbidden one is not among them
        xor ebx, ebx
        cmp esi, forbidden_end
        jae .wide
        movzx eax, word [esi]
        sub eax, edx
        cmp eax, 4
        jae .wide
        inc ebx
.wide:  mov esi, port_values
.value: mov eax, [esi]
        out dx, al
        in al, dx
        test ebx, ebx
        jnz .narrow
        mov eax, [esi]
        out dx, ax
        in ax, dx
        mov eax, [esi]
        out dx, eax
        in eax, dx
.narrow:
        add esi, 4
        cmp esi, port_values_end
        jb .value
.next:  inc edx
        cmp edx, 0x10000
        jb .port
        call pic_init           ; the sweep has reprogrammed the 8259s
        ok 'ports'
        ret

; ---- Memory: from the end of RAM to 4 GiB, read and written ----

sweep:
        ; Under the first MiB: the video window and the ROMs
        mov edi, 0xa0000
.legacy:
        mov eax, [edi]
        mov dword [edi], 0xdeadbeef
        add edi, PAGE
        cmp edi, MiB
        jb .legacy
        ok 'sweep-legacy'

        mov ebx, [multiboot_information]
        mov edi, [ebx + 8]      ; KiB above 1 MiB (Multiboot section 3.3)
        shl edi, 10
        add edi, MiB
        xor ecx, ecx
.next:  mov eax, [edi]
        mov al, [edi + 3]
        mov dword [edi], 0xdeadbeef
        mov byte [edi + 5], 0x5a
        inc ecx
        cmp edi, -PAGE          ; over the end of the segment, which may fault (SDM 3A section 5.3)
        je .last
        mov ax, [edi + PAGE - 1]        ; across the page's end
        mov dword [edi + PAGE - 2], -1
.last:
        mov eax, SWEEP_STEP
        cmp edi, DEVICE_REGION
        jb .step
        mov eax, PAGE
.step:  cmp edi, APIC & ~0xffff         ; the APICs' own pages: below, register by register
        jb .add
        cmp edi, APIC
        ja .add
        mov eax, APIC + PAGE
        sub eax, edi
.add:   add edi, eax
        jnc .next               ; until it wraps
        ok 'sweep'

        ; The local APIC's registers, with values that make no sense. The interrupt command register is left to `flood`: an
        ; INIT to ourselves would be a proper way to die.
        mov edi, APIC
.register:
        mov eax, edi
        and eax, 0xff0
        cmp eax, 0x300
        je .skip
        cmp eax, 0x310
        je .skip
        mov eax, [edi]
        mov dword [edi], 0xffffffff
        mov dword [edi], 0
        mov byte [edi + 1], 0x7f        ; not a dword: undefined, but it must not hurt (SDM 3A section 11.4.1)
        mov ax, [edi + 2]
.skip:  add edi, 16
        cmp edi, APIC + PAGE
        jb .register
        ok 'sweep-local-apic'

        ; The I/O APIC: all 256 indices. The masked bit is in every value.
        xor ecx, ecx
.io:    mov [IO_APIC_SELECT], ecx
        mov eax, [IO_APIC_WINDOW]
        mov dword [IO_APIC_WINDOW], 0xffffffff
        mov dword [IO_APIC_WINDOW], LVT_MASKED
        inc ecx
        cmp ecx, 256
        jb .io
        ok 'sweep-io-apic'
        ret

; ---- Interrupts as fast as they come ----

flood:
        call apic_on
        mov dword [APIC + 0x080], 0
        sti
        mov ecx, FLOOD_IPIS
.ipi:   mov dword [APIC_ICR_LOW], ICR_SELF | IPI_VECTOR
        dec ecx
        jnz .ipi
        nop
        cli
        cmp dword [ipis], 0
        setne al
        movzx eax, al
        expect 'flood-ipis', 1

        ; To vectors that may not be used (0 to 15), to cores that are not there, with every delivery mode that cannot hurt us.
        ; Such a vector is an error that the local APIC keeps (SDM 3A section 11.5.3); one that delivers it must not hurt either.
        xor eax, eax
.low:   mov edx, other
        call set_gate
        inc eax
        cmp eax, 16
        jb .low
        xor ecx, ecx
.illegal:
        mov dword [APIC_ICR_HIGH], 0xfe000000
        mov [APIC_ICR_LOW], ecx
        mov eax, ecx
        and eax, 15
        or eax, ICR_SELF
        mov [APIC_ICR_LOW], eax
        mov dword [APIC_ICR_HIGH], 0x3f000000
        mov eax, ecx
        or eax, ICR_STARTUP | ICR_ASSERT
        mov [APIC_ICR_LOW], eax
        inc ecx
        cmp ecx, 1000
        jb .illegal
        sti
        nop
        nop
        cli
        call idt_init
        ok 'flood-illegal-ipis'

        ; The timer with a count of 1, periodic: it is due again before its handler has returned
        mov dword [APIC_LVT_TIMER], LVT_PERIODIC | TIMER_VECTOR
        mov eax, 1
        option_given 'gentle'
        jne .count
        mov eax, 20000
.count: mov [APIC_TIMER_INITIAL], eax
        mov ecx, 50000000
        sti
.tick:  cmp dword [ticks], FLOOD_TICKS
        jae .enough
        dec ecx
        jnz .tick
.enough:
        cli
        mov dword [APIC_TIMER_INITIAL], 0
        mov dword [APIC_LVT_TIMER], LVT_MASKED
        cmp dword [ticks], 0
        setne al
        movzx eax, al
        expect 'flood-timer', 1
        ; And the 8254, as fast as it goes
        mov al, 0x34
        out 0x43, al
        mov al, 2
        out 0x40, al
        xor eax, eax
        out 0x40, al
        ok 'flood-pit'
        ret

timer:  inc dword [ticks]
        mov dword [APIC_EOI], 0
        iret
ipi:    inc dword [ipis]
        mov dword [APIC_EOI], 0
        iret
; Acknowledges, for a vector that was not spurious; for one that was, the extra acknowledgement is one more bad habit
other:  mov dword [APIC_EOI], 0
        iret

; ---- Interrupts off, and nothing but arithmetic ----

spin:   cli
        mov ecx, SPIN_ROUNDS
.next:  dec ecx
        jnz .next
        ok 'spin'
        ret

; ---- The end: no IDT, so #UD becomes #DF becomes shutdown (SDM 3A section 6.15, interrupt 8) ----

triple: ok 'triple-fault-follows'
        lidt [no_idt]
        ud2

section .data
everything: dd 0
ticks:      dd 0
ipis:       dd 0
no_idt:     dw 0
            dd 0
