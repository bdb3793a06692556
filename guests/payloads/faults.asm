; Exceptions (SDM 3A chapter 6): the right vector, error code, saved EIP and CR2, nothing changed by an instruction that
; faulted, and a restart that completes it. Command line: `strict` adds what QEMU's TCG does not check.
%include "payload.inc"
%include "paging32.inc"

RW              equ PTE_PRESENT | PTE_WRITABLE | PTE_USER
RO              equ PTE_PRESENT | PTE_USER
KERNEL          equ PTE_PRESENT | PTE_WRITABLE
ABSENT          equ 0

; Pages far from everything else, in the part that paging32.inc maps page by page
PAGE_A          equ 0x300000
PAGE_B          equ 0x301000
USER_STACK_TOP  equ 0x303000
DEAD_PAGE       equ 0x304000

; The saved EIP of a trap points behind the instruction.
%macro caught_trap 2
%$after:
        mov dword [resume], 0
        pushad
        mov edi, %$after
        mov ebx, %2
        xor ecx, ecx
        call check_exception
        expect %1, 0
        popad
  %pop
%endmacro

; `caught`, but the error code only counts when `strict` was asked for.
%macro caught_strictly 3
%$after:
        cmp dword [strictness], 0
        jne %%strict
        mov dword [caught_error], %3
%%strict:
        mov dword [resume], 0
        pushad
        mov edi, %$at
        mov ebx, %2
        mov ecx, %3
        call check_exception
        expect %1, 0
        popad
  %pop
%endmacro

; The saved EIP is neither here nor behind, but at `address`.
%macro caught_elsewhere 4
%$after:
        mov dword [resume], 0
        pushad
        mov edi, %4
        mov ebx, %2
        mov ecx, %3
        call check_exception
        expect %1, 0
        popad
  %pop
%endmacro

main:
        call simple_faults
        call selector_faults
        option_given 'strict'
        jne .lenient
        inc dword [strictness]
        call strict_faults
.lenient:
        call paging_on
        call page_faults
        call restarts
        call unchanged
        call user_mode
        jmp double_fault

simple_faults:
        xor edx, edx
        mov eax, 5
        xor ecx, ecx
        catch_here
        div ecx
        caught 'divide-by-zero', 0, 0
        expect 'divide-leaves-eax', 5

        mov eax, 0x80000000
        cdq
        or ecx, -1
        catch_here
        idiv ecx
        caught 'divide-overflow', 0, 0

        mov eax, 0x1234
        catch_here
        aam 0
        caught 'aam-by-zero', 0, 0

        catch_here
        int3
        caught_trap 'breakpoint', 3

        mov eax, 0x7fffffff
        catch_here
        add eax, 1
        into
        caught_trap 'into-overflow', 4

        mov dword [resume], 0
        xor eax, eax
        into                    ; OF is clear: nothing happens
        ok 'into-without-overflow'

        mov eax, 11
        catch_here
        bound eax, [bounds]
        caught 'bound', 5, 0
        mov eax, 10
        bound eax, [bounds]
        ok 'bound-inside'

        catch_here
        ud2
        caught 'undefined-opcode', 6, 0
        catch_here
        db 0xf0, 0x01, 0xc8     ; LOCK ADD EAX, ECX: no memory operand
        caught 'lock-without-memory', 6, 0
        mov eax, cr0
        or eax, CR0_TS
        mov cr0, eax
        catch_here
        fninit
        caught 'no-fpu', 7, 0
        clts
        fninit
        ok 'clts'

        pushfd
        pop eax
        or eax, 1 << 8          ; TF: a trap after the instruction behind POPF
        push eax
        mov dword [caught_vector], -1
        mov dword [resume], .after_step
        popfd
        nop
.stepped:
        nop                     ; never reached with TF set: the handler goes on at .after_step
.after_step:
        mov dword [resume], 0
        mov eax, [caught_vector]
        expect 'single-step', 1
        mov eax, [caught_eip]
        expect 'single-step-stops-behind-the-next-instruction', .stepped
        mov eax, dr6
        and eax, 1 << 14        ; BS
        expect 'single-step-dr6', 1 << 14
        xor eax, eax
        mov dr6, eax

        catch_here
        int 0x80                ; an empty gate; error code: vector * 8 + IDT bit (SDM 3A section 6.13)
        caught 'int-without-gate', 13, 0x80 * 8 + 2
        mov byte [idt + 0x80 * 8 + 5], 0x0e
        catch_here
        int 0x80
        caught 'int-gate-absent', 11, 0x80 * 8 + 2
        ret

