; Real-address mode (SDM 3B chapter 21) and "unreal" mode, which keeps limits and attributes that were loaded in protected mode (SDM 3A
; section 9.9.2): what limits forbid, what is undefined there, what an exception leaves on the stack.
%include "payload.inc"

LOW     equ 0x8000              ; the 16-bit code is copied here, and its stack ends here
HIGH    equ 0x300000            ; RAM that 16 bits of offset do not reach
SCRATCH equ 0xa000
MARK    equ 0x11223344
WRITTEN equ 0xcafe1234
UD      equ 6
NM      equ 7
SSF     equ 12
GP      equ 13
NOTHING equ 0xffff

%define low(x) (LOW + (x) - low_begin)
%assign slots 0

; In 16-bit code. note 'name', wanted: EAX is compared when protected mode is back
%macro note 2
        mov [cs:low(results) + 4 * slots], eax
section .data
check_%[slots]:
        dd %2
        db %1, 0
section .text
  %assign slots slots + 1
%endmacro

; noted 'name', label, wanted: of a word in memory
%macro noted 3
        movzx eax, word [cs:low(%2)]
        note %1, %3
%endmacro

; try instruction: when it faults, execution goes on behind it
%macro try 1+
        mov word [cs:low(raised)], NOTHING
        mov word [cs:low(resume_at)], low(%%behind)
        mov word [cs:low(tried)], low(%%here)
%%here: %1
%%behind:
%endmacro

; faults 'name', raised, instruction: and the address on the stack is the instruction's
%macro faults 3+
        try %3
        noted %1, raised, %2
        movzx eax, word [cs:low(saved_ip)]
        sub ax, [cs:low(tried)]
        note {%1, '-ip'}, 0
%endmacro

; Back to protected mode, to report; the next stage follows.
%macro stage_ends 0
        mov word [low(filled)], slots
        mov word [low(next_stage)], low(%%next)
        mov eax, cr0
        or al, CR0_PE
        mov cr0, eax
        jmp dword CODE32:back
%%next:
%endmacro

main:   mov dword [HIGH], MARK
        mov dword [HIGH + 4], 0
        mov esi, low_begin
        mov edi, LOW
        mov ecx, low_end - low_begin
        rep movsb
        xor ebx, ebx                    ; the vector table: everything goes to the stubs
.next:  lea eax, [ebx * 4 + low(stubs)] ; a stub is 4 bytes long
        mov [ebx * 4], ax
        mov word [ebx * 4 + 2], 0
        inc ebx
        cmp ebx, 32
        jb .next
        mov [protected_esp], esp
enter_real_mode:
        jmp CODE16:LOW

back:   mov eax, DATA32
        mov ds, eax
        mov es, eax
        mov fs, eax
        mov gs, eax
        mov ss, eax
        mov esp, [protected_esp]
        lidt [idt_register]
.next:  mov ebx, [reported]
        mov esi, [checks + ebx * 4]
        mov edx, [esi]
        add esi, 4
        mov eax, [low(results) + ebx * 4]
        call report
        inc ebx
        mov [reported], ebx
        cmp bx, [low(filled)]
        jb .next
        cmp ebx, CHECKS
        jb enter_real_mode
        ret

bits 16
align 16
low_begin:
        mov eax, DATA32                 ; 4 GiB
        mov es, ax
        mov fs, ax
        mov eax, DATA16                 ; 64 KiB
        mov ds, ax
        mov gs, ax
        mov ss, ax
        lidt [low(real_idt)]
        mov eax, cr0
        and eax, ~CR0_PE
        mov cr0, eax
        jmp 0:low(real)
real:   xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, LOW
        jmp [low(next_stage)]

; ---- Unreal mode ----

first_stage:
        xor eax, eax
        try mov eax, [fs:dword HIGH]
        note 'unreal-read', MARK
        try mov dword [fs:dword HIGH + 4], WRITTEN
        mov eax, [fs:dword HIGH + 4]
        note 'unreal-write', WRITTEN
        mov ax, 0x1000                  ; a new selector gives a new base, and the limit stays
        mov fs, ax
        xor eax, eax
        try mov eax, [fs:dword HIGH - 0x10000]
        note 'unreal-selector-changes-the-base', MARK
        mov byte [fs:1], 0x5a           ; 16-bit offsets wrap all the same
        xor eax, eax
        mov bx, 0xfffe
        try mov al, [fs:bx + 3]
        note 'unreal-offset-of-16-bits-wraps', 0x5a
        mov esi, HIGH - 0x10000
        mov edi, HIGH + 0x100
        mov ecx, 2
        try a32 fs rep movsd
        mov eax, [es:dword HIGH + 0x104]
        note 'unreal-string', WRITTEN
        mov eax, esi
        note 'unreal-string-esi', HIGH - 0x10000 + 8
        mov eax, ecx
        note 'unreal-string-ecx', 0

