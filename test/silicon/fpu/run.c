/*
 * Runs single instructions on the host CPU with chosen FPU, SIMD, register and memory state, in 64-bit or 32-bit code, and reports
 * what they left. 64-bit Linux; reads cases from standard input, writes results to standard output, both arrays of `struct state`.
 * Built and driven by test/silicon/fpu/silicon.ts.
 *
 * Every case is entered by returning from a signal handler, which makes the kernel load registers and FPU state from the signal frame,
 * and left by the single-step trap (or the fault) behind it. So 32-bit code needs nothing but another CS.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define CODE 0x21000000UL
#define DATA 0x22000000UL
#define STACK 65536
#define TRAP_FLAG 0x100
#define USER_CODE_32 0x23
#define USER_CODE_64 0x33
#define USER_DATA 0x2b
#define MODE_32 0x80
/* In an XSAVE image: which components it holds, in the header behind the legacy area (SDM 1 section 13.4.2). */
#define XSTATE_BV 512
#define X87_AND_SSE 3

/* Natural alignment makes this 672 bytes; silicon.ts knows the offsets. RBX and RDI point at `memory` while the case runs. */
struct state {
    uint8_t code[16];       /* code[15] = length, MODE_32 */
    uint64_t rax, rcx, rdx, rflags;
    uint64_t reserved_rdi, rsi;
    uint8_t memory[64];
    int32_t signal;         /* out: 0, or the signal that the instruction caused */
    uint32_t reserved[7];
    uint8_t fx[512];        /* FXSAVE64 image */
} __attribute__((aligned(16)));

static struct state current __attribute__((aligned(64)));
static int running;

static void on_signal(int number, siginfo_t *info, void *context)
{
    ucontext_t *frame = context;
    greg_t *r = frame->uc_mcontext.gregs;
    uint8_t *fx = (uint8_t *)frame->uc_mcontext.fpregs;
    if (running) {
        /* a trap instruction's SIGTRAP is not that of the single step */
        current.signal = number == SIGTRAP && info->si_code == TRAP_TRACE ? 0 : number;
        if (current.signal == 0) {
            current.rax = r[REG_RAX];
            current.rcx = r[REG_RCX];
            current.rdx = r[REG_RDX];
            current.rsi = r[REG_RSI];
            current.rflags = r[REG_EFL];
            memcpy(current.memory, (void *)DATA, sizeof current.memory);
            memcpy(current.fx, fx, sizeof current.fx);
        }
        fwrite(&current, sizeof current, 1, stdout);
    }
    if (fread(&current, sizeof current, 1, stdin) != 1) {
        fflush(stdout);
        _exit(0);
    }
    running = 1;
    memset((void *)CODE, 0x90, 16);
    memcpy((void *)CODE, current.code, current.code[15] & 0x0f);
    memcpy((void *)DATA, current.memory, sizeof current.memory);
    /* the last bytes of the legacy area are the kernel's own description of the frame */
    memcpy(fx, current.fx, 464);
    *(uint64_t *)(fx + XSTATE_BV) |= X87_AND_SSE;
    r[REG_RAX] = current.rax;
    r[REG_RCX] = current.rcx;
    r[REG_RDX] = current.rdx;
    r[REG_RSI] = current.rsi;
    r[REG_RBX] = r[REG_RDI] = DATA;
    r[REG_RIP] = CODE;
    r[REG_EFL] = (current.rflags & 0xcd5) | TRAP_FLAG | 0x202;
    /* CS lies in the low 16 bits, GS, FS and SS above */
    r[REG_CSGSFS] = (r[REG_CSGSFS] & ~0xffffL) | (current.code[15] & MODE_32 ? USER_CODE_32 : USER_CODE_64);
}

int main(void)
{
    int rwx = PROT_READ | PROT_WRITE | PROT_EXEC, fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    /* far above 4 GiB: a stack pointer of a case must not happen to lie in it */
    void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t alternate = {.ss_sp = stack, .ss_size = STACK};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    static const int signals[] = {SIGILL, SIGFPE, SIGSEGV, SIGBUS, SIGTRAP, SIGUSR1};
    if (mmap((void *)CODE, 4096, rwx, fixed, -1, 0) == MAP_FAILED || mmap((void *)DATA, 4096, PROT_READ | PROT_WRITE, fixed, -1, 0) == MAP_FAILED)
        return 2;
    sigaltstack(&alternate, 0);
    __asm__ volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r"(USER_DATA));
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, 0);
    raise(SIGUSR1);
    return 3;
}
