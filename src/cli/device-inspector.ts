/** The program of the thread that looks at a device module: what the compiler of manifests has to know, or what is wrong. */
import { deviceOfModule, factsOf } from '../board/index.ts';
import { serveInspection } from '../host/node/device-modules.ts';
import { DEVICE_KIT } from './device-modules.ts';

await serveInspection(DEVICE_KIT, (exports) => {
  const found = deviceOfModule(exports);
  return 'problem' in found ? found : factsOf(found);
});
