/*
 * What the loader left us: Multiboot 0.6.96 section 3.3 (EAX = magic, EBX = information), or PVH (EBX = start
 * information, xen/include/public/arch-x86/hvm/start_info.h). Only the command line is used; the kernel is static
 * and needs no memory map.
 */
#include "kernel.h"

#define MULTIBOOT_LOADER_MAGIC 0x2badb002u
#define MULTIBOOT_FLAG_COMMAND_LINE (1u << 2)
#define PVH_START_MAGIC 0x336ec578u

struct multiboot_information {
	u32 flags, memory_lower, memory_upper, boot_device, command_line;
};

struct pvh_start_information {
	u32 magic, version, flags, module_count;
	u64 module_list, command_line;
};

struct boot_information boot_information;

static void copy_command_line(uintptr_t from)
{
	const char *text = (const char *)from;
	size_t i = 0;

	if (!from)
		return;
	for (; text[i] && i < sizeof(boot_information.command_line) - 1; i++)
		boot_information.command_line[i] = text[i];
	boot_information.command_line[i] = '\0';
}

void boot_information_save(u32 magic, uintptr_t address)
{
	const struct multiboot_information *multiboot = (const void *)address;
	const struct pvh_start_information *pvh = (const void *)address;

	if (magic == MULTIBOOT_LOADER_MAGIC) {
		boot_information.protocol = "multiboot";
		if (multiboot->flags & MULTIBOOT_FLAG_COMMAND_LINE)
			copy_command_line(multiboot->command_line);
	} else if (address && pvh->magic == PVH_START_MAGIC) {
		boot_information.protocol = "PVH";
		copy_command_line((uintptr_t)pvh->command_line);
	} else {
		boot_information.protocol = "unknown loader";
	}
}

bool boot_option(const char *name, char *value, size_t size)
{
	const char *at = boot_information.command_line;

	while (*at) {
		const char *n = name;

		while (*at == ' ')
			at++;
		while (*n && *at == *n) {
			at++;
			n++;
		}
		if (!*n && *at == '=') {
			size_t i = 0;

			for (at++; *at && *at != ' ' && i < size - 1; at++)
				value[i++] = *at;
			value[i] = '\0';
			return true;
		}
		while (*at && *at != ' ')
			at++;
	}
	return false;
}
