; Integer instructions in 32-bit protected mode: one checksum for each, to be compared with a reference. The same tests run
; as a Linux program on the host's own processor: `make native-check`.
%include "payload.inc"
%define WIDTH 32
%include "alu-body.inc"
%include "alu-report.inc"

main:
        call run_all
        jmp report_sums
