// A network between browser and server that can fail as networks do: silently.

import { createServer, connect, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

export class Proxy {
  #pairs = new Set<[Socket, Socket]>();
  #server: Server;

  private constructor(target: () => number) {
    this.#server = createServer((near) => {
      const far = connect(target(), '127.0.0.1');
      const pair: [Socket, Socket] = [near, far];
      this.#pairs.add(pair);
      near.pipe(far);
      far.pipe(near);
      for (const socket of pair) {
        socket.on('error', () => pair.forEach((one) => one.destroy()));
        socket.on('close', () => this.#pairs.delete(pair));
      }
    });
  }

  static async start(target: () => number): Promise<Proxy> {
    const proxy = new Proxy(target);
    await new Promise<void>((ready) => proxy.#server.listen(0, '127.0.0.1', ready));
    return proxy;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** No byte passes on the connections there are, and nobody is told. New ones work. */
  swallow(): void {
    for (const [near, far] of this.#pairs) {
      near.unpipe(far);
      far.unpipe(near);
      near.resume();
      far.resume();
    }
  }

  end(): void {
    for (const pair of this.#pairs) pair.forEach((one) => one.destroy());
    this.#server.close();
  }
}
