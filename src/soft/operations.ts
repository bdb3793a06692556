/** Every instruction that is executed by TypeScript and not by generated code, except x87: mnemonic → operation. */
import { BIT_STRING_OPERATIONS } from './operations/bit-strings.ts';
import { CONTROL_REGISTER_OPERATIONS } from './operations/control-registers.ts';
import { DECIMAL_OPERATIONS } from './operations/decimal.ts';
import { DESCRIPTOR_OPERATIONS } from './operations/descriptor-tables.ts';
import { FX_STATE_OPERATIONS } from './operations/fx-state.ts';
import { IO_OPERATIONS } from './operations/io.ts';
import { MONITOR_OPERATIONS } from './operations/monitor.ts';
import { MSR_OPERATIONS } from './operations/msrs.ts';
import type { SystemOperations } from './operations/operation.ts';
import { PROCESSOR_OPERATIONS } from './operations/processor.ts';
import { STACK_OPERATIONS } from './operations/stack-operations.ts';
import { STRING_OPERATIONS } from './operations/strings.ts';
import { SYSCALL_OPERATIONS } from './operations/syscalls.ts';
import { TRANSFER_OPERATIONS } from './operations/transfers.ts';
import { XSAVE_OPERATIONS } from './operations/xsave.ts';

export const SYSTEM_OPERATIONS: SystemOperations = {
  ...BIT_STRING_OPERATIONS,
  ...CONTROL_REGISTER_OPERATIONS,
  ...DECIMAL_OPERATIONS,
  ...DESCRIPTOR_OPERATIONS,
  ...FX_STATE_OPERATIONS,
  ...IO_OPERATIONS,
  ...MONITOR_OPERATIONS,
  ...MSR_OPERATIONS,
  ...PROCESSOR_OPERATIONS,
  ...STACK_OPERATIONS,
  ...STRING_OPERATIONS,
  ...SYSCALL_OPERATIONS,
  ...TRANSFER_OPERATIONS,
  ...XSAVE_OPERATIONS,
};
