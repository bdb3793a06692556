; 32-bit and PAE paging (SDM 3A sections 4.3, 4.4, 4.6 to 4.8): rights by level, mode and CR0.WP, accessed and dirty flags of tables and
; pages, reserved bits, large pages with and without CR4.PSE, PDPTEs as registers, faults of accesses across two pages.
%include "payload.inc"
%include "system.inc"
cpu default

CR0_PG_BIT      equ 1 << 31
EFER_NXE        equ 1 << 11
P               equ 1
W               equ 2
U               equ 4
A               equ 0x20
D               equ 0x40
PS              equ 0x80
ALL             equ P | W | U
; The page under test, and the one behind it: linear, mapped to BACKING and BACKING + 4096
PROBE           equ 0x800000
NEXT            equ PROBE + 0x1000
BACKING         equ 0x1000000
LARGE           equ 0xc00000    ; 4 MiB of their own, mapped to BACKING's 4 MiB

section .bss
alignb 4096
directory:      resd 1024
low_table:      resd 1024       ; the first 4 MiB, one to one
probe_table:    resd 1024
pae_directory:  resq 512        ; the first GiB
pae_table:      resq 512        ; 2 MiB around PROBE
alignb 32
pdptes:         resq 4
section .text

main:   call system_init
        mov byte [BACKING], 0xc3                ; RET
        mov dword [BACKING + 4], 0x11111111
        mov dword [BACKING + 0x1000], 0x22222222
        call legacy
        call pae
        ret

; probe flags [, flags of the next page]: maps the pages under test anew
%macro probe 1-2 ALL
        mov dword [probe_table], BACKING | (%1)
        mov dword [probe_table + 4], (BACKING + 0x1000) | (%2)
        call forget
%endmacro
forget: push eax
        mov eax, cr3
        mov cr3, eax
        pop eax
        ret
; probe_directory flags: of the entry above them
%macro probe_directory 1
        mov dword [directory + 4 * (PROBE >> 22)], probe_table + (%1)
%endmacro
; flags 'name', address of an entry, wanted: A and D
%macro flags 3
        mov eax, [%2]
        and eax, A | D
        expect %1, %3
%endmacro
%macro write_protect 1          ; on or off
        mov eax, cr0
  %ifidn %1, on
        or eax, CR0_WP
  %else
        and eax, ~CR0_WP
  %endif
        mov cr0, eax
%endmacro
; page_fault 'name', error, CR2: behind `fault` and one instruction
%macro fault 0
        catch_here
%endmacro
%macro page_fault 3
        caught %1, 14, %2
        mov eax, [caught_cr2]
        expect %strcat(%1, '-cr2'), %3