selector_faults:
        mov eax, 0x1230         ; beyond the GDT's limit
        catch_here
        mov ds, eax
        caught 'selector-beyond-limit', 13, 0x1230
        mov eax, ABSENT_DATA
        catch_here
        mov es, eax
        caught 'segment-absent', 11, ABSENT_DATA
        catch_here
        mov ss, eax
        caught 'stack-segment-absent', 12, ABSENT_DATA
        xor eax, eax
        catch_here
        mov ss, eax
        caught 'stack-segment-null', 13, 0
        mov eax, CODE32
        catch_here
        mov ss, eax
        caught 'stack-segment-is-code', 13, CODE32
        catch_here
        jmp 0x1230:0
        caught 'far-jump-beyond-limit', 13, 0x1230
        catch_here
        jmp DATA32:0
        caught 'far-jump-to-data', 13, DATA32
        ret

; ---- What the SDM demands and QEMU's TCG 7.2 does not check; run with `strict` on the command line ----

strict_faults:
        catch_here
        db 0xf0, 0x89, 0xc8     ; LOCK MOV EAX, ECX (SDM 2A, LOCK)
        caught 'lock-where-it-may-not-be', 6, 0
        xor eax, eax
        mov fs, eax
        catch_here
        mov eax, [fs:0x1000]
        caught 'null-segment-access', 13, 0
        mov eax, LIMITED_DATA   ; bytes 0 to 0xfff
        mov fs, eax
        mov eax, [fs:0xffc]
        catch_here
        mov eax, [fs:0xffd]
        caught 'segment-limit', 13, 0
        mov eax, CODE32
        mov fs, eax
        catch_here
        mov [fs:0x1000], eax
        caught 'write-to-code-segment', 13, 0
        mov eax, CR0_PG         ; paging without protection
        catch_here
        mov cr0, eax
        caught 'paging-without-protection', 13, 0
        mov eax, DATA32
        mov fs, eax
        ret

%macro cr2_is 2
        push eax
        mov eax, [caught_cr2]
        expect %1, %2
        pop eax
%endmacro

page_faults:
        mov dword [PAGE_A + 0x10], 0x11223344
        pte PAGE_A, ABSENT
        catch_here
        mov eax, [PAGE_A + 0x10]
        caught 'read-absent', 14, 0
        cr2_is 'read-absent-cr2', PAGE_A + 0x10
        catch_here
        mov [PAGE_A + 0x20], eax
        caught 'write-absent', 14, 2
        cr2_is 'write-absent-cr2', PAGE_A + 0x20

        pte PAGE_A, RO
        mov eax, 0x55667788
        mov [PAGE_A + 0x10], eax        ; CR0.WP is clear: ring 0 writes where it likes (SDM 3A section 4.6)
        mov ebx, [PAGE_A + 0x10]
        mov edx, ebx
        xchg eax, edx
        expect 'write-read-only-without-wp', 0x55667788
        xchg eax, edx
        mov ecx, cr0
        or ecx, CR0_WP
        mov cr0, ecx
        catch_here
        mov [PAGE_A + 0x30], eax
        caught 'write-read-only-with-wp', 14, 3
        cr2_is 'write-read-only-cr2', PAGE_A + 0x30
        mov ebx, [PAGE_A + 0x10]
        mov edx, ebx
        xchg eax, edx
        expect 'read-read-only', 0x55667788
        xchg eax, edx

        ; A dword across two pages, the second absent: CR2 is where the second begins, and the first keeps its bytes.
        pte PAGE_A, RW
        pte PAGE_B, ABSENT
        mov dword [PAGE_A + 0xffc], 0xa5a5a5a5
        catch_here
        mov dword [PAGE_A + 0xffe], 0
        caught 'write-across-pages', 14, 2
        cr2_is 'write-across-pages-cr2', PAGE_B
        mov eax, [PAGE_A + 0xffc]
        expect 'write-across-pages-is-all-or-nothing', 0xa5a5a5a5
        catch_here
        mov eax, [PAGE_A + 0xffe]
        caught 'read-across-pages', 14, 0
        pte PAGE_B, RW

        ; A bit that must be zero: 21 of a 4 MiB page's entry (SDM 3A table 4-4)
        mov dword [page_directory + 4], 0x00400000 | (1 << 21) | PDE_LARGE | KERNEL
        mov eax, cr3
        mov cr3, eax
        catch_here
        mov eax, [0x400000]
        caught_strictly 'reserved-bit', 14, 9
        mov dword [page_directory + 4], 0x00400000 | PDE_LARGE | KERNEL
        mov eax, cr3
        mov cr3, eax
        mov eax, [0x400000]
        ok 'large-page'
        mov dword [page_directory + 4], 0
        mov eax, cr3
        mov cr3, eax

        ; Accessed and dirty
        pte PAGE_A, RW
        mov eax, [PAGE_A]
        mov eax, [page_table + (PAGE_A >> 12) * 4]
        and eax, PTE_ACCESSED | PTE_DIRTY
        expect 'read-sets-accessed', PTE_ACCESSED
        mov [PAGE_A], eax
        mov eax, [page_table + (PAGE_A >> 12) * 4]
        and eax, PTE_ACCESSED | PTE_DIRTY
        expect 'write-sets-dirty', PTE_ACCESSED | PTE_DIRTY

        ; Fetching: the saved EIP and CR2 are the target
        pte PAGE_A, ABSENT
        catch_here
        mov eax, PAGE_A + 0x40
        call eax                ; pushes its return address; the fetch faults afterwards
        caught_elsewhere 'fetch-absent', 14, 0, PAGE_A + 0x40
        add esp, 4
        cr2_is 'fetch-absent-cr2', PAGE_A + 0x40
        pte PAGE_A, RW
        ret

