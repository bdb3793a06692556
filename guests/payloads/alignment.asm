; Alignment checks (SDM 3A section 6.15, #AC): level 3 with CR0.AM and EFLAGS.AC, and nowhere else.
%include "payload.inc"
%include "system.inc"

CR0_AM  equ 1 << 18
AC      equ 1 << 18

%macro aligned 2        ; 'name', label: runs through to its UD2
        in_user %2
        mov eax, [caught_vector]
        expect %1, UD
%endmacro

main:   call system_init
        mov eax, cr0
        or eax, CR0_AM
        mov cr0, eax
        or dword [user_eflags], AC
        aligned 'aligned', .aligned
        user_fault 'read-2', 17, 0, read2
        user_fault 'read-4', 17, 0, read4
        user_fault 'write-4', 17, 0, write4
        user_fault 'rmw-4', 17, 0, rmw4
        user_fault 'push', 17, 0, push4
        user_fault 'movsd', 17, 0, movs
        user_fault 'fld-8', 17, 0, fld8
        memory 'write-4-wrote-nothing', buffer, 0
        aligned 'bytes', .bytes
        user_fault 'across-a-page', 17, 0, across
        user_fault 'popf-starts-it', 17, 0, popf_on
        aligned 'popf-ends-it', .popf_off
        ; level 0 is not checked
        pushfd
        or dword [esp], AC
        popfd
        mov eax, [buffer + 1]
        ok 'supervisor-is-not-checked'
        pushfd
        and dword [esp], ~AC
        popfd
        ; without AC, without AM
        and dword [user_eflags], ~AC
        aligned 'without-ac', .without
        or dword [user_eflags], AC
        mov eax, cr0
        and eax, ~CR0_AM
        mov cr0, eax
        aligned 'without-am', .without
        ret
.aligned:
        mov eax, [ss:buffer]
        mov ax, [ss:buffer + 2]
        mov [ss:buffer + 8], eax
        push eax
        pop eax
        ud2
.bytes: mov al, [ss:buffer + 3]
        mov [ss:buffer + 5], al
        ud2
.popf_off:
        pushfd
        and dword [esp], ~AC
        popfd
        mov eax, [ss:buffer + 1]
        ud2
.without:
        mov eax, [ss:buffer + 1]
        mov eax, [ss:buffer + 3]
        ud2
read2:
.fault: mov ax, [ss:buffer + 1]
read4:
.fault: mov eax, [ss:buffer + 2]
write4:
.fault: mov dword [ss:buffer + 1], -1
rmw4:
.fault: add dword [ss:buffer + 3], 1
push4:  dec esp
.fault: push eax
movs:   mov eax, ss
        mov ds, eax
        mov es, eax
        mov esi, buffer
        mov edi, buffer + 9
        cld
.fault: movsd
fld8:
.fault: fld qword [ss:buffer + 4]
across:
.fault: mov eax, [ss:buffer + 4094]
popf_on:
        pushfd
        and dword [esp], ~AC
        popfd
        mov eax, [ss:buffer + 1]
        pushfd
        or dword [esp], AC
        popfd
.fault: mov eax, [ss:buffer + 1]

section .bss
alignb 4096
buffer: resb 8192