%endmacro
; user 'name', wanted error or -1 for none, label: user code that ends in HLT (#GP) when nothing else stops it
%macro user 3
        in_user %3
        mov eax, [caught_vector]
        cmp eax, 14
        mov eax, [caught_error]
        je %%fault
        mov eax, -1
%%fault:
        expect %1, %2
%endmacro

legacy:
        xor ecx, ecx
.map:   mov eax, ecx
        shl eax, 12
        or eax, ALL
        mov [low_table + ecx * 4], eax
        inc ecx
        cmp ecx, 1024
        jb .map
        mov dword [directory], low_table + ALL
        ; from 4 MiB on in large pages, one to one
        mov ecx, 1
.large: mov eax, ecx
        shl eax, 22
        or eax, ALL | PS
        mov [directory + ecx * 4], eax
        inc ecx
        cmp ecx, 16
        jb .large
        mov eax, cr4
        or eax, CR4_PSE
        mov cr4, eax
        mov eax, directory
        mov cr3, eax
        mov eax, cr0
        or eax, CR0_PG_BIT
        mov cr0, eax
        jmp .on
.on:    probe_directory ALL
        call rights
        call marks
        call across
        call large_pages
        mov eax, cr0
        and eax, ~(CR0_PG_BIT | CR0_WP)
        mov cr0, eax
        jmp .off
.off:   ret

rights: probe 0
        fault
        mov eax, [PROBE + 4]
        page_fault 'absent-read', 0, PROBE + 4
        fault
        mov [PROBE + 8], eax
        page_fault 'absent-write', 2, PROBE + 8
        fault
        add dword [PROBE + 4], 1
        page_fault 'absent-rmw-is-a-write', 2, PROBE + 4
        mov dword [resume], .fetched
        mov [ring0_esp], esp
        call PROBE
.fetched:
        mov esp, [ring0_esp]
        mov dword [resume], 0
        mov eax, [caught_cr2]
        expect 'absent-fetch-cr2', PROBE
        mov eax, [caught_error]
        expect 'absent-fetch', 0        ; that it was a fetch is said with SMEP or NX only
        ; the supervisor: read-only pages bind it with WP only; either level's bit makes a page read-only
        probe P | U
        write_protect off
        mov dword [PROBE + 8], 5
        ok 'read-only-without-wp'
        write_protect on
        fault
        mov [PROBE + 8], eax
        page_fault 'read-only-with-wp', 3, PROBE + 8
        probe ALL
        probe_directory P | U
        call forget
        fault
        mov [PROBE + 8], eax
        page_fault 'read-only-directory-with-wp', 3, PROBE + 8
        write_protect off
        mov dword [PROBE + 8], 6
        ok 'read-only-directory-without-wp'
        user 'user-write-below-a-read-only-directory', 7, user_write
        user 'user-read-below-a-read-only-directory', -1, user_read
        probe_directory P | W
        call forget
        user 'user-below-a-supervisor-directory', 5, user_read
        user 'user-write-below-a-supervisor-directory', 7, user_write
        probe_directory ALL
        probe P | W
        user 'user-reads-a-supervisor-page', 5, user_read
        user 'user-writes-a-supervisor-page', 7, user_write
        user 'user-fetches-a-supervisor-page', 5, user_fetch
        probe P | U
        user 'user-writes-a-read-only-page', 7, user_write
        user 'user-writes-a-read-only-page-with-rmw', 7, user_rmw
        probe ALL
        user 'user-writes-its-page', -1, user_write
        probe 0
        user 'user-reads-an-absent-page', 4, user_read
        user 'user-writes-an-absent-page', 6, user_write
        probe ALL
        ret
user_read:
        mov eax, USER_DATA32
        mov ds, eax
        mov eax, [PROBE + 4]
        hlt
user_write:
        mov eax, USER_DATA32
        mov ds, eax
        mov [PROBE + 0x20], eax
        hlt
user_rmw:
        mov eax, USER_DATA32
        mov ds, eax
        lock inc dword [PROBE + 0x20]
        hlt
user_fetch:
        call PROBE
        hlt

; SDM 3A section 4.8
marks:  probe ALL
        probe_directory ALL
        call forget
        mov eax, [PROBE + 4]
        flags 'read-marks-the-page', probe_table, A
        flags 'read-marks-the-directory', directory + 4 * (PROBE >> 22), A
        flags 'read-does-not-mark-its-neighbour', probe_table + 4, 0
        mov [PROBE + 0x20], eax
        flags 'write-after-read-dirties', probe_table, A | D
        flags 'write-does-not-dirty-the-directory', directory + 4 * (PROBE >> 22), A
        probe ALL
        mov [PROBE + 0x20], eax
        flags 'write-marks-both', probe_table, A | D
        probe ALL
        call PROBE
        flags 'fetch-marks', probe_table, A
        probe ALL
        xor eax, eax
        mov edx, 1
        lock cmpxchg [PROBE + 4], edx           ; fails, and writes back what was there
        flags 'failing-cmpxchg-dirties', probe_table, A | D
        probe ALL
        push dword [PROBE + 4]
        pop eax
        flags 'push-from-memory-only-reads', probe_table, A
        ; cleared flags are set again once the translation is forgotten
        and dword [probe_table], ~(A | D)
        invlpg [PROBE]
        mov [PROBE + 0x20], eax
        flags 'set-again-after-invlpg', probe_table, A | D
        probe P | U
        write_protect on
        fault
        mov [PROBE + 8], eax
        page_fault 'refused-write', 3, PROBE + 8
        mov eax, [probe_table]
        and eax, D
        expect 'refused-write-does-not-dirty', 0
        write_protect off
        probe ALL
        ; probing instructions
        mov eax, DATA32
        verw ax
        lea eax, [PROBE]
        flags 'lea-does-not-touch', probe_table, 0
        mov ecx, 0
        mov esi, PROBE
        mov edi, PROBE
        rep movsd
        flags 'rep-with-no-count-does-not-touch', probe_table, 0
        ret

across: ; the first page is there, the second is not: nothing is written, CR2 is where the missing page begins
        probe ALL, 0
        mov dword [BACKING + 0xffc], 0x33333333
        fault
        mov dword [NEXT - 2], 0x44444444
        page_fault 'across-write', 2, NEXT
        mov eax, [BACKING + 0xffc]
        expect 'across-wrote-nothing', 0x33333333
        fault
        mov eax, [NEXT - 1]
        page_fault 'across-read', 0, NEXT
        fault
        add dword [NEXT - 3], 1
        page_fault 'across-rmw', 2, NEXT
        ; the second is read-only
        probe ALL, P | U
        write_protect on
        fault
        mov dword [NEXT - 2], 0x44444444
        page_fault 'across-read-only', 3, NEXT
        mov eax, [BACKING + 0xffc]
        expect 'across-read-only-wrote-nothing', 0x33333333
        fault
        fstp tword [NEXT - 5]
        page_fault 'across-fstp', 3, NEXT
        write_protect off
        ; the first is not there: CR2 is the operand
        probe 0, ALL
        fault
        mov eax, [NEXT - 2]
        page_fault 'across-first', 0, NEXT - 2
        ; a repeated store stops where the page ends, with the registers that go on from there
        probe ALL, 0
        mov edi, NEXT - 12
        mov ecx, 8
        mov eax, 0x55555555
        fault
        rep stosd
        page_fault 'rep-stos', 2, NEXT
        mov eax, ecx
        expect 'rep-stos-count', 5
        mov eax, edi
        expect 'rep-stos-index', NEXT
        mov eax, [BACKING + 0xff4]
        expect 'rep-stos-wrote', 0x55555555
        ; unaligned: the element that does not fit is not written at all
        probe ALL, 0
        mov dword [BACKING + 0xffc], 0x66666666
        mov edi, NEXT - 6
        mov ecx, 2
        fault
        rep stosd
        page_fault 'rep-stos-across', 2, NEXT
        mov eax, ecx
        expect 'rep-stos-across-count', 1
        mov eax, [BACKING + 0xffc]
        expect 'rep-stos-across-wrote', 0x66665555
        probe ALL, ALL
        ; a fetch across: the fault is at the second page, the instruction begins on the first
        mov byte [BACKING + 0xffe], 0xb8        ; mov eax, imm32
        probe ALL, 0
        mov dword [resume], .fetched
        mov dword [caught_vector], -1
        mov [ring0_esp], esp
        mov eax, NEXT - 2
        call eax
.fetched:
        mov esp, [ring0_esp]
        mov dword [resume], 0
        mov eax, [caught_cr2]
        expect 'fetch-across-cr2', NEXT
        mov eax, [caught_eip]
        expect 'fetch-across-eip', NEXT - 2
        probe ALL, ALL
        ret

large_pages:
        mov dword [directory + 4 * (LARGE >> 22)], (BACKING & ~0x3fffff) | ALL | PS
        call forget
        mov eax, [LARGE + (BACKING & 0x3fffff) + 0x1000]
        expect 'large-page', 0x22222222
        flags 'large-page-accessed', directory + 4 * (LARGE >> 22), A
        mov [LARGE + 0x20], eax
        flags 'large-page-dirty', directory + 4 * (LARGE >> 22), A | D
        mov dword [directory + 4 * (LARGE >> 22)], (BACKING & ~0x3fffff) | ALL | PS | (1 << 21)
        call forget
        fault
        mov eax, [LARGE + 4]
        page_fault 'large-page-bit-21-is-reserved', 9, LARGE + 4
        mov dword [directory + 4 * (LARGE >> 22)], (BACKING & ~0x3fffff) | P | U | PS
        call forget
        user 'user-writes-a-read-only-large-page', 7, user_large
        mov dword [directory + 4 * (LARGE >> 22)], (BACKING & ~0x3fffff) | P | W | PS
        call forget
        user 'user-writes-a-supervisor-large-page', 7, user_large
        ; a 4 KiB address inside forgets the whole of it
        mov dword [directory + 4 * (LARGE >> 22)], (BACKING & ~0x3fffff) | ALL | PS
        call forget
        mov eax, [LARGE + 4]
        mov eax, [LARGE + 0x123000]
        mov dword [directory + 4 * (LARGE >> 22)], 0
        invlpg [LARGE + 0x345678]
        fault
        mov eax, [LARGE + 0x123000]
        page_fault 'invlpg-anywhere-in-a-large-page', 0, LARGE + 0x123000
        ; without PSE the bit means nothing, and the entry names a table
        mov dword [directory + 4 * (LARGE >> 22)], probe_table + ALL + PS
        mov eax, cr4
        and eax, ~CR4_PSE
        call no_pse
        expect 'without-pse-ps-is-ignored', 0x11111111
        ret
; EAX: CR4 without PSE. Everything that runs meanwhile lies in the first 4 MiB. EAX: what LARGE + 4 reads as.
no_pse: mov cr4, eax
        mov ebx, [LARGE + 4]
        or eax, CR4_PSE
        mov cr4, eax
        mov eax, ebx
        ret
user_large:
        mov eax, USER_DATA32
        mov ds, eax
        mov [LARGE + 0x20], eax
        hlt

; ---- PAE ----

%macro probe_pae 1-2 0          ; flags, high half
        mov dword [pae_table], BACKING | (%1)
        mov dword [pae_table + 4], %2
        call forget
%endmacro

pae:    xor ecx, ecx
.map:   mov eax, ecx
        shl eax, 21
        or eax, ALL | PS
        mov [pae_directory + ecx * 8], eax
        mov dword [pae_directory + ecx * 8 + 4], 0
        inc ecx
        cmp ecx, 32
        jb .map
        mov dword [pae_directory + 8 * (PROBE >> 21)], pae_table + ALL
        mov dword [pae_table + 8], (BACKING + 0x1000) | ALL
        mov dword [pdptes], pae_directory + P
        mov eax, cr4
        or eax, CR4_PAE
        mov cr4, eax
        mov eax, pdptes
        mov cr3, eax
        mov eax, cr0
        or eax, CR0_PG_BIT
        mov cr0, eax
        jmp .on
.on:    probe_pae ALL
        mov eax, [PROBE + 4]
        expect 'pae', 0x11111111
        flags 'pae-accessed', pae_table, A
        mov [PROBE + 0x20], eax
        flags 'pae-dirty', pae_table, A | D
        mov eax, [pdptes]
        and eax, A | D
        expect 'pdptes-have-no-such-flags', 0
        probe_pae ALL, 1 << 19                  ; bit 51
        fault
        mov eax, [PROBE + 4]
        page_fault 'pae-reserved', 9, PROBE + 4
        probe_pae ALL, 1 << 30                  ; bit 62: not ignored here, as in 4-level paging
        fault
        mov eax, [PROBE + 4]
        page_fault 'pae-bit-62-is-reserved', 9, PROBE + 4
        probe_pae ALL, 1 << 31
        fault
        mov eax, [PROBE + 4]
        page_fault 'pae-nx-without-nxe', 9, PROBE + 4
        mov ecx, IA32_EFER
        rdmsr
        or eax, EFER_NXE
        wrmsr
        call forget
        mov eax, [PROBE + 4]
        expect 'pae-nx-can-be-read', 0x11111111
        mov dword [resume], .fetched
        mov dword [caught_vector], -1
        mov [ring0_esp], esp
        call PROBE
        mov dword [caught_error], -2
.fetched:
        mov esp, [ring0_esp]
        mov dword [resume], 0
        mov eax, [caught_error]
        expect 'pae-nx', 0x11
        mov ecx, IA32_EFER
        rdmsr
        and eax, ~EFER_NXE
        wrmsr
        probe_pae ALL
        or dword [pae_directory + 8 * (LARGE >> 21)], 1 << 13
        call forget
        fault
        mov eax, [LARGE + 4]
        page_fault 'pae-2-mib-bit-13-is-reserved', 9, LARGE + 4
        and dword [pae_directory + 8 * (LARGE >> 21)], ~(1 << 13)
        call forget
        mov [LARGE + 0x20], eax
        flags 'pae-2-mib-dirty', pae_directory + 8 * (LARGE >> 21), A | D
        ; the four PDPTEs are loaded with CR3, and not looked up again (section 4.4.1)
        mov dword [pdptes + 8], pae_directory + P
        fault
        mov eax, [0x40000000 + BACKING + 4]
        page_fault 'pdptes-are-registers', 0, 0x40000000 + BACKING + 4
        call forget
        mov eax, [0x40000000 + BACKING + 4]
        expect 'cr3-loads-pdptes', 0x11111111
        mov dword [pdptes + 8], 0
        mov eax, [0x40000000 + BACKING + 4]
        expect 'pdptes-stay', 0x11111111
        ; reserved bits are looked at when they are loaded: #GP, and CR3 keeps its value
        mov dword [pdptes + 16], pae_directory + P + W
        mov eax, pdptes
        catch_here
        mov cr3, eax
        caught 'pdpte-bit-1-is-reserved', 13, 0
        mov dword [pdptes + 16], pae_directory + P + (1 << 5)
        catch_here
        mov cr3, eax
        caught 'pdpte-bit-5-is-reserved', 13, 0
        mov dword [pdptes + 16], pae_directory + P
        mov dword [pdptes + 20], 1 << 19
        catch_here
        mov cr3, eax
        caught 'pdpte-bit-51-is-reserved', 13, 0
        mov eax, [0x40000000 + BACKING + 4]
        expect 'refused-cr3-keeps-the-pdptes', 0x11111111
        mov dword [pdptes + 16], W              ; absent: nothing of it counts
        mov eax, pdptes
        mov cr3, eax
        ok 'absent-pdpte-may-have-any-bits'
        mov dword [pdptes + 20], 0
        fault
        mov eax, [0x80000000]
        page_fault 'absent-pdpte', 0, 0x80000000
        ; an entry of the directory that is refused because of CR4.PGE or PSE is one of PAE, too
        mov dword [pdptes + 16], pae_directory + P + W
        mov eax, cr4
        xor eax, 1 << 7
        catch_here
        mov cr4, eax
        caught 'pdptes-are-loaded-with-cr4-pge', 13, 0
        mov dword [pdptes + 16], 0
        user 'pae-user-writes-its-page', -1, user_write
        probe_pae P | W
        user 'pae-user-writes-a-supervisor-page', 7, user_write
        probe_pae P | U
        user 'pae-user-writes-a-read-only-page', 7, user_write
        mov eax, cr0
        and eax, ~CR0_PG_BIT
        mov cr0, eax
        jmp .off
.off:   mov eax, cr4
        and eax, ~CR4_PAE
        mov cr4, eax
        ret
