/** What partitions share: virtio devices, the brokers behind them, and what carries requests between the two. */
export { Broker, BrokerCommand, runBroker, type ServedPort } from './broker.ts';
export * from './disk/index.ts';
export * from './ethernet/index.ts';
export { FairQueue, type FairShare } from './fair-queue.ts';
export { createPort, type EndSurroundings, openSharedEnd } from './ports.ts';
export * from './virtio/index.ts';
export * from './channels/index.ts';
export * from './console/index.ts';
export * from './entropy/index.ts';
export * from './timer/index.ts';
export { SHARED_MODELS } from './models.ts';
export * from './port.ts';
export type { MetricColumn, MetricUnit, PortMetric } from './metric.ts';
export { PORT_METRICS, type PortReading, readPort, readUplink } from './metrics.ts';
