; Paging's protections in 64-bit mode (SDM 3A sections 2.5, 4.5, 4.6, 4.10): NX, SMEP, SMAP, UMIP, reserved bits, accessed and dirty
; flags, global pages, PCIDs and INVPCID; and non-canonical addresses wherever an address can be one (SDM 1 section 3.3.7.1).
%include "payload.inc"
%include "system.inc"
%include "long-system.inc"
cpu default                     ; SMAP and PCID are newer than what `x64` stands for

CR4_PGE         equ 1 << 7
CR4_UMIP        equ 1 << 11
CR4_PCIDE       equ 1 << 17
CR4_SMEP        equ 1 << 20
CR4_SMAP        equ 1 << 21
EFER_NXE        equ 1 << 11
AC              equ 1 << 18
IA32_LSTAR      equ 0xc0000082
LOCAL           equ 0xc0
OTHER           equ 0xa00000    ; physical pages to map at PROBE_PAGE
ANOTHER         equ 0xa01000

main:   call system_init
        mov eax, 7
        xor ecx, ecx
        cpuid
        mov [leaf7_ebx], ebx
        mov [leaf7_ecx], ecx
        mov eax, 1
        cpuid
        mov [leaf1_ecx], ecx
        descriptor LOCAL, PROBE_PAGE + 0x400, 15, 0x82
        mov ebx, protections
        call in_long_mode
        mov ebx, addresses
        call in_long_mode
        ret
bits 64
%macro cr4_set 1
        mov rax, cr4
        or rax, %1
        mov cr4, rax
%endmacro
%macro cr4_clear 1
        mov rax, cr4
        and rax, ~(%1)
        mov cr4, rax
%endmacro
%macro feature 3        ; [word], bit, where to go without it
        bt dword %1, %2
        jnc %3
%endmacro

protections:
        mov dword [OTHER], 0x11111111
        mov dword [ANOTHER], 0x22222222
        mov byte [OTHER + 0x800], 0xc3          ; RET
        call reserved
        call no_execute
        call supervisor_execution
        call supervisor_access
        call user_instructions
        call global_pages
        call contexts
        ret
; On their own and last: TCG is lost among them, and results are printed on the way back
addresses:
        call non_canonical
        call control_registers
        ret

reserved:
        probe PTE_P | PTE_W, OTHER, 1 << 19     ; bit 51: above any MAXPHYADDR here
        catch64
        mov eax, [PROBE_PAGE]
        caught64 'reserved-pte', 14, 9
        probe PTE_P | PTE_W, OTHER, 0
        or dword [pages_2m + 5 * 8], 1 << 13
        invlpg [0xa00000]
        catch64
        mov eax, [0xa00000]
        caught64 'reserved-in-2-mib-entry', 14, 9
        and dword [pages_2m + 5 * 8], ~(1 << 13)
        invlpg [0xa00000]
        probe PTE_P | PTE_W, OTHER, 0
        mov eax, [PROBE_PAGE]
        check 'mapped', 0x11111111
        mov eax, [probe_table]
        and eax, PTE_A | PTE_D
        check 'accessed', PTE_A
        mov dword [PROBE_PAGE + 8], 1
        mov eax, [probe_table]
        and eax, PTE_A | PTE_D
        check 'dirty', PTE_A | PTE_D
        probe 0, OTHER, 0
        catch64
        mov eax, [PROBE_PAGE + 0x123]
        caught64 'absent', 14, 0
        mov rax, [caught_cr264]
        check 'absent-cr2', PROBE_PAGE + 0x123
        probe PTE_P, OTHER, 0
        mov dword [PROBE_PAGE + 8], 2           ; WP is clear
        mov rax, cr0
        or eax, CR0_WP
        mov cr0, rax
        catch64
        mov dword [PROBE_PAGE + 8], 3
        caught64 'write-protected', 14, 3
        mov rax, cr0
        and eax, ~CR0_WP
        mov cr0, rax
        ret

no_execute:
        probe PTE_P | PTE_W, OTHER, 1 << 31
        catch64
        mov eax, [PROBE_PAGE]
        caught64 'nx-is-reserved-without-nxe', 14, 9
        mov ecx, IA32_EFER
        rdmsr
        or eax, EFER_NXE
        wrmsr
        probe PTE_P | PTE_W, OTHER, 1 << 31
        mov eax, [PROBE_PAGE]
        check 'nx-page-can-be-read', 0x11111111
        mov ebx, PROBE_PAGE + 0x800
        catch64
        call rbx
        caught64_at 'nx', 14, 0x11, PROBE_PAGE + 0x800
        probe PTE_P | PTE_W, OTHER, 0
        call rbx
        mov ecx, IA32_EFER
        rdmsr
        and eax, ~EFER_NXE
        wrmsr
        ret

