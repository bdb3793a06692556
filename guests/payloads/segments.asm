; Segment descriptors (SDM 3A sections 3.4, 3.5, 5.3 to 5.7): all 256 access bytes at every RPL under LAR, LSL, VERR, VERW and
; loads of DS, SS, LDTR and TR, at level 0 and 3, as checksums; limits, expand-down segments, null selectors, ARPL.
%include "payload.inc"
%include "system.inc"

PROBE           equ 0x60
DOWN16          equ 0x68        ; expand-down, limit 0xfff, B = 0
DOWN32          equ 0x70        ; expand-down, limit 0xfff, B = 1
LOCAL           equ 0x78        ; an LDT
READ_ONLY       equ 0x80
EXECUTE_ONLY    equ 0x88
GRANULAR        equ 0x90        ; limit 1 page
EMPTY           equ 0x98        ; expand-down with the highest limit: holds nothing

main:   call system_init
        descriptor DOWN16, 0, 0xfff, 0x0097
        descriptor DOWN32, 0, 0xfff, 0x4097
        descriptor LOCAL, gdt, 63, 0x82
        descriptor READ_ONLY, 0, 0xfffff, 0xc091
        descriptor EXECUTE_ONLY, 0, 0xfffff, 0xc099
        descriptor GRANULAR, 0, 0, 0xc093
        descriptor EMPTY, 0, 0xfffff, 0xc097
        call every_access_byte
        call limits
        call nulls
        call local_table
        call adjust
        ret

; For each RPL and access byte: what the four instructions find and what the loads raise.
every_access_byte:
        mov dword [rpl], 0
.rpl:   mov dword [access], 0
.next:  call rewrite
        mov ebx, PROBE
        or ebx, [rpl]
        call look
        inc dword [access]
        cmp dword [access], 256
        jb .next
        inc dword [rpl]
        cmp dword [rpl], 4
        jb .rpl
        sum 'lar-lsl-verr-verw-at-level-0'

        mov dword [rpl], 0
.urpl:  mov dword [access], 0
.unext: call rewrite
        mov ebx, PROBE
        or ebx, [rpl]
        in_user .look
        mov eax, [caught_vector]
        call mix
        inc dword [access]
        cmp dword [access], 256
        jb .unext
        inc dword [rpl]
        cmp dword [rpl], 4
        jb .urpl
        sum 'lar-lsl-verr-verw-at-level-3'

%macro loads 2          ; 'name', instruction operands follow as a routine that loads BX
        mov dword [rpl], 0
%%rpl:  mov dword [access], 0
%%next: call rewrite
        mov ebx, PROBE
        or ebx, [rpl]
        mov dword [caught_vector], -1
        mov dword [caught_error], 0
        mov dword [resume], %%back
        mov [ring0_esp], esp
        call %2
%%back: mov ecx, DATA32
        mov ds, ecx
        mov es, ecx
        mov dword [resume], 0
        mov esp, [ring0_esp]
        mov ss, ecx
        mov eax, [caught_vector]
        shl eax, 16
        or eax, [caught_error]
        call mix
        mov eax, [wide_gdt + PROBE + 4]         ; accessed and busy bits
        call mix
        inc dword [access]
        cmp dword [access], 256
        jb %%next
        inc dword [rpl]
        cmp dword [rpl], 4
        jb %%rpl
        sum %1
%endmacro
        loads 'load-ds-at-level-0', load_ds
        loads 'load-ss-at-level-0', load_ss
        loads 'lldt', load_ldt
        loads 'ltr', load_tr
        and byte [wide_gdt + TASK_STATE + 5], ~2
        mov eax, TASK_STATE
        ltr ax
        xor eax, eax
        lldt ax
        loads 'load-ds-at-level-3', user_ds
        loads 'load-ss-at-level-3', user_ss
        ret
.look:  push ss
        pop ds
        call look
        ud2

load_ds:
        mov ds, ebx
        ret
load_ss:
        mov ss, ebx
        mov ecx, DATA32
        mov ss, ecx
        ret
load_ldt:
        lldt bx
        ret
load_tr:
        ltr bx
        ret
%macro to_user 1
        push dword USER_DATA32
        push dword user_stack_top
        push dword 2
        push dword USER_CODE32
        push dword %1
        iret
%endmacro
user_ds:
        to_user .user
.user:  mov ds, ebx
        ud2
user_ss:
        to_user .user
.user:  mov ss, ebx
        ud2

