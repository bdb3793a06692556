; Self-modifying code (SDM 3A section 8.1.3): what was stored is what runs next, after a jump or at the very next
; instruction on the same core (all processors since the Pentium Pro see to that), in the same page, across pages, through
; another mapping, and again and again.
%include "payload.inc"
%include "paging32.inc"

ROUNDS          equ 1000
OTHER_PAGE      equ 0x300000
ALIAS           equ 0x800000            ; a second address of OTHER_PAGE

main:
        call next_instruction
        call same_page
        call other_page
        call many_times
        call loop_body
        call strings
        call alias
        ret

; The immediate of the instruction that follows directly
next_instruction:
        mov dword [.patch + 1], 0x22222222
.patch: mov eax, 0x11111111
        expect 'next-instruction', 0x22222222
        ret

; A routine next to us, first run, then changed
same_page:
        call routine
        expect 'same-page-before', 1
        mov byte [routine + 1], 2
        call routine
        expect 'same-page-after', 2
        mov dword [routine], 0xc3c031           ; XOR EAX, EAX; RET
        call routine
        expect 'same-page-other-instructions', 0
        ret
routine:
        mov eax, 1
        ret

; Code copied to a page of its own, run, and rewritten from here
other_page:
        mov esi, same_page_template
        mov edi, OTHER_PAGE
        mov ecx, same_page_template.end - same_page_template
        rep movsb
        mov eax, OTHER_PAGE
        call eax
        expect 'other-page-before', 0x01010101
        mov dword [OTHER_PAGE + 1], 0x02020202
        mov eax, OTHER_PAGE
        call eax
        expect 'other-page-after', 0x02020202

        ; An instruction that lies across two pages, its second half changed
        mov dword [OTHER_PAGE + 0xffe], 0x555555b8 | 0x55000000        ; MOV EAX, 0x??555555 begins 2 bytes before the edge
        mov dword [OTHER_PAGE + 0x1002], 0xc355
        mov byte [OTHER_PAGE + 0x1003], 0xc3
        mov eax, OTHER_PAGE + 0xffe
        call eax
        expect 'across-pages-before', 0x55555555
        mov byte [OTHER_PAGE + 0x1001], 0xaa
        mov eax, OTHER_PAGE + 0xffe
        call eax
        expect 'across-pages-after', 0x55aa5555
        ret
same_page_template:
        mov eax, 0x01010101
        ret
.end:

; Run, rewrite, run: 1000 times, adding up what each version returned
many_times:
        xor ebx, ebx
        mov ecx, ROUNDS
.next:  mov [counted + 1], ecx
        call counted
        add ebx, eax
        loop .next
        mov eax, ebx
        expect 'rewritten-1000-times', ROUNDS * (ROUNDS + 1) / 2
        ret
counted:
        mov eax, 0
        ret

; A loop that changes its own body while it runs: ADD and SUB take turns
loop_body:
        mov eax, 1000
        mov ecx, ROUNDS
.next:
.body:  add eax, 3                      ; 83 /0 ib; /5 is SUB
        xor byte [.body + 1], 0x28
        loop .next
        expect 'loop-changes-itself', 1000
        mov byte [.body + 1], 0xc0
        ret

; Stores by string instructions reach code too
strings:
        mov edi, counted + 1
        mov eax, 0x31415926
        stosd
        call counted
        expect 'stosd-over-code', 0x31415926
        mov edi, counted
        mov esi, replacement
        mov ecx, replacement.end - replacement
        rep movsb
        call counted
        expect 'rep-movsb-over-code', 0x27182818
        mov dword [swap_value], 0x16180339
        mov eax, [swap_value]
        xchg eax, [counted + 1]
        call counted
        expect 'xchg-over-code', 0x16180339
        ret
replacement:
        mov eax, 0x27182818
        ret
.end:

; With paging: written at one linear address, run at another; and the mapping changed under the same address
alias:
        mov esi, same_page_template
        mov edi, OTHER_PAGE
        mov ecx, same_page_template.end - same_page_template
        rep movsb
        mov esi, same_page_template
        mov edi, OTHER_PAGE + 0x1000
        mov ecx, same_page_template.end - same_page_template
        rep movsb
        mov dword [OTHER_PAGE + 0x1000 + 1], 0x0b0b0b0b
        call paging_on
        mov dword [page_directory + (ALIAS >> 22) * 4], alias_table + PTE_PRESENT + PTE_WRITABLE
        mov dword [alias_table], OTHER_PAGE + PTE_PRESENT + PTE_WRITABLE
        mov eax, ALIAS
        call eax
        expect 'alias-before', 0x01010101
        mov dword [OTHER_PAGE + 1], 0x0a0a0a0a
        mov eax, ALIAS
        call eax
        expect 'alias-after', 0x0a0a0a0a
        mov dword [alias_table], OTHER_PAGE + 0x1000 + PTE_PRESENT + PTE_WRITABLE
        invlpg [ALIAS]
        mov eax, ALIAS
        call eax
        expect 'remapped', 0x0b0b0b0b
        ret

section .data
swap_value: dd 0
section .bss
alignb 4096
alias_table: resd 1024