supervisor_execution:
        feature [leaf7_ebx], 7, .absent
        probe PTE_P | PTE_W | PTE_U, OTHER, 0
        mov ebx, PROBE_PAGE + 0x800
        call rbx
        cr4_set CR4_SMEP
        catch64
        call rbx
        caught64_at 'smep', 14, 0x11, PROBE_PAGE + 0x800
        mov eax, [PROBE_PAGE]
        check 'smep-reads', 0x11111111
        probe PTE_P | PTE_W, OTHER, 0
        call rbx
        cr4_clear CR4_SMEP
.absent:
        ret

supervisor_access:
        feature [leaf7_ebx], 20, .absent
        probe PTE_P | PTE_W | PTE_U, OTHER, 0
        mov eax, [PROBE_PAGE]
        cr4_set CR4_SMAP
        catch64
        mov eax, [PROBE_PAGE]
        caught64 'smap-read', 14, 1
        catch64
        mov dword [PROBE_PAGE + 8], 1
        caught64 'smap-write', 14, 3
        stac
        mov eax, [PROBE_PAGE]
        mov dword [PROBE_PAGE + 8], 1
        pushfq
        pop rbx
        clac
        and ebx, AC
        mov eax, ebx
        check 'smap-stac', AC
        catch64
        mov eax, [PROBE_PAGE]
        caught64 'smap-clac', 14, 1
        mov esi, PROBE_PAGE
        mov edi, PROBE_PAGE + 0x100
        mov ecx, 4
        catch64
        rep movsb
        caught64 'smap-string', 14, 1
        ; POPF sets AC as STAC does
        pushfq
        or dword [rsp], AC
        popfq
        mov eax, [PROBE_PAGE]
        check 'smap-popf', 0x11111111
        ; an access that the processor makes by itself is never permitted by AC: an LDT in a user page
        mov rax, [wide_gdt + DATA32]
        mov [PROBE_PAGE + 0x400], rax
        mov eax, LOCAL
        lldt ax
        mov eax, 4
        catch64
        mov fs, eax
        caught64 'smap-implicit', 14, 1
        xor eax, eax
        lldt ax
        clac
        probe PTE_P | PTE_W, OTHER, 0
        mov eax, [PROBE_PAGE]
        check 'smap-supervisor-page', 0x11111111
        user_faults 'stac-at-level-3', UD, 0, u_stac
        cr4_clear CR4_SMAP
.absent:
        ret

user_instructions:
        feature [leaf7_ecx], 2, .absent
        user_faults 'without-umip', UD, 0, u_all
        cr4_set CR4_UMIP
        user_faults 'umip-sgdt', GP, 0, u_sgdt
        user_faults 'umip-sidt', GP, 0, u_sidt
        user_faults 'umip-sldt', GP, 0, u_sldt
        user_faults 'umip-str', GP, 0, u_str
        user_faults 'umip-smsw', GP, 0, u_smsw
        sgdt [scratch]
        str ax
        and eax, 0xffff
        check 'umip-str-at-level-0', TASK_STATE64
        cr4_clear CR4_UMIP
.absent:
        ret

global_pages:
        cr4_set CR4_PGE
        probe PTE_P | PTE_W | PTE_G, OTHER, 0
        mov eax, [PROBE_PAGE]
        mov dword [probe_table], ANOTHER | PTE_P | PTE_W | PTE_G
        invlpg [PROBE_PAGE]
        mov eax, [PROBE_PAGE]
        check 'invlpg-forgets-global-pages', 0x22222222
        mov dword [probe_table], OTHER | PTE_P | PTE_W | PTE_G
        cr4_clear CR4_PGE
        mov eax, [PROBE_PAGE]
        check 'clearing-pge-forgets-global-pages', 0x11111111
        mov dword [probe_table], ANOTHER | PTE_P | PTE_W | PTE_G
        cr4_set CR4_PGE
        mov eax, [PROBE_PAGE]
        check 'setting-pge-forgets', 0x22222222
        mov dword [probe_table], OTHER | PTE_P | PTE_W
        mov rax, cr3
        cr4_clear CR4_PGE
        mov eax, [PROBE_PAGE]
        mov dword [probe_table], ANOTHER | PTE_P | PTE_W | PTE_G
        mov rax, cr3
        mov cr3, rax
        mov eax, [PROBE_PAGE]
        check 'without-pge-cr3-forgets-all', 0x22222222
        ret