; ---- Offsets and stacks of 16 bits ----

%define STACK 0x3000                    ; a segment for a stack of its own
        mov eax, STACK
        mov ss, ax
        mov sp, 0
        push word 0x1234                ; the stack pointer wraps
        movzx ecx, sp
        mov ds, ax
        mov ax, [0xfffe]
        pop dx
        movzx ebx, sp
        xor si, si
        mov ds, si
        movzx eax, ax
        note 'push-at-0', 0x1234
        mov eax, ecx
        note 'push-at-0-sp', 0xfffe
        mov eax, ebx
        note 'pop-at-fffe-sp', 0
        mov esp, 0xabcd0004             ; and the upper half of ESP takes no part
        mov edi, 0x22221111
        pusha
        mov ecx, esp
        mov bp, sp
        movzx ebx, word [bp + 6]        ; SP as it was
        movzx eax, word [bp]
        note 'pusha-across-0', 0x1111
        mov eax, ecx
        note 'pusha-across-0-esp', 0xabcdfff4
        mov eax, ebx
        note 'pusha-pushed-sp', 4
        mov word [bp], 0x3333
        popa
        mov eax, esp
        note 'popa-across-0-esp', 0xabcd0004
        mov eax, edi
        note 'popa-leaves-upper-halves', 0x22223333
        pushad
        mov eax, esp
        note 'pushad-across-0-esp', 0xabcdffe4
        popad
        faults 'exception-across-0', UD, ud2
        noted 'exception-across-0-sp', saved_sp, 4
        mov sp, 2
        call 0:low(.wrapped)
        jmp .wrapped_done
.wrapped:
        movzx ebx, sp
        retf
.wrapped_done:
        movzx eax, sp
        note 'return-far-across-0-sp', 2
        mov eax, ebx
        note 'call-far-across-0-sp', 0xfffe
        mov esp, 0x100
        mov ebp, 0x77770050
        enter 16, 0
        mov eax, ebp
        note 'enter-ebp', 0x777700fe
        mov eax, esp
        note 'enter-esp', 0xee
        leave
        mov eax, ebp
        note 'leave-ebp', 0x77770050
        mov word [bp - 2], 0x1a1a       ; frame pointers of the levels outside
        mov word [bp - 4], 0x2b2b
        enter 8, 3
        movzx eax, word [bp - 2]
        note 'enter-3-copies-the-first', 0x1a1a
        movzx eax, word [bp - 6]
        note 'enter-3-ends-with-its-own', 0xfe
        movzx eax, sp
        note 'enter-3-sp', 0xfe - 6 - 8
        leave
        mov ebp, 0x50
        o32 enter 4, 1
        mov eax, ebp
        note 'enter-32-ebp', 0xfc
        mov eax, esp
        note 'enter-32-esp', 0xfc - 4 - 4
        o32 leave
        mov eax, esp
        note 'leave-32-esp', 0x100
        o32 push fs
        movzx ebx, sp
        o32 pop fs
        mov eax, ebx
        note 'push-segment-32-sp', 0xfc
        push dword 0x12345678
        push dword 0
        call dword 0:low(.far)
        jmp .far_done
.far:   movzx ebx, sp
        o32 retf 8
.far_done:
        mov eax, ebx
        note 'call-far-32-sp', 0x100 - 16
        movzx eax, sp
        note 'return-far-32-releases', 0x100
        xor ax, ax
        mov ss, ax
        mov sp, LOW
        mov ecx, 0x00010001
        xor eax, eax
        loop .looped                    ; counts in CX …
        inc eax
.looped:
        shl eax, 16
        or eax, ecx
        note 'loop-counts-in-cx', 0x00010000
        xor eax, eax
        inc ecx
        a32 loop .looped_wide           ; … and in ECX
        inc eax
