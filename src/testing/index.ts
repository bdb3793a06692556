/** `bulkhead/testing`: the kit for tests of devices, alone on a slot or in a machine with a guest. */
export { attachDevice, FakePower, type FakeSlot, FakeTerminal, fakeSlot, ManualClock, RecordingLine } from '../board/index.ts';
export { COUNTERS, GuestProgram, MIPS, PROGRAM_BASE } from './guest-program.ts';
export { type RunOptions, type TestDevice, TestMachine, type TestMachineOptions, type TestRun } from './test-machine.ts';
