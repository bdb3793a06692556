/*
 * Runs single instructions on the host CPU: the oracle for unprivileged code.
 *
 * stdin: cases of 15 code bytes, their length (1 byte), RAX..R15 (16 x 8), RFLAGS (8), 64 bytes of memory.
 * stdout: per case RAX..R15, RFLAGS, 64 bytes of memory, signal (8).
 * The memory lies at DATA, RSP may point anywhere: the host's stack is put aside while the instruction runs.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STATE 0x20000000UL
#define CODE 0x21000000UL
#define DATA 0x22000000UL

struct state { uint64_t gpr[16], flags; uint8_t memory[64]; };
struct input { uint8_t code[15], length; struct state state; };
struct output { struct state state; uint64_t signal; };

static uint64_t *const slots = (uint64_t *)STATE; /* 0-15 registers, 16 flags, 17 host RSP */
static sigjmp_buf back;

static void on_signal(int number) { siglongjmp(back, number); }

static uint8_t *move(uint8_t *p, int load, int reg, int slot)
{
    *p++ = 0x48 | (reg > 7 ? 4 : 0);
    *p++ = load ? 0x8b : 0x89;
    *p++ = 0x04 | ((reg & 7) << 3);
    *p++ = 0x25;
    uint32_t address = STATE + slot * 8;
    memcpy(p, &address, 4);
    return p + 4;
}

static void build(const struct input *in)
{
    uint8_t *p = (uint8_t *)CODE;
    static const uint8_t push_flags_slot[] = { 0xff, 0x34, 0x25 }, pop_flags_slot[] = { 0x8f, 0x04, 0x25 };
    uint32_t flags = STATE + 16 * 8;
    p = move(p, 0, 4, 17);
    memcpy(p, push_flags_slot, 3); p += 3; memcpy(p, &flags, 4); p += 4;
    *p++ = 0x9d;
    for (int i = 0; i < 16; i++) p = move(p, 1, i, i);
    memcpy(p, in->code, in->length); p += in->length;
    for (int i = 0; i < 16; i++) p = move(p, 0, i, i);
    p = move(p, 1, 4, 17);
    *p++ = 0x9c;
    memcpy(p, pop_flags_slot, 3); p += 3; memcpy(p, &flags, 4); p += 4;
    *p++ = 0xfc;
    *p++ = 0xc3;
}

int main(void)
{
    int rwx = PROT_READ | PROT_WRITE | PROT_EXEC, fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    static uint8_t stack[65536];
    stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_NODEFER };
    static const int signals[] = { SIGILL, SIGFPE, SIGSEGV, SIGBUS, SIGTRAP };
    struct input in;
    struct output out;

    if (mmap((void *)STATE, 4096, rwx, fixed, -1, 0) == MAP_FAILED) return 1;
    if (mmap((void *)CODE, 4096, rwx, fixed, -1, 0) == MAP_FAILED) return 1;
    if (mmap((void *)DATA, 4096, PROT_READ | PROT_WRITE, fixed, -1, 0) == MAP_FAILED) return 1;
    sigaltstack(&alternate, NULL);
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
    while (fread(&in, sizeof in, 1, stdin) == 1) {
        memcpy(slots, in.state.gpr, 128);
        slots[16] = in.state.flags;
        memcpy((void *)DATA, in.state.memory, 64);
        build(&in);
        int number = sigsetjmp(back, 1);
        if (number == 0) {
            /* The compiler must believe that everything changes. */
            __asm__ volatile("push %%rbp\n\tpush %%rbx\n\tsub $128, %%rsp\n\tcall *%0\n\tadd $128, %%rsp\n\tpop %%rbx\n\tpop %%rbp"
                             : : "a"(CODE) : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
        }
        __asm__ volatile("cld");
        memcpy(out.state.gpr, slots, 128);
        out.state.flags = slots[16];
        memcpy(out.state.memory, (void *)DATA, 64);
        out.signal = number;
        fwrite(&out, sizeof out, 1, stdout);
    }
    return 0;
}
