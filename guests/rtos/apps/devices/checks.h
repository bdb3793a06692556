/* The parts of the devices application: each looks for its devices and checks what it finds. */
#ifndef CHECKS_H
#define CHECKS_H

#include "drivers.h"
#include "rtos.h"

/* `ok NAME` or `fail NAME`, as the payloads print it. Returns `good`. */
bool expect(const char *name, bool good);
/* `ok NAME`, or `fail NAME got X want LOW to HIGH`. */
void expect_between(const char *name, s64 value, s64 low, s64 high);
/* The machine has no such device; the checks that go with it are left out. */
void absent(const char *name);

void check_hpet(void);
/* `bite`: ends with a watchdog that nobody feeds; it does not return then. */
void check_watchdog(bool bite);
void check_disk(void);
void check_card(void);
void check_encoder(void);
void check_screen(void);
/* Reports this many scan codes as they come. */
void check_keyboard(u32 wanted);
/* Answers for `address` from now on. False: there is no controller. */
bool check_ethernet(u32 address);
void check_pings(u32 peer, u32 count);

#endif
