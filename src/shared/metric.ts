/** What can be said about something that is counted for a port of a shared resource. */

/** Of the value itself. Requests are whatever the kind of resource serves: of a disk its requests, of memory doorbells, of entropy draws. */
export type MetricUnit = 'requests' | 'frames' | 'bytes' | 'ns';

/** Where it goes in a summary: values of the same column and unit are added up. */
export type MetricColumn = 'done' | 'in' | 'out' | 'refused' | 'lost' | 'failed' | 'held back' | 'waiting';

export interface PortMetric {
  readonly name: string;
  readonly unit: MetricUnit;
  /** Absent: too much of a detail for a summary. */
  readonly column?: MetricColumn;
  /** Seen from the partition that owns the port. */
  readonly what: string;
}
