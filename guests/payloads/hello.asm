; The smallest guest: it was loaded, runs in 32-bit protected mode, has a stack and a console.
%include "payload.inc"

main:
        mov [0x500], eax        ; RAM below 1 MiB is there
        mov eax, cr0
        and eax, CR0_PE | CR0_PG
        expect 'protected-mode-without-paging', CR0_PE
        mov eax, [multiboot_information]
        mov eax, [eax]
        and eax, 1              ; flags bit 0: memory sizes (Multiboot section 3.3)
        expect 'loader-reports-memory', 1
        mov dword [0x7000], 0x600dcafe
        mov eax, [0x7000]
        expect 'low-memory-holds-data', 0x600dcafe
        ret
