; MONITOR and MWAIT on one core (SDM 3A section 9.10; SDM 2B), and the registers of the machine-check architecture (SDM 3B chapter 16). Two
; cores that wait for each other are in smp.asm.
%include "payload.inc"
%include "system.inc"
%include "apic.inc"
%include "paging32.inc"
cpu default

VECTOR_TIMER    equ 0x40
MISC_ENABLE     equ 0x1a0
ENABLE_MONITOR  equ 1 << 18
ABSENT          equ 0x300000    ; a page without a mapping
CR4_MCE         equ 1 << 6
MCG_CAP         equ 0x179
MCG_STATUS      equ 0x17a
MC0_CTL         equ 0x400
SOON            equ 20000       ; of the APIC timer
LATE            equ 50000000    ; who sleeps through a store wakes here

section .bss
alignb 64
line:           resd 16
other_line:     resd 16
ticks:          resd 1
section .text

main:   call system_init
        gate VECTOR_TIMER, timer
        gate SPURIOUS_VECTOR, spurious
        call pic_init
        call apic_on
        mov dword [APIC_LVT_TIMER], VECTOR_TIMER
        call machine_checks
        mov eax, 1
        cpuid
        bt ecx, 3
        jc .here
        print `skip monitor-\n`
        ret
.here:  call refused
        call switched_off
        call woken
        ret

timer:  inc dword [ticks]
        mov dword [APIC_EOI], 0
        iret
spurious:
        iret

%macro arm 1
        mov eax, %1
        xor ecx, ecx
        xor edx, edx
        monitor
%endmacro
%macro wait_with 1              ; ECX
        mov ecx, %1
        xor eax, eax
        mwait
%endmacro
%macro timer_in 1
        mov dword [ticks], 0
        mov dword [APIC_TIMER_INITIAL], %1
%endmacro

; read_msr index: into EDX:EAX, which are all ones where there is no such register
%macro read_msr 1
        mov ecx, %1
        mov eax, -1
        mov edx, eax
        mov dword [resume], %%behind
        rdmsr
%%behind:
        mov dword [resume], 0
%endmacro

refused:
        mov eax, 5
        cpuid
        movzx eax, ax
        expect 'monitor-line-of-64-bytes', 64
        mov eax, ecx
        and eax, 3
        expect 'monitor-extensions', 3
        user_fault 'monitor-at-level-3', UD, 0, .monitor_user
        user_fault 'mwait-at-level-3', UD, 0, .mwait_user
        mov eax, line
        mov ecx, 1
        xor edx, edx
        catch_here
        monitor
        caught 'monitor-extension', GP, 0
        xor ecx, ecx
        monitor
        mov ecx, 2
        xor eax, eax
        catch_here
        mwait
        caught 'mwait-extension', GP, 0
        mov ecx, 0x80000000
        catch_here
        mwait
        caught 'mwait-extension-31', GP, 0
        ; it faults as a load of one byte does
        mov eax, LIMITED_DATA
        mov fs, eax
        mov eax, 0x1000
        xor ecx, ecx
        catch_here
        fs monitor
        caught 'monitor-beyond-limit', GP, 0
        mov eax, 0xfff
        fs monitor
        ok 'monitor-at-limit'
        xor eax, eax
        mov fs, eax
        catch_here
        fs monitor
        caught 'monitor-null-segment', GP, 0
        call paging_on
        pte ABSENT, 0
        mov eax, ABSENT + 0x123
        xor ecx, ecx
        catch_here
        monitor
        caught 'monitor-absent', 14, 0
        mov eax, [caught_cr2]
        expect 'monitor-absent-cr2', ABSENT + 0x123
        pte ABSENT, PTE_PRESENT
        mov eax, ABSENT
        monitor
        mov eax, [page_table + (ABSENT >> 12) * 4]
        and eax, PTE_ACCESSED | PTE_DIRTY
        expect 'monitor-is-a-read', PTE_ACCESSED
        mov eax, cr0
        and eax, ~CR0_PG
        mov cr0, eax
        jmp .off
