/** A whole machine: its partitions' lives, each independent of the others. */
export type { BrokerEvents, BrokerStart, BrokerThread, PortReport, StartBroker } from './brokers.ts';
export { ANSWER_TIMEOUT, DEVICE_TIMEOUT, LOAD_TIMEOUT } from './cell.ts';
export { ConsoleEnd, consoleDevices } from './consoles.ts';
export { type CrashConsequence, type MachineEvent, type MachineOptions, RunningMachine } from './machine.ts';
export { InputEnd, inputDevices, Screen } from './screens.ts';
export type { MachineHost, PartitionThread, ThreadEvents, ThreadStart } from './thread.ts';
