// Starts and ends the identity provider of identity/server.mjs, and asks it what it has seen.

import { spawn, type ChildProcess } from 'node:child_process';
import { resolve } from 'node:path';
import { freePort } from './server.ts';

export interface Stats {
  issued: number;
  refreshed: number;
  refused: number;
  revoked: number;
}

export class Identity {
  private constructor(
    readonly issuer: string,
    readonly child: ChildProcess,
  ) {}

  /** `accessTokenLife` in seconds. */
  static async start(clientOrigin: string, accessTokenLife: number): Promise<Identity> {
    const port = await freePort();
    const child = spawn(process.execPath, [resolve(import.meta.dirname, '../identity/server.mjs')], {
      env: {
        ...process.env,
        PORT: String(port),
        CLIENT_ORIGIN: clientOrigin,
        ACCESS_TOKEN_LIFE: String(accessTokenLife),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (chunk) => (said += chunk));
    await new Promise<void>((ready, failed) => {
      child.stdout.on('data', () => ready());
      child.once('exit', () => failed(new Error(`The identity provider did not start:\n${said}`)));
    });
    return new Identity(`http://localhost:${port}`, child);
  }

  async stats(): Promise<Stats> {
    return (await fetch(`${this.issuer}/test/stats`)).json();
  }

  /** Makes its token endpoint slow (milliseconds), or answer a status. */
  async mood(mood: { slow?: number; fail?: number }): Promise<void> {
    await fetch(`${this.issuer}/test/mood?slow=${mood.slow ?? 0}&fail=${mood.fail ?? 0}`);
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((done) => this.child.once('exit', done));
    this.child.kill('SIGKILL');
    await ended;
  }
}
