/*
 * Runs single instructions, and programs, on the host CPU: the oracle for unprivileged code, 64-bit, 32-bit and 16-bit.
 *
 * stdin: cases of 15 code bytes, their length, mode (64, 32 or 16), most steps, length of more code, 4 unused bytes, RAX..R15 (16 x 8),
 * RFLAGS (8), MEMORY bytes of memory, more code. stdout: per case RAX..R15, RFLAGS, memory, RIP (8), signal (8),
 * address of a page fault (8).
 *
 * Every case is entered by returning from a signal handler with the wanted registers and TF set, and left by the single-step trap
 * (or the fault) that follows: so RSP and RIP can be anything, and 32-bit code needs nothing but another CS. A repeated string
 * instruction traps after each iteration with RIP still on it: it is stepped on, at most `steps` times. With no steps it runs freely,
 * up to a fault. 16-bit code has segments of an LDT, which begin at the code and at the memory: cases.ts says which.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define CODE 0x21000000UL
#define DATA 0x22000000UL
#define MEMORY 128
#define PAGE 4096
#define STACK 65536
#define TRAP_FLAG 0x100
#define USER_CODE_32 0x23
#define USER_CODE_64 0x33
#define USER_DATA 0x2b
/* of the LDT, level 3 */
#define SELECTOR(index) ((index) << 3 | 7)
enum { CODE_16, DATA_16, DOWN_16, READ_16 };
#define CONTENTS_DATA 0
#define CONTENTS_DOWN 1
#define CONTENTS_CODE 2

struct state { uint64_t gpr[16], flags; uint8_t memory[MEMORY]; };
struct input { uint8_t code[15], length, mode, steps; uint16_t more; uint8_t unused[4]; struct state state; };
struct output { struct state state; uint64_t rip, signal, address; };

static const int registers[16] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};
static struct input in;
static int running, steps;

static int make_segment(int index, unsigned long base, unsigned limit, int contents, int read_only)
{
    struct user_desc d = { .entry_number = index, .base_addr = base, .limit = limit, .contents = contents, .read_exec_only = read_only };
    return syscall(SYS_modify_ldt, 0x11, &d, sizeof d);
}

static void load_data_segments(int mode)
{
    unsigned ds = mode == 16 ? SELECTOR(DATA_16) : USER_DATA, es = mode == 16 ? SELECTOR(DOWN_16) : USER_DATA;
    __asm__ volatile("mov %0, %%ds\n\tmov %1, %%es\n\tmov %2, %%gs" : : "r"(ds), "r"(es), "r"(mode == 16 ? SELECTOR(READ_16) : 0));
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (running) {
        struct output out;
        if (number == SIGTRAP && (uint64_t)r[REG_RIP] == (in.mode == 16 ? 0 : CODE) && ++steps < in.steps) return;
        for (int i = 0; i < 16; i++) out.state.gpr[i] = r[registers[i]];
        out.state.flags = r[REG_EFL];
        memcpy(out.state.memory, (void *)DATA, MEMORY);
        out.rip = r[REG_RIP];
        /* INT3 and the like end in the same signal as the single step, but not because of it */
        out.signal = number == SIGTRAP && info->si_code == TRAP_TRACE ? 0 : number;
        /* the vector is 14 for page faults only; others have no address */
        out.address = number == SIGSEGV && r[REG_TRAPNO] == 14 ? (uint64_t)r[REG_CR2] : 0;
        fwrite(&out, sizeof out, 1, stdout);
    }
    if (fread(&in, sizeof in, 1, stdin) != 1) {
        fflush(stdout);
        _exit(0);
    }
    running = 1;
    steps = 0;
    memset((void *)CODE, 0x90, 16);
    memcpy((void *)CODE, in.code, in.length);
    if (in.more > PAGE - in.length || fread((void *)(CODE + in.length), 1, in.more, stdin) != in.more) _exit(3);
    memset((void *)DATA, 0, PAGE);
    memcpy((void *)DATA, in.state.memory, MEMORY);
    for (int i = 0; i < 16; i++) r[registers[i]] = in.state.gpr[i];
    r[REG_RIP] = in.mode == 16 ? 0 : CODE;
    r[REG_EFL] = in.state.flags | (in.steps ? TRAP_FLAG : 0) | 0x202;
    /* CS lies in the low 16 bits, GS, FS and SS above; DS, ES and GS are not restored from here */
    uint64_t cs = in.mode == 16 ? SELECTOR(CODE_16) : in.mode == 32 ? USER_CODE_32 : USER_CODE_64;
    uint64_t ss = in.mode == 16 ? SELECTOR(DATA_16) : USER_DATA;
    r[REG_CSGSFS] = (r[REG_CSGSFS] & 0xffffffff0000L) | cs | ss << 48;
    load_data_segments(in.mode);
}

int main(void)
{
    int rwx = PROT_READ | PROT_WRITE | PROT_EXEC, fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    /* far above 4 GiB: a stack pointer of a case must not happen to lie in it */
    void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t alternate = { .ss_sp = stack, .ss_size = STACK };
    struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
    static const int signals[] = { SIGILL, SIGFPE, SIGSEGV, SIGBUS, SIGTRAP, SIGUSR1 };

    if (mmap((void *)CODE, PAGE, rwx, fixed, -1, 0) == MAP_FAILED) return 1;
    if (mmap((void *)DATA, PAGE, PROT_READ | PROT_WRITE, fixed, -1, 0) == MAP_FAILED) return 1;
    sigaltstack(&alternate, NULL);
    if (make_segment(CODE_16, CODE, 0xffff, CONTENTS_CODE, 0) || make_segment(DATA_16, DATA, MEMORY - 1, CONTENTS_DATA, 0)) return 4;
    if (make_segment(DOWN_16, DATA, 31, CONTENTS_DOWN, 0) || make_segment(READ_16, DATA, MEMORY - 1, CONTENTS_DATA, 1)) return 4;
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
    raise(SIGUSR1);
    return 2;
}
