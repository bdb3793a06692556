/* The order in which the kernel comes up. Interrupts stay off until scheduler_start() runs the first task. */
#include "kernel.h"

void kernel_main(u32 magic, uintptr_t address);

/* Called by start32.S / start64.S on the boot stack, with whatever the loader left in EAX and EBX. */
void kernel_main(u32 magic, uintptr_t address)
{
	boot_information_save(magic, address);
	uart_init();
	idt_init();
	mmu_init();
	fpu_init();
	pic_init();
	local_apic_init();
	clock_init();
	scheduler_init();
	timer_init();
	uart_enable_interrupts();

	kprintf("\n%s: Bulkhead RTOS, %u-bit, started through %s\n", application_name, (u32)sizeof(word) * 8,
		boot_information.protocol);
	kprintf("clock: TSC %u kHz, local APIC %u kHz%s, timer %s; console input through the %s\n", clock_rates.tsc_khz,
		clock_rates.local_apic_khz, clock_rates.calibrated ? "" : " (assumed: no PIT)", timer_source(),
		uart_interrupt_source());

	shell_init();
	application_init();
	scheduler_start();
}
