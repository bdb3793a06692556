/*
 * PCI, bus 0, through configuration mechanism 1 (PCI 3.0 section 3.2.2.3.2). Addresses are those that firmware or the board
 * gave out. Where INTA# of a device ends is in the MultiProcessor table (MP 1.4 section 4.3.4); without one, the interrupt
 * line register is believed.
 */
#include "cpu.h"
#include "drivers.h"
#include "kernel.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc
#define CONFIG_ENABLE 0x80000000u
#define DEVICES 32u
#define FUNCTIONS 8u

/* The header (PCI 3.0 section 6.1) */
#define PCI_IDENTITY 0x00
#define PCI_COMMAND 0x04
#define PCI_CLASS 0x08
#define PCI_HEADER_TYPE 0x0c /* in bits 23 to 16 */
#define PCI_BASE_ADDRESSES 0x10
#define PCI_INTERRUPT 0x3c
#define COMMAND_IO_MEMORY_MASTER 0x7u
#define MULTIPLE_FUNCTIONS 0x800000u
#define BAR_IO 0x1u
#define ABSENT 0xffffffffu

/* The floating pointer and the table (MP 1.4 sections 4.1 to 4.3) */
#define BIOS_AREA 0xf0000u
#define BIOS_AREA_END 0x100000u
#define LAST_KIB_OF_BASE_MEMORY 0x9fc00u
#define BASE_MEMORY_END 0xa0000u
#define MP_SIGNATURE 0x5f504d5fu    /* _MP_ */
#define TABLE_SIGNATURE 0x504d4350u /* PCMP */
#define ENTRY_PROCESSOR 0
#define ENTRY_BUS 1
#define ENTRY_INTERRUPT 3
#define PROCESSOR_BYTES 20u
#define ENTRY_BYTES 8u
#define HEADER_BYTES 44u

u32 pci_read(const struct pci_function *function, u8 offset)
{
	outl(CONFIG_ADDRESS, CONFIG_ENABLE | (u32)function->device << 11 | (u32)function->function << 8 | (offset & 0xfcu));
	return inl(CONFIG_DATA);
}

void pci_write(const struct pci_function *function, u8 offset, u32 value)
{
	outl(CONFIG_ADDRESS, CONFIG_ENABLE | (u32)function->device << 11 | (u32)function->function << 8 | (offset & 0xfcu));
	outl(CONFIG_DATA, value);
}

bool pci_next(u32 *at, struct pci_function *function)
{
	for (; *at < DEVICES * FUNCTIONS; (*at)++) {
		struct pci_function candidate = { .device = (u8)(*at / FUNCTIONS), .function = (u8)(*at % FUNCTIONS) };
		u32 identity = pci_read(&candidate, PCI_IDENTITY);

		if (identity == ABSENT || identity == 0)
			continue;
		/* A device with one function may answer for all eight. */
		if (candidate.function != 0) {
			struct pci_function first = { .device = candidate.device };

			if (!(pci_read(&first, PCI_HEADER_TYPE) & MULTIPLE_FUNCTIONS))
				continue;
		}
		candidate.vendor = (u16)identity;
		candidate.identity = (u16)(identity >> 16);
		candidate.class_code = pci_read(&candidate, PCI_CLASS) >> 8;
		*function = candidate;
		(*at)++;
		return true;
	}
	return false;
}

bool pci_find(u16 vendor, u16 identity, struct pci_function *function)
{
	for (u32 at = 0; pci_next(&at, function);)
		if (function->vendor == vendor && function->identity == identity)
			return true;
	return false;
}

bool pci_find_class(u32 class_code, struct pci_function *function)
{
	for (u32 at = 0; pci_next(&at, function);)
		if (function->class_code == class_code)
			return true;
	return false;
}

u32 pci_address(const struct pci_function *function, u32 number)
{
	u32 value = pci_read(function, (u8)(PCI_BASE_ADDRESSES + 4 * number));

	return value & BAR_IO ? value & ~3u : value & ~0xfu;
}

void pci_enable(const struct pci_function *function)
{
	pci_write(function, PCI_COMMAND, (pci_read(function, PCI_COMMAND) & 0xffffu) | COMMAND_IO_MEMORY_MASTER);
}

static u32 load32(const u8 *at)
{
	u32 value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* The floating pointer lies on 16 bytes; the extended BIOS data area, the third place, is named in page 0, which is absent here. */
static const u8 *find_table(uintptr_t from, uintptr_t to)
{
	for (uintptr_t at = from; at < to; at += 16) {
		const u8 *pointer = (const u8 *)at;
		u8 sum = 0;

		if (load32(pointer) != MP_SIGNATURE)
			continue;
		for (u32 i = 0; i < 16; i++)
			sum = (u8)(sum + pointer[i]);
		if (sum == 0 && load32((const u8 *)(uintptr_t)load32(pointer + 4)) == TABLE_SIGNATURE)
			return (const u8 *)(uintptr_t)load32(pointer + 4);
	}
	return NULL;
}

/* I/O APIC pin of INTA# of a device on bus 0. */
static bool pin_in_mp_table(u8 device, u8 *pin)
{
	const u8 *table = find_table(BIOS_AREA, BIOS_AREA_END);
	u32 entries, pci_bus = ABSENT;

	if (!table)
		table = find_table(LAST_KIB_OF_BASE_MEMORY, BASE_MEMORY_END);
	if (!table)
		return false;
	entries = table[34] | (u32)table[35] << 8;
	for (const u8 *entry = table + HEADER_BYTES; entries--; entry += *entry == ENTRY_PROCESSOR ? PROCESSOR_BYTES : ENTRY_BYTES) {
		if (*entry == ENTRY_BUS && entry[2] == 'P' && entry[3] == 'C' && entry[4] == 'I' && pci_bus == ABSENT)
			pci_bus = entry[1];
		/* The source line of a PCI interrupt: device number, then the pin, INTA# being 0. */
		if (*entry == ENTRY_INTERRUPT && entry[4] == pci_bus && entry[5] == device << 2) {
			*pin = entry[7];
			return true;
		}
	}
	return false;
}

bool pci_attach_interrupt(const struct pci_function *function, void (*handler)(void))
{
	u8 pin;

	if (!pin_in_mp_table(function->device, &pin))
		pin = (u8)pci_read(function, PCI_INTERRUPT);
	return interrupt_attach(pin, TRIGGER_LEVEL_LOW, handler);
}
