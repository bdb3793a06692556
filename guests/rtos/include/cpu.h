/* Instructions that C cannot say, each once. SDM = Intel 64 and IA-32 Architectures Software Developer's Manual. */
#ifndef CPU_H
#define CPU_H

#include "types.h"

static inline void outb(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline void outw(u16 port, u16 value) { __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
static inline void outl(u16 port, u32 value) { __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }

static inline u8 inb(u16 port)
{
	u8 value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline u16 inw(u16 port)
{
	u16 value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline u32 inl(u16 port)
{
	u32 value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline u64 rdmsr(u32 index)
{
	u32 low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return (u64)high << 32 | low;
}

static inline void wrmsr(u32 index, u64 value)
{
	__asm__ volatile("wrmsr" : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline u64 rdtsc(void)
{
	u32 low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

struct cpuid_leaf {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid_leaf cpuid(u32 leaf)
{
	struct cpuid_leaf r;

	__asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(0));
	return r;
}

static inline u32 mmio_read32(uintptr_t address) { return *(volatile u32 *)address; }
static inline void mmio_write32(uintptr_t address, u32 value) { *(volatile u32 *)address = value; }

/* Reads and writes of CRn; the memory clobber keeps page-table stores on the right side of a CR3 or CR0 load. */
#define DEFINE_CONTROL_REGISTER(name)                                                                  \
	static inline word read_##name(void)                                                           \
	{                                                                                              \
		word value;                                                                            \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(value));                                 \
		return value;                                                                          \
	}                                                                                              \
	static inline void write_##name(word value)                                                    \
	{                                                                                              \
		__asm__ volatile("mov %0, %%" #name : : "r"(value) : "memory");                        \
	}
DEFINE_CONTROL_REGISTER(cr0)
DEFINE_CONTROL_REGISTER(cr2)
DEFINE_CONTROL_REGISTER(cr3)
DEFINE_CONTROL_REGISTER(cr4)

#define EFLAGS_IF (1u << 9)

/* Disables interrupts and returns what EFLAGS was, for irq_restore(): critical sections may nest. */
static inline word irq_save(void)
{
	word flags;

	__asm__ volatile("pushf\n\tpop %0\n\tcli" : "=r"(flags) : : "memory");
	return flags;
}

static inline void irq_restore(word flags)
{
	if (flags & EFLAGS_IF)
		__asm__ volatile("sti" : : : "memory");
}

static inline void irq_disable(void) { __asm__ volatile("cli" : : : "memory"); }
static inline void cpu_relax(void) { __asm__ volatile("pause"); }

/*
 * STI takes effect after the instruction that follows it (SDM 2B, STI), so no interrupt can slip in between
 * and leave the core asleep with work to do.
 */
static inline void cpu_wait_for_interrupt(void) { __asm__ volatile("sti\n\thlt" : : : "memory"); }

static inline NORETURN void cpu_stop(void)
{
	for (;;)
		__asm__ volatile("cli\n\thlt" : : : "memory");
}

/*
 * 64-bit by 32-bit division without the compiler's support library. Two DIVs: the remainder of the upper half
 * is smaller than the divisor, so the second cannot overflow (SDM 2A, DIV).
 */
static inline u64 div_u64(u64 dividend, u32 divisor)
{
#ifdef __x86_64__
	return dividend / divisor;
#else
	u32 high = (u32)(dividend >> 32), low = (u32)dividend, remainder = high % divisor;

	high /= divisor;
	__asm__("divl %2" : "+a"(low), "+d"(remainder) : "r"(divisor));
	return (u64)high << 32 | low;
#endif
}

/* value * multiplier / 2^24 with a 96-bit intermediate: how clock rates are converted (see clock.c). */
static inline u64 scale_q24(u64 value, u32 multiplier)
{
	u64 low = (u64)(u32)value * multiplier, high = (value >> 32) * multiplier;

	return (high << 8) + (low >> 24);
}

#endif
