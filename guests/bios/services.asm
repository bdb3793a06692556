; A boot sector and what it loads: calls the services that a PC's firmware offers to 16-bit software, the way DOS, boot loaders and memory
; managers do, and checks what comes back. Prints the line protocol of guests/payloads on COM1, ends through port 0xf4.
;
; Ralf Brown's Interrupt List names the services; the standards are cited where they are checked.
;
;     0x00500  stack, downwards from 0x7c00        0x20000  sectors, blocks
;     0x07c00  boot sector, code, constants        0x30000  what VBE tells
;     0x40000  tables of the V86 monitor           0x200000 extended memory that is written to

        cpu 686
        bits 16
        org 0x7c00

IMAGE_SECTORS   equ 64
SCRATCH_SECTOR  equ 100         ; of the disk, behind the image
DATA_SEGMENT    equ 0x2000
VBE_SEGMENT     equ 0x3000
EXTENDED        equ 0x200000
COM1            equ 0x3f8
DEBUG_EXIT      equ 0xf4
EXIT_OK         equ 0x10
EXIT_FAILED     equ 0x01

; EXPECT condition, 'name': the flags say whether it went well
%macro EXPECT 2
        push si
        mov si, %%name
        j%1 %%good
        call fail
        jmp %%end
%%good: call pass
%%end:  pop si
        [section .data]
%%name: db %2, 0
        __?SECT?__
%endmacro

%macro NOTE 1
        push si
        mov si, %%text
        call print
        pop si
        [section .data]
%%text: db 'note ', %1, ' ', 0
        __?SECT?__
%endmacro

        section .text
start:
        cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        sti
        cld
        jmp 0:.here             ; some firmware enters at 07c0:0000
.here:
        mov [boot_drive], dl
        mov si, load_packet
        mov ah, 0x42
        int 0x13
        jc .stuck
        jmp main
.stuck:
        mov al, '!'
        call put
        hlt
        jmp .stuck

        align 2
boot_drive: db 0
failures: db 0
        align 4
load_packet:
        db 16, 0
        dw IMAGE_SECTORS - 1
        dw 0x7e00, 0
        dq 1

; AL to COM1
put:
        push dx
        push ax
        mov dx, COM1 + 5
.wait:  in al, dx
        test al, 0x20
        jz .wait
        pop ax
        mov dx, COM1
        out dx, al
        pop dx
        ret

        times 510 - ($ - $$) db 0
        dw 0xaa55

main:
        call check_video
        call check_vesa
        call check_memory
        call check_extended
        call check_disk
        call check_keyboard
        call check_clock
        call check_interrupts
        call check_pci
        call check_tables
        call check_v86
        mov si, .done
        call print
        mov dx, DEBUG_EXIT
        mov al, EXIT_OK
        cmp byte [failures], 0
        je .end
        mov al, EXIT_FAILED
.end:   out dx, al
        hlt
        jmp .end
.done:  db 'done', 13, 10, 0

%include "print.inc"
%include "video.inc"
%include "vesa.inc"
%include "memory.inc"
%include "disk.inc"
%include "keyboard.inc"
%include "clock.inc"
%include "pci.inc"
%include "tables.inc"
%include "v86.inc"

        section .data align=4
        db 0