contexts:
        feature [leaf1_ecx], 17, .absent
        mov rax, cr3
        or eax, 0x18                            ; PWT and PCD are bits of the PCID now
        mov cr3, rax
        mov rbx, cr4
        or ebx, CR4_PCIDE
        catch64
        mov cr4, rbx
        caught64 'pcid-must-start-at-0', GP, 0
        mov eax, pml4
        mov cr3, rax
        mov cr4, rbx
        mov eax, pml4 + 5
        mov cr3, rax
        mov rax, cr3
        sub rax, pml4
        check 'pcid-reads-back', 5
        mov eax, pml4 + 6
        bts rax, 63
        mov cr3, rax
        mov rax, cr3
        sub rax, pml4
        check 'pcid-bit-63-is-no-address', 6
        mov rax, cr0
        mov rbx, rax
        and ebx, ~CR0_PG
        catch64
        mov cr0, rbx
        caught64 'pcid-holds-paging', GP, 0
        feature [leaf7_ebx], 10, .no_invpcid
        probe PTE_P | PTE_W | PTE_G, OTHER, 0
        mov eax, [PROBE_PAGE]
        mov dword [probe_table], ANOTHER | PTE_P | PTE_W | PTE_G
        mov ecx, 2
        invpcid rcx, [no_descriptor]
        mov eax, [PROBE_PAGE]
        check 'invpcid-all', 0x22222222
        mov dword [probe_table], OTHER | PTE_P | PTE_W
        xor ecx, ecx
        invpcid rcx, [probe_descriptor]
        mov eax, [PROBE_PAGE]
        check 'invpcid-address', 0x11111111
        mov dword [probe_table], ANOTHER | PTE_P | PTE_W
        mov ecx, 1
        invpcid rcx, [probe_descriptor]
        mov eax, [PROBE_PAGE]
        check 'invpcid-context', 0x22222222
        mov ecx, 4
        catch64
        invpcid rcx, [no_descriptor]
        caught64 'invpcid-type-4', GP, 0
        mov ecx, 1
        catch64
        invpcid rcx, [wrong_descriptor]
        caught64 'invpcid-reserved', GP, 0
        xor ecx, ecx
        catch64
        invpcid rcx, [far_descriptor]
        caught64 'invpcid-non-canonical', GP, 0
.no_invpcid:
        mov eax, pml4
        mov cr3, rax
        cr4_clear CR4_PCIDE
.absent:
        ret

; catch64 for code that has put RSP out of reach: it comes back on the stack in R12
%macro catch_nc 0
  %push catch64
        mov qword [resume64], %$after
        mov [resume_rsp], r12
        mov dword [caught_vector], -1
        mov dword [caught_error], 0
%$at:
%endmacro

non_canonical:
        mov rbx, NON_CANONICAL
        catch64
        mov rax, [rbx]
        caught64 'nc-load', GP, 0
        catch64
        mov [rbx], rax
        caught64 'nc-store', GP, 0
        catch64
        add dword [rbx], 1
        caught64 'nc-rmw', GP, 0
        mov rcx, 0xffff7fffffffffff
        catch64
        mov al, [rcx]
        caught64 'nc-upper', GP, 0
        mov rcx, 0x00007ffffffffffc
        catch64
        mov rax, [rcx]
        caught64 'nc-straddling', GP, 0
        mov rbp, rbx
        catch64
        mov rax, [rbp]
        caught64 'nc-through-rbp', SSF, 0
        catch64
        mov [rbp + 8], rax
        caught64 'nc-store-through-rbp', SSF, 0
        mov byte [idt64 + SSF * 16 + 4], 1      ; handlers on a stack of their own
        mov byte [idt64 + GP * 16 + 4], 1
        mov byte [idt64 + 14 * 16 + 4], 1
        mov r12, rsp
        mov rsp, rbx
        catch_nc
        push rax
        caught64 'nc-push', SSF, 0
        mov rsp, rbx
        catch_nc
        pop rax
        caught64 'nc-pop', SSF, 0
        mov rsp, rbx
        catch_nc
        call .near
        caught64 'nc-call', SSF, 0
        mov rsp, rbx
        catch_nc
        ret
        caught64 'nc-ret', SSF, 0
        mov rsp, rbx
        catch_nc
        mov rax, [rsp + 8]
        caught64 'nc-through-rsp', SSF, 0
        mov rsp, rbx
        catch_nc
        iretq
        caught64 'nc-iret', SSF, 0
        mov rsp, rbx
        catch_nc
        enter 16, 0
        caught64 'nc-enter', SSF, 0
        mov byte [idt64 + SSF * 16 + 4], 0
        mov byte [idt64 + GP * 16 + 4], 0
        mov byte [idt64 + 14 * 16 + 4], 0
        mov rsp, r12
        catch64
        push qword [rbx]
        caught64 'nc-push-operand', GP, 0
        catch64
        jmp rbx
        caught64 'nc-jmp', GP, 0
        catch64
        call rbx
        caught64 'nc-call-target', GP, 0
        catch64
        call [nc_pointer]
        caught64 'nc-call-through-memory', GP, 0
        push rbx
        catch64
        ret
        caught64 'nc-ret-target', GP, 0
        pop rax
        push qword DATA32
        push rsp
        push qword 2
        push qword CODE64
        push rbx
        catch64
        iretq
        caught64 'nc-iret-target', GP, 0
        add rsp, 40
        push qword CODE64
        push rbx
        catch64
        retfq
        caught64 'nc-retf-target', GP, 0
        add rsp, 16
        mov ecx, IA32_LSTAR
        xor eax, eax
        mov edx, 0x8000
        catch64
        wrmsr
        caught64 'nc-lstar', GP, 0
        mov ecx, 0xc0000100
        catch64
        wrmsr
        caught64 'nc-fs-base', GP, 0
        mov ecx, 0x176
        catch64
        wrmsr
        caught64 'nc-sysenter-eip', GP, 0
        catch64
        lgdt [nc_table]
        caught64 'nc-lgdt', GP, 0
        catch64
        lidt [nc_table]
        caught64 'nc-lidt', GP, 0
        invlpg [rbx]
        mov rsi, rbx
        catch64
        lodsb
        caught64 'nc-lods', GP, 0
        mov rdi, rbx
        mov ecx, 2
        catch64
        rep stosb
        caught64 'nc-stos', GP, 0
        catch64
        fxsave [rbx]
        caught64 'nc-fxsave', GP, 0
        catch64
        cmpxchg16b [rbx]
        caught64 'nc-cmpxchg16b', GP, 0
        prefetchnta [rbx]
        xor eax, eax
        check 'nc-prefetch-and-invlpg-do-not-fault', 0
        ret