.looped_wide:
        note 'loop-counts-in-ecx', 0
        mov eax, ecx
        note 'loop-left-in-ecx', 0x00010000
        xor eax, eax
        jcxz .is_zero
        inc eax
.is_zero:
        jecxz .is_zero_too
        add eax, 2
.is_zero_too:
        note 'jcxz-jecxz', 2
        mov bx, 0xfff0
        mov ax, 0x1190
        mov byte [0x0080], 0x99         ; a vector that nothing uses
        xlatb
        movzx eax, ax
        note 'xlat-wraps', 0x1199
        mov byte [0xffff], 0x41
        mov cl, [0]
        mov byte [0], 0x42
        mov esi, 0x5555ffff
        cld
        lodsb
        mov ah, al
        lodsb
        mov [0], cl
        movzx eax, ax
        note 'lods-wraps', 0x4142
        mov eax, esi
        note 'lods-leaves-the-upper-half', 0x55550001
        mov ax, cs
        mov bp, 0x8000
        mov si, 0x7000
        lea eax, [bp + si + 0x1800]
        note 'lea-16-is-zero-extended', 0x0800
        mov word [0xfffe], 0x8000
        xor bx, bx
        mov ax, -1
        bt [bx], ax                     ; the last bit of the word below, which is the last of the segment
        setc al
        movzx eax, al
        note 'bit-test-wraps', 1
        mov dword [SCRATCH], 0x20005678
        les di, [SCRATCH]
        mov eax, es
        shl eax, 16
        mov ax, di
        note 'les', 0x20005678
        mov eax, -1
        mov eax, es
        note 'selector-is-zero-extended', 0x2000
        pushfd
        pop eax
        mov ecx, eax
        xor eax, 0x00240000             ; AC and ID can be changed; VM and RF cannot be set
        or eax, 0x00030000
        push eax
        popfd
        pushfd
        pop eax
        push ecx
        popfd
        xor eax, ecx
        note 'popf-32', 0x00240000
        faults 'aam-0', 0, aam 0

; ---- What real mode does not know ----

        faults 'sldt', UD, sldt ax
        faults 'str', UD, str ax
        faults 'lldt', UD, lldt ax
        faults 'ltr', UD, ltr ax
        faults 'lar', UD, lar ax, bx
        faults 'lsl', UD, lsl ax, bx
        faults 'verr', UD, verr ax
        faults 'verw', UD, verw ax
        faults 'arpl', UD, arpl ax, bx
        faults 'mov-to-cs', UD, db 0x8e, 0xc8
        faults 'lock-register', UD, db 0xf0, 0x01, 0xc0
        faults 'sixteen-bytes', GP, times 15 db 0x26
        db 0x90
        xor eax, eax
        faults 'sysenter', GP, sysenter

; ---- Exceptions that it has ----

        xor cx, cx
        faults 'divide-by-zero', 0, div cx
        mov dword [SCRATCH], 0x00030001
        mov ax, 5
        faults 'bound', 5, bound ax, [SCRATCH]
        mov al, 0x7f
        add al, 1
        try into
        noted 'into', raised, 4
        movzx eax, word [low(saved_ip)]
        sub ax, [low(tried)]
        note 'into-ip-is-the-next', 1
        pushf
        pop ax
        or ax, 1 << 8
        push ax
        try popf
        nop                             ; the trap comes behind it
        noted 'single-step', raised, 1
        mov eax, cr0
        or eax, CR0_TS
        mov cr0, eax
        faults 'fpu-not-available', NM, fnop
        clts
        try fnop
        noted 'fpu-available', raised, NOTHING

; ---- A moment of protected mode, without a jump, is enough ----

        mov eax, cr0
        or al, CR0_PE
        mov cr0, eax
        mov bx, DATA32
        mov gs, bx
        mov ss, bx
        and al, ~CR0_PE
        mov cr0, eax
        xor ax, ax
        mov gs, ax
        mov ss, ax
        xor eax, eax
        try mov eax, [gs:dword HIGH]
        note 'moment-read', MARK
        mov esp, HIGH + 0x1000          ; the stack is as wide as its descriptor was
        push word 0x5a5a
        mov ecx, esp
        push dword 0x12345678
        call .near