; ---- Restart: the handler repairs the page and the instruction completes ----

repair_page_b:
        inc dword [repairs]
        mov eax, [caught_cr2]
        mov [repaired_cr2], eax
        pte PAGE_B, RW
        mov eax, [esp + 4 + 24] ; ECX at the fault (PUSHAD: EDI ESI EBP ESP EBX EDX ECX EAX)
        mov [ecx_at_fault], eax
        ret

%macro repaired 2
        push eax
        mov dword [fixup], 0
        mov eax, [caught_vector]
        shl eax, 8
        or eax, [repairs]
        expect %1, 14 << 8 | 1
        mov eax, [repaired_cr2]
        expect %2, PAGE_B
        mov dword [repairs], 0
        pop eax
%endmacro

restarts:
        ; REP MOVSB that runs into an absent page: 16 bytes have been moved, and the registers say so
        mov edi, PAGE_A + 0xff0
        mov esi, pattern
        mov ecx, 64
        pte PAGE_B, ABSENT
        catch_here
        rep movsb
        caught 'rep-movsb-stops', 14, 2
        cr2_is 'rep-movsb-cr2', PAGE_B
        mov eax, ecx
        expect 'rep-movsb-ecx', 48
        mov eax, edi
        expect 'rep-movsb-edi', PAGE_B
        mov eax, esi
        expect 'rep-movsb-esi', pattern + 16

        mov edi, PAGE_A + 0xff0
        mov esi, pattern
        mov ecx, 16
        mov dword [fixup], repair_page_b
        rep movsd
        repaired 'rep-movsd-restarted', 'rep-movsd-cr2'
        mov eax, [ecx_at_fault]
        expect 'rep-movsd-ecx-at-fault', 12
        mov esi, pattern
        mov edi, PAGE_A + 0xff0
        mov ecx, 64
        repe cmpsb
        mov eax, ecx
        expect 'rep-movsd-complete', 0

        ; Backwards, from the present page down into the absent one
        pte PAGE_B, RW
        std
        mov edi, PAGE_B + 0x1007
        mov ecx, 16
        mov al, 0x77
        pte PAGE_B, ABSENT
        mov dword [fixup], repair_page_b
        rep stosb
        cld
        mov dword [fixup], 0
        mov eax, [repaired_cr2]
        expect 'rep-stosb-down-cr2', PAGE_B + 0xfff
        mov eax, [ecx_at_fault]
        expect 'rep-stosb-down-ecx', 8
        mov eax, [PAGE_B + 0xff8]
        expect 'rep-stosb-down-complete', 0x77777777
        mov dword [repairs], 0

        ; Read-modify-write across the edge
        mov dword [PAGE_A + 0xffc], 0
        mov dword [PAGE_B], 0
        pte PAGE_B, ABSENT
        mov dword [fixup], repair_page_b
        lock add dword [PAGE_A + 0xffe], 0x12345678
        repaired 'add-restarted', 'add-cr2'
        mov eax, [PAGE_A + 0xffe]
        expect 'add-once', 0x12345678

        ret

; ---- A faulting instruction changes nothing ----

