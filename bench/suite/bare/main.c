/* Bare-metal runner for the compute kernels. Prints on COM1 (polled):
 *   @BOOT bare
 *   @S <test> <round>
 *   @E <test> <round> tsc=<rdtsc delta> sum=<checksum>
 *   @DONE
 * then asks QEMU's isa-debug-exit (port 0xf4) to quit, and halts. */
#include "../kernels.h"

#ifndef ROUNDS
#define ROUNDS 3
#endif

static u8 arena[ARENA_BYTES] __attribute__((aligned(4096)));

static inline void outb(u16 port, u8 v) { __asm__ volatile("outb %0,%1" :: "a"(v), "Nd"(port)); }
static inline u8 inb(u16 port) { u8 v; __asm__ volatile("inb %1,%0" : "=a"(v) : "Nd"(port)); return v; }
static inline u64 rdtsc(void) { u64 v; __asm__ volatile("rdtsc" : "=A"(v)); return v; }

void *memcpy(void *d, const void *s, unsigned n) { u8 *a = d; const u8 *b = s; while (n--) *a++ = *b++; return d; }
void *memset(void *d, int c, unsigned n) { u8 *a = d; while (n--) *a++ = (u8)c; return d; }

static void putch(char c)
{
    for (u32 i = 0; i < 1000000 && !(inb(0x3fd) & 0x20); i++) {}
    outb(0x3f8, (u8)c);
}
static void puts_(const char *s) { while (*s) putch(*s++); }
static void hex(u32 v) { for (int i = 28; i >= 0; i -= 4) putch("0123456789abcdef"[(v >> i) & 15]); }
static void dec64(u64 v)
{
    char b[24]; int n = 0;
    do { b[n++] = (char)('0' + v % 10); v /= 10; } while (v);
    while (n) putch(b[--n]);
}

void bare_main(void)
{
    outb(0x3f9, 0);                                   /* no interrupts */
    outb(0x3fb, 0x80); outb(0x3f8, 1); outb(0x3f9, 0); /* 115200 baud */
    outb(0x3fb, 3); outb(0x3fa, 7); outb(0x3fc, 3);
    puts_("@BOOT bare\n");
    for (u32 i = 0; i < ARENA_BYTES; i += 4096) arena[i] = 1;
    for (u32 k = 0; k < kernel_count; k++)
        for (u32 r = 0; r < ROUNDS; r++) {
            puts_("@S "); puts_(kernels[k].name); putch(' '); dec64(r); putch('\n');
            u64 t0 = rdtsc();
            u32 sum = kernels[k].fn(arena, kernels[k].reps);
            u64 t1 = rdtsc();
            puts_("@E "); puts_(kernels[k].name); putch(' '); dec64(r);
            puts_(" tsc="); dec64(t1 - t0); puts_(" sum="); hex(sum); putch('\n');
        }
    puts_("@DONE\n");
    outb(0xf4, 0);
}
