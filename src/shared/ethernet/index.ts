/** The shared network: virtio-net in the partition, a switch in a thread of its own, and the ways out of it. */
export { EthernetBroker, type EthernetBrokerOptions, type EthernetUplink } from './ethernet-broker.ts';
export { createGrantedPort, DEFAULT_MTU, DEFAULT_STORM, ethernetPort, gatewayStation, grantedStation, uplinkDescription } from './granted-port.ts';
export { formatIpv4, parseIpv4, parseSubnet, type Subnet } from './nat/ipv4.ts';
export { FIRST_GUEST, guestAddress } from './nat/nat.ts';
export { createNetworkPort, DEFAULT_DEPTH as DEFAULT_NETWORK_DEPTH, NetworkEnd, waitingFrames } from './network-port.ts';
export { Packet, stationBytes } from './packet.ts';
export { counterOf, createCounters, EthernetSwitch, LAST_VLAN, type PortCounters, readCounters, SWITCH_METRICS } from './switch.ts';
export { VirtioNet } from './virtio-net.ts';
