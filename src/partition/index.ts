/** One virtual machine: its clock, its vCPUs' turns, its life, and what its thread shares with the machine. */
export { type AssemblyOptions, assemble, cannotStart, type Images } from './assemble.ts';
export { boundedLog } from './bounded-log.ts';
export { VirtualClock } from './clock.ts';
export { type ConsoleBuffers, ConsolePort } from './console-port.ts';
export { createInputBuffers, type InputBuffers, InputPort } from './input-port.ts';
export { type LinkBuffers, type LinkedWire, PartitionLink } from './link.ts';
export {
  DEFAULT_QUANTUM,
  type DeviceFaults,
  type Hardware,
  type Pace,
  type PartitionEnd,
  type PartitionOptions,
  RunningPartition,
  type TelemetryReading,
} from './partition.ts';
export { type CrashKind, type CrashReport, crashReportToJson, renderCrashReport, type VcpuReport } from './report.ts';
export { servePartition, serveUntilReload } from './serve.ts';
