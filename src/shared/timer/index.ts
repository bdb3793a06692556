/** A timer that partitions share, and who wakes them. */
export { TimerBroker } from './timer-broker.ts';
export { TimerEnd } from './timer-end.ts';
export { TimerPort } from './timer-port.ts';