.off:   ret
.monitor_user:
.monitor_user.fault:
        monitor
.mwait_user:
.mwait_user.fault:
        mwait

woken:  ; by an interrupt
        timer_in SOON
.more:  arm line                ; MWAIT may end for reasons of its own, and is then repeated
        xor eax, eax
        sti
        mwait
        cli
        cmp dword [ticks], 0
        je .more
        mov eax, [ticks]
        expect 'mwait-until-an-interrupt', 1
        ; by one that is masked, which stays pending
        timer_in SOON
        arm line
        wait_with 1
        mov eax, [ticks]
        expect 'mwait-until-a-masked-interrupt', 0
        sti
        nop
        cli
        mov eax, [ticks]
        expect 'masked-interrupt-is-taken-later', 1
        ; STI holds the interrupt for one instruction: MWAIT ends, and then it comes
        timer_in 1
        mov ecx, 1000
.spin:  loop .spin
        arm line
        mov ecx, 0
        xor eax, eax
        sti
        mwait
        cli
        mov eax, [ticks]
        expect 'sti-mwait-misses-nothing', 1
        ; by a store of its own before it
        timer_in LATE
        arm line
        mov dword [line + 32], 1
        sti
        wait_with 0
        cli
        mov eax, [ticks]
        expect 'mwait-after-a-store', 0
        ; that was the end of the monitor, too
        timer_in LATE
        sti
        wait_with 0
        cli
        mov eax, [ticks]
        expect 'mwait-without-monitor', 0
        mov dword [APIC_TIMER_INITIAL], 0
        ret

switched_off:
        read_msr MISC_ENABLE
        cmp edx, -1
        jne .here
        print `skip monitor-switched-off\n`
        print `skip monitor-is-gone\n`
        print `skip mwait-is-gone\n`
        ret
.here:  push eax
        and eax, ~ENABLE_MONITOR
        wrmsr
        mov eax, 1
        cpuid
        mov eax, ecx
        and eax, 1 << 3
        expect 'monitor-switched-off', 0
        mov eax, line
        xor ecx, ecx
        xor edx, edx
        catch_here
        monitor
        caught 'monitor-is-gone', UD, 0
        catch_here
        mwait
        caught 'mwait-is-gone', UD, 0
        pop eax
        mov ecx, MISC_ENABLE
        xor edx, edx
        wrmsr
        ret

machine_checks:
        mov eax, 1
        cpuid
        and edx, 1 << 7 | 1 << 14
        cmp edx, 1 << 7 | 1 << 14
        je .here
        print `skip mca-\n`
        ret
.here:  mov eax, cr4
        or eax, CR4_MCE
        mov cr4, eax
        mov eax, cr4
        and eax, CR4_MCE
        expect 'mca-cr4-mce', CR4_MCE
        read_msr MCG_STATUS
        expect 'mca-nothing-in-progress', 0
        read_msr MCG_CAP
        movzx eax, al
        mov [ticks], eax
        test eax, eax
        jz .end
        read_msr MC0_CTL + 1
        expect 'mca-no-error', 0
        xor eax, eax
        xor edx, edx
        mov dword [caught_vector], -1
        mov dword [resume], .cleared
        wrmsr
.cleared:
        mov dword [resume], 0
        mov eax, [caught_vector]
        expect 'mca-error-can-be-cleared', -1
        mov eax, 1
        catch_here
        wrmsr
        caught 'mca-error-cannot-be-made', GP, 0
        ; behind the last bank there is nothing
        mov ecx, [ticks]
        lea ecx, [MC0_CTL + ecx * 4]
        catch_here
        rdmsr
        caught 'mca-no-further-bank', GP, 0
.end:   mov ecx, MCG_CAP
        xor eax, eax
        xor edx, edx
        catch_here
        wrmsr
        caught 'mca-capabilities-are-read-only', GP, 0
        ret
