// A Breezeway of a test's own: its own port, its own data directory, and a plug to pull.

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const ROOT = resolve(import.meta.dirname, '../..');

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((done) => probe.listen(0, '127.0.0.1', done));
  const { port } = probe.address() as { port: number };
  await new Promise((done) => probe.close(done));
  return port;
}

/** The server that belongs to the site in target/: the one with the latest hashes beside it. */
function binary(): string {
  if (process.env.BREEZEWAY_BIN) return process.env.BREEZEWAY_BIN;
  const age = (profile: string) => statSync(join(ROOT, 'target', profile, 'hash.txt')).mtimeMs;
  const built = ['release', 'debug'].filter((profile) =>
    ['breezeway', 'hash.txt'].every((file) => existsSync(join(ROOT, 'target', profile, file))),
  );
  if (built.length === 0) throw new Error('There is no built server to test. Run `make build` first.');
  built.sort((a, b) => age(b) - age(a));
  return join(ROOT, 'target', built[0], 'breezeway');
}

/** This process's environment without what would configure Breezeway. */
const neutral = () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(LEPTOS_|BREEZEWAY__)/.test(name)));

export interface Setup {
  /** Configuration file; the checked-in Leptos.toml when absent. */
  config?: string;
  port?: number;
  env?: Record<string, string>;
}

export class Server {
  #child?: ChildProcess;
  #log = '';

  private constructor(
    readonly port: number,
    readonly dataDir: string,
    readonly setup: Setup,
  ) {}

  static async start(setup: Setup = {}): Promise<Server> {
    const dataDir = await mkdtemp(join(tmpdir(), 'breezeway-'));
    const server = new Server(setup.port ?? (await freePort()), dataDir, setup);
    await server.launch();
    return server;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** All that the server has printed, over restarts. */
  get log(): string {
    return this.#log;
  }

  /** Starts it on the same port and data, and waits until it is healthy. */
  async launch(): Promise<void> {
    const config = this.setup.config ? ['--config', this.setup.config] : [];
    const child = spawn(binary(), ['serve', ...config], {
      cwd: ROOT,
      env: {
        ...neutral(),
        LEPTOS_SITE_ADDR: `127.0.0.1:${this.port}`,
        BREEZEWAY__SERVER__PUBLIC_URL: this.origin,
        BREEZEWAY__SERVER__DATA_DIR: this.dataDir,
        ...this.setup.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (this.#log += chunk));
    child.on('error', (error) => (this.#log += `${error}\n`));
    this.#child = child;
    await this.#healthy(child);
  }

  async #healthy(child: ChildProcess): Promise<void> {
    const deadline = Date.now() + 30_000;
    while (Date.now() < deadline) {
      if (child.exitCode !== null) throw new Error(`Breezeway stopped with ${child.exitCode}:\n${this.#log}`);
      const answer = await fetch(`${this.origin}/health`).catch(() => undefined);
      if (answer?.ok) return;
      await sleep(50);
    }
    throw new Error(`Breezeway was not healthy within 30 s:\n${this.#log}`);
  }

  /** Sends the signal, waits for the end and tells the exit code; null when the signal ended it. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const ended = new Promise<number | null>((done) => child.once('exit', (code) => done(code)));
    child.kill(signal);
    return ended;
  }

  /** Ends it for good and removes its data. */
  async remove(): Promise<void> {
    await this.end('SIGKILL');
    await rm(this.dataDir, { recursive: true, force: true });
  }
}