.near:  ret

control_registers:
        mov rbx, cr4
        bts rbx, 31
        catch64
        mov cr4, rbx
        caught64 'cr4-reserved', GP, 0
        mov rbx, cr4
        bts rbx, 32
        catch64
        mov cr4, rbx
        caught64 'cr4-upper', GP, 0
        mov rbx, cr0
        bts rbx, 32
        catch64
        mov cr0, rbx
        caught64 'cr0-upper', GP, 0
        mov rbx, cr4
        and ebx, ~CR4_PAE
        catch64
        mov cr4, rbx
        caught64 'pae-holds-in-long-mode', GP, 0
        mov rbx, cr0
        and ebx, ~CR0_PG
        catch64
        mov cr0, rbx
        caught64 'paging-holds-in-64-bit-code', GP, 0
        mov rbx, cr0
        and ebx, ~CR0_PE
        catch64
        mov cr0, rbx
        caught64 'pe-holds-with-paging', GP, 0
        mov rbx, (1 << 62)
        catch64
        mov cr3, rbx
        caught64 'cr3-upper', GP, 0
        mov rbx, cr8
        mov rax, rbx
        check 'cr8', 0
        mov ebx, 16
        catch64
        mov cr8, rbx
        caught64 'cr8-above-15', GP, 0
        mov rbx, (1 << 32)
        catch64
        mov dr7, rbx
        caught64 'dr7-upper', GP, 0
        mov ecx, IA32_EFER
        rdmsr
        and eax, ~EFER_LME
        catch64
        wrmsr
        caught64 'lme-holds-with-paging', GP, 0
        mov ecx, 0x12345
        catch64
        rdmsr
        caught64 'no-such-msr', GP, 0
        user_faults 'user-mov-cr8', GP, 0, u_cr8
        user_faults 'user-rdmsr', GP, 0, u_rdmsr
        user_faults 'user-invlpg', GP, 0, u_invlpg
        user_faults 'user-clts', GP, 0, u_clts
        user_faults 'user-lgdt', GP, 0, u_lgdt
        user_faults 'user-swapgs', GP, 0, u_swapgs
        ret

section .data
align 16
user_begin:
u_stac:
.fault: stac
u_all:  sgdt [rsp - 16]
        sidt [rsp - 16]
        sldt eax
        str eax
        smsw eax
.fault: ud2
u_sgdt:
.fault: sgdt [rsp - 16]
u_sidt:
.fault: sidt [rsp - 16]
u_sldt:
.fault: sldt eax
u_str:
.fault: str [rsp - 8]
u_smsw:
.fault: smsw eax
u_cr8:
.fault: mov rax, cr8
u_rdmsr:
.fault: rdmsr
u_invlpg:
.fault: invlpg [rsp]
u_clts:
.fault: clts
u_lgdt:
.fault: lgdt [rsp]
u_swapgs:
.fault: swapgs
user_end:
bits 32
leaf7_ebx: dd 0
leaf7_ecx: dd 0
leaf1_ecx: dd 0
nc_table: dw 100
        dq NON_CANONICAL
nc_pointer: dq NON_CANONICAL
align 16
no_descriptor: dq 0, 0
probe_descriptor: dq 6, PROBE_PAGE
wrong_descriptor: dq 0x1000, 0
far_descriptor: dq 0, NON_CANONICAL
scratch: times 16 db 0
