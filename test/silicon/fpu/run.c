/*
 * Runs single instructions on the host CPU with chosen FPU, SIMD, register and memory state, and reports what they left.
 * 64-bit Linux; reads cases from standard input, writes results to standard output, both arrays of `struct state`.
 * Built and driven by test/silicon/fpu/silicon.ts.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Natural alignment makes this 672 bytes; silicon.ts knows the offsets. RBX and RDI point at `memory` while the case runs. */
struct state {
    uint8_t code[16];       /* code[15] = length */
    uint64_t rax, rcx, rdx, rflags;
    uint64_t reserved_rdi, rsi;
    uint8_t memory[64];
    int32_t signal;         /* out: 0, or the signal that the instruction caused */
    uint32_t reserved[7];
    uint8_t fx[512];        /* FXSAVE64 image */
} __attribute__((aligned(16)));

static struct state current __attribute__((aligned(64)));
static uint8_t *page;
static sigjmp_buf escape;

static void caught(int number) { siglongjmp(escape, number); }

static void execute(void)
{
    __asm__ volatile(
        "fxrstor64 %[fx]\n\t"
        "mov %[state], %%r8\n\t"
        "mov 16(%%r8), %%rax\n\t"
        "mov 24(%%r8), %%rcx\n\t"
        "mov 32(%%r8), %%rdx\n\t"
        "lea 64(%%r8), %%rdi\n\t"
        "mov 56(%%r8), %%rsi\n\t"
        "lea 64(%%r8), %%rbx\n\t"
        "pushq 40(%%r8)\n\t"
        "popfq\n\t"
        "call *%[page]\n\t"
        "pushfq\n\t"
        "popq 40(%%r8)\n\t"
        "mov %%rax, 16(%%r8)\n\t"
        "mov %%rcx, 24(%%r8)\n\t"
        "mov %%rdx, 32(%%r8)\n\t"
        "mov %%rsi, 56(%%r8)\n\t"
        "fxsave64 %[fx]\n\t"
        "fninit\n\t"
        "cld\n\t"
        : [fx] "+m"(current.fx)
        : [state] "r"(&current), [page] "r"(page)
        : "rax", "rcx", "rdx", "rbx", "rsi", "rdi", "r8", "memory", "cc");
}

int main(void)
{
    static uint8_t stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = caught, .sa_flags = SA_ONSTACK | SA_NODEFER};
    sigaltstack(&alternate, 0);
    int signals[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGTRAP};
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, 0);
    page = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return 2;
    while (fread(&current, sizeof current, 1, stdin) == 1) {
        struct state before = current;
        memset(page, 0xc3, 64);
        memcpy(page, current.code, current.code[15]);
        int number = sigsetjmp(escape, 1);
        if (number == 0) {
            execute();
            current.signal = 0;
        } else {
            __asm__ volatile("fninit; cld");
            uint32_t mxcsr = 0x1f80;
            __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
            current = before;
            current.signal = number;
        }
        fwrite(&current, sizeof current, 1, stdout);
    }
    return 0;
}