.near:  pop dx
        mov ebx, esp
        mov eax, [gs:dword HIGH + 0xffa]
        mov esp, LOW
        note 'stack-of-32-bits', 0x12345678
        mov eax, ecx
        note 'stack-of-32-bits-push-2', HIGH + 0xffe
        mov eax, ebx
        note 'stack-of-32-bits-call', HIGH + 0xffa

        stage_ends

; ---- Limits of 64 KiB, and what else must not be ----

        faults 'beyond-64k', GP, mov eax, [dword 0x10000]
        noted 'exception-pushed-three-words', saved_sp, LOW
        faults 'across-64k', GP, mov eax, [0xfffe]
        try mov ax, [0xfffe]
        noted 'last-word', raised, NOTHING
        mov bp, 0xfffe
        faults 'stack-across-64k', SSF, mov eax, [bp]
        mov byte [0xfffd], 0x77
        faults 'write-across-64k', GP, mov dword [0xfffd], -1
        movzx eax, byte [0xfffd]
        note 'write-across-64k-wrote-nothing', 0x77
        mov si, 0xfffd
        mov di, SCRATCH
        mov cx, 3
        faults 'string-across-64k', GP, rep movsw
        movzx eax, cx
        note 'string-across-64k-cx', 2
        movzx eax, si
        note 'string-across-64k-si', 0xffff
        faults 'jump-beyond-64k', GP, jmp dword (0x10000 - LOW + low_begin)
        faults 'call-beyond-64k', GP, call dword (0x10000 - LOW + low_begin)
        noted 'call-beyond-64k-sp', saved_sp, LOW
        push dword 2
        push dword 0
        push dword 0x10000
        faults 'iret-beyond-64k', GP, o32 iret
        noted 'iret-beyond-64k-sp', saved_sp, LOW - 12
        faults 'far-return-beyond-64k', GP, o32 retf
        noted 'far-return-beyond-64k-sp', saved_sp, LOW - 12
        mov sp, LOW
        mov ax, 0x2000                  ; MOV AX, imm16 at the last two bytes
        mov es, ax
        mov byte [es:0xfffe], 0xb8
        mov byte [es:0xffff], 0x34
        try jmp 0x2000:0xfffe
        noted 'fetch-across-64k', raised, GP
        noted 'fetch-across-64k-cs', saved_cs, 0x2000
        noted 'fetch-across-64k-ip', saved_ip, 0xfffe
        mov byte [es:0xffff], 0x90      ; NOP at the last: the next one would be at 10000h
        try jmp 0x2000:0xffff
        noted 'fetch-beyond-64k', raised, GP
        noted 'fetch-beyond-64k-ip', saved_ip, 0
        lidt [low(short_idt)]
        faults 'vector-beyond-idt', GP, int 0x40
        lidt [low(real_idt)]
        mov eax, cr0
        or eax, CR0_PG
        faults 'paging-without-protection', GP, mov cr0, eax
        stage_ends

; ---- Exceptions ----

stubs:
%assign n 0
%rep 32
        push byte n
        jmp short record
  %assign n n + 1
%endrep
record: push bp
        mov bp, sp
        push ax
        mov ax, [bp + 2]
        mov [cs:low(raised)], ax
        mov ax, [bp + 4]
        mov [cs:low(saved_ip)], ax
        mov ax, [bp + 6]
        mov [cs:low(saved_cs)], ax
        lea ax, [bp + 10]
        mov [cs:low(saved_sp)], ax
        mov ax, [cs:low(resume_at)]
        mov [bp + 4], ax
        mov word [bp + 6], 0
        and word [bp + 8], ~(1 << 8)
        pop ax
        pop bp
        add sp, 2
        iret

align 4
real_idt:
        dw 0x3ff
        dd 0
short_idt:
        dw 0xff
        dd 0
raised:    dw 0
saved_ip:  dw 0
saved_cs:  dw 0
saved_sp:  dw 0
resume_at: dw 0
tried:     dw 0
filled:    dw 0
next_stage: dw low(first_stage)
align 4
results:   times slots dd 0xdeadbeef
low_end:
bits 32

CHECKS  equ slots
section .data
protected_esp: dd 0
reported:      dd 0
checks:
%assign n 0
%rep slots
        dd check_%[n]
  %assign n n + 1
%endrep
