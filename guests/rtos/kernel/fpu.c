/*
 * x87 and SSE state, saved eagerly for the tasks that asked for it (SDM 1 section 10.5): a lazy switch would make the
 * cost of a context switch depend on what ran before. For all other tasks CR0.TS stays set, so one that uses the FPU
 * without having asked is caught with #NM instead of silently destroying another's registers.
 */
#include "cpu.h"
#include "kernel.h"

#define CR0_MP (1u << 1)
#define CR0_EM (1u << 2)
#define CR0_TS (1u << 3)
#define CR0_NE (1u << 5)
#define CR4_OSFXSR (1u << 9)
#define CR4_OSXMMEXCPT (1u << 10)
#define CPUID_1_EDX_FXSR (1u << 24)

static struct fpu_state initial;

void fpu_init(void)
{
	if (!(cpuid(1).edx & CPUID_1_EDX_FXSR))
		panic("this processor has no FXSAVE");
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
	write_cr0((read_cr0() & ~(word)(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE);
	__asm__ volatile("fninit\n\tfxsave %0" : "=m"(initial));
	write_cr0(read_cr0() | CR0_TS);
}

/* MXCSR in the image is the reset value 0x1f80: all SIMD exceptions masked, round to nearest. */
void fpu_state_init(struct fpu_state *state) { *state = initial; }

void fpu_switch(const struct task *from, const struct task *to)
{
	bool had = from && from->fpu;

	if (had)
		__asm__ volatile("fxsave %0" : "=m"(*from->fpu));
	if (to->fpu) {
		if (!had)
			__asm__ volatile("clts");
		__asm__ volatile("fxrstor %0" : : "m"(*to->fpu));
	} else if (had) {
		write_cr0(read_cr0() | CR0_TS);
	}
}