unchanged:
        pte PAGE_B, ABSENT
        stc
        mov eax, 0x7fffffff
        catch_here
        adc eax, [PAGE_B]
        caught 'adc-from-absent', 14, 0
        expect 'adc-leaves-register', 0x7fffffff
        mov eax, [caught_eflags]
        and eax, 1
        expect 'adc-leaves-carry', 1

        mov [saved_esp], esp
        catch_here
        push dword [PAGE_B]
        caught 'push-from-absent', 14, 0
        mov eax, esp
        expect 'push-leaves-esp', [saved_esp]

        push dword 0x1111
        mov [saved_esp], esp
        catch_here
        pop dword [PAGE_B]
        caught 'pop-to-absent', 14, 2
        mov eax, esp
        expect 'pop-leaves-esp', [saved_esp]
        add esp, 4

        mov ecx, 0x1234
        catch_here
        xchg ecx, [PAGE_B]
        caught_strictly 'xchg-with-absent', 14, 2
        mov eax, ecx
        expect 'xchg-leaves-register', 0x1234

        mov eax, 1
        mov ecx, 2
        catch_here
        cmpxchg [PAGE_B], ecx
        caught_strictly 'cmpxchg-with-absent', 14, 2
        expect 'cmpxchg-leaves-eax', 1

        mov esi, PAGE_B
        catch_here
        lodsd
        caught 'lods-from-absent', 14, 0
        mov eax, esi
        expect 'lods-leaves-esi', PAGE_B

        mov esi, pattern
        mov edi, PAGE_B
        catch_here
        movsd
        caught 'movs-to-absent', 14, 2
        mov eax, esi
        expect 'movs-leaves-esi', pattern

        catch_here
        call [PAGE_B]
        caught 'call-through-absent', 14, 0
        pte PAGE_B, RW
        ret

; ---- Ring 3 ----

; user 'name', vector, error code, label: runs the code at `label` in ring 3 and expects it to fault there
%macro user 4
        pte PAGE_A, KERNEL
        mov dword [caught_vector], -1
        mov dword [resume], %%back
        mov [ring0_esp], esp
        push dword USER_DATA32
        push dword USER_STACK_TOP
        push dword 0x2
        push dword USER_CODE32
        push dword %4
        iret
%%back: mov dword [resume], 0
        pushad
        mov edi, %4.fault
        mov ebx, %2
        mov ecx, %3
        call check_exception
        expect %1, 0
        popad
%endmacro

user_mode:
        mov eax, task_state
        mov [gdt_task_state + 2], ax
        shr eax, 16
        mov [gdt_task_state + 4], al
        mov [gdt_task_state + 7], ah
        mov [task_state + 4], esp
        sub dword [task_state + 4], 512 ; below what ring 0 is using now
        mov dword [task_state + 8], DATA32
        mov word [task_state + 102], 104 ; the I/O permission bitmap would lie beyond the limit: there is none
        mov eax, TASK_STATE
        ltr ax

        user 'user-reads-supervisor-page', 14, 5, user_read
        cr2_is 'user-reads-supervisor-page-cr2', PAGE_A + 4
        mov eax, [caught_cs]
        expect 'user-cs', USER_CODE32
        user 'user-writes-supervisor-page', 14, 7, user_write
        pte DEAD_PAGE, ABSENT
        user 'user-reads-absent-page', 14, 4, user_read_dead
        user 'user-cli', 13, 0, user_cli
        user 'user-out', 13, 0, user_out
        user 'user-hlt', 13, 0, user_hlt
        user 'user-mov-cr3', 13, 0, user_mov_cr3
        user 'user-int-to-a-ring-0-gate', 13, 0x0d * 8 + 2, user_int
        pte PAGE_A, RW
        ret

user_read:
        mov eax, USER_DATA32
        mov ds, eax
.fault: mov eax, [PAGE_A + 4]
user_write:
        mov eax, USER_DATA32
        mov ds, eax
.fault: mov [PAGE_A + 4], eax
user_read_dead:
        mov eax, USER_DATA32
        mov ds, eax
.fault: mov eax, [DEAD_PAGE]
user_cli:
.fault: cli
user_out:
.fault: out 0x80, al
user_hlt:
.fault: hlt
user_mov_cr3:
.fault: mov cr3, eax
user_int:
.fault: int 13

; ---- #DF: a contributory fault while a contributory fault is delivered (SDM 3A table 6-5) ----

double_fault:
        mov byte [idt + 5], 0x0e        ; the gate of #DE, no longer present
        mov dword [caught_vector], -1
        mov dword [resume], .after
        xor ecx, ecx
        div ecx
.after: mov dword [resume], 0
        mov byte [idt + 5], 0x8e
        mov eax, [caught_vector]
        expect 'double-fault', 8
        mov eax, [caught_error]
        expect 'double-fault-error-code', 0
        ret

section .data
bounds: dd 0, 10
strictness: dd 0
repairs: dd 0
repaired_cr2: dd 0
ecx_at_fault: dd 0
saved_esp: dd 0
pattern:
%assign i 0
%rep 64
        db (i * 7 + 3) & 255
  %assign i i + 1
%endrep
section .bss
alignb 16
task_state: resb 104
