; A pure ALU loop, for measuring instructions per second: 100 million instructions without a memory access. The TSC
; difference is printed as a note; what the loop computed is a sum to compare.
%include "payload.inc"

ROUNDS          equ 12500000
PER_ROUND       equ 8

main:
        rdtsc
        mov [started], eax
        mov [started + 4], edx
        mov ecx, ROUNDS
        mov eax, 0x12345678
        xor ebx, ebx
        xor edx, edx
.next:  add ebx, eax
        rol eax, 5
        xor eax, ebx
        adc edx, ecx
        lea ebx, [ebx + edx * 2 + 1]
        sub eax, edx
        dec ecx
        jnz .next
        xor eax, ebx
        xor eax, edx
        mov [result], eax
        rdtsc
        sub eax, [started]
        sbb edx, [started + 4]
        print 'note instructions '
        push eax
        mov eax, ROUNDS * PER_ROUND
        call put_hex
        print ' tsc '
        mov eax, edx
        call put_hex
        pop eax
        call put_hex
        call newline
        mov eax, [result]
        mov esi, name
        jmp report_sum

section .data
name:    db 'loop', 0
started: dq 0
result:  dd 0
