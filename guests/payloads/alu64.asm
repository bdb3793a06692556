; Integer instructions in 64-bit mode: one checksum for each, to be compared with a reference. The same tests run as a Linux
; program on the host's own processor: `make native-check`.
%include "payload.inc"
%include "long-mode.inc"

main:
        mov ebx, in_long_mode
        call run_in_long_mode
        jmp report_sums

bits 64
default abs
in_long_mode:
        call run_all
        ret

%define WIDTH 64
%include "alu-body.inc"
bits 32
%include "alu-report.inc"