; PROBE gets the access byte; system types 0-15, code and data 16-31, DPL and P as the byte says
rewrite:
        descriptor PROBE, 0x00300000, 0x1234, 0
        mov al, [access]
        mov [wide_gdt + PROBE + 5], al
        ret

look:   mov edx, 0x5a5a5a5a
        lar edx, ebx
        setz al
        movzx eax, al
        call mix
        mov eax, edx
        and eax, 0x00f0ff00             ; bits 19:16 are undefined (SDM 2A, LAR)
        call mix
        mov edx, 0x5a5a5a5a
        lsl edx, ebx
        mov eax, edx
        call mix
        mov dx, 0x5a5a
        lar dx, bx
        movzx eax, dx
        call mix
        verr bx
        setz al
        movzx eax, al
        call mix
        verw bx
        setz al
        movzx eax, al
        call mix
        ret

limits: mov eax, DOWN16
        mov fs, eax
        mov al, [fs:0x1000]
        mov eax, [fs:0xfffc]
        ok 'down-16-inside'
        catch_here
        mov al, [fs:0xfff]
        caught 'down-16-below', GP, 0
        catch_here
        mov eax, [fs:0xfffd]
        caught 'down-16-above', GP, 0
        mov eax, DOWN32
        mov fs, eax
        mov eax, [fs:0x1000]
        mov eax, [fs:0x10000]
        ok 'down-32-inside'
        catch_here
        mov eax, [fs:0xffd]
        caught 'down-32-below', GP, 0
        mov eax, EMPTY
        mov fs, eax
        catch_here
        mov al, [fs:0x1000]
        caught 'down-empty', GP, 0
        mov eax, GRANULAR
        mov fs, eax
        mov eax, [fs:0xffc]
        ok 'granular-inside'
        catch_here
        mov eax, [fs:0xffd]
        caught 'granular-beyond', GP, 0
        catch_here
        mov [fs:0xffffffff], ax
        caught 'granular-at-the-top', GP, 0
        mov eax, READ_ONLY
        mov fs, eax
        mov eax, [fs:0x1000]
        catch_here
        mov [fs:0x1000], eax
        caught 'write-read-only', GP, 0
        catch_here
        add dword [fs:0x1000], 1
        caught 'rmw-read-only', GP, 0
        mov eax, EXECUTE_ONLY
        catch_here
        mov fs, eax
        caught 'load-execute-only', GP, EXECUTE_ONLY
        catch_here
        mov [cs:dummy], eax
        caught 'write-through-cs', GP, 0
        mov eax, [cs:dummy]
        ok 'read-through-cs'
        ret

nulls:  xor eax, eax
        mov fs, eax
        mov ax, 3
        mov gs, ax
        mov eax, gs
        expect 'null-keeps-its-rpl', 3
        catch_here
        mov eax, [fs:0]
        caught 'null-read', GP, 0
        catch_here
        mov [gs:0], eax
        caught 'null-write', GP, 0
        catch_here
        gs lodsb
        caught 'null-string', GP, 0
        lea eax, [fs:0x1234]
        expect 'null-lea', 0x1234
        mov eax, DATA32
        mov fs, eax
        mov gs, eax
        ret

local_table:
        mov eax, DATA32 | 4
        catch_here
        mov fs, eax
        caught 'no-ldt', GP, DATA32 | 4
        mov eax, LOCAL
        lldt ax
        sldt eax
        expect 'sldt', LOCAL
        mov eax, DATA32 | 4
        mov fs, eax
        mov eax, fs
        expect 'ldt-selector', DATA32 | 4
        mov eax, 0x40 | 4
        catch_here
        mov fs, eax
        caught 'beyond-ldt', GP, 0x40 | 4
        mov eax, LOCAL | 4
        catch_here
        lldt ax
        caught 'lldt-from-ldt', GP, LOCAL | 4
        mov eax, TASK_STATE | 4
        catch_here
        ltr ax
        caught 'ltr-from-ldt', GP, TASK_STATE | 4
        xor eax, eax
        lldt ax
        catch_here
        ltr ax
        caught 'ltr-null', GP, 0
        mov eax, DATA32
        mov fs, eax
        ret

adjust: xor esi, esi
.next:  mov eax, esi
        and eax, 3
        or eax, 0x1230
        mov ecx, esi
        shr ecx, 2
        or ecx, 0x5670
        arpl ax, cx
        setz dl
        movzx edx, dl
        shl edx, 16
        or eax, edx
        call mix
        inc esi
        cmp esi, 16
        jb .next
        sum 'arpl'
        ret

section .data
rpl:    dd 0
access: dd 0
dummy:  dd 0
