// The Django backend of drf/: its own database, its own people, and a plug to pull.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, ROOT } from './server.ts';

const PYTHON = join(ROOT, 'target/tools/python/bin/python');
const PROJECT = join(ROOT, 'end2end/drf');
export const SECRET = 'only-for-tests';

export class Crm {
  #child?: ChildProcess;

  private constructor(
    readonly port: number,
    readonly folder: string,
  ) {}

  /** `client` is the origin of the Breezeway that signs people in by it. */
  static async start(client: string): Promise<Crm> {
    const crm = new Crm(await freePort(), await mkdtemp(join(tmpdir(), 'breezeway-crm-')));
    execFileSync(PYTHON, ['manage.py', 'seed'], { cwd: PROJECT, env: crm.#env(client) });
    await crm.resume();
    return crm;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  #env(client = '') {
    return {
      ...process.env,
      PYTHONDONTWRITEBYTECODE: '1',
      CRM_DATABASE: join(this.folder, 'crm.sqlite3'),
      CRM_CLIENT_SECRET: SECRET,
      CRM_REDIRECT_URI: `${client}/auth/callback`,
      CRM_POST_LOGOUT_URI: `${client}/?signed_out`,
    };
  }

  /** Starts it where it was, with what it had. */
  async resume(): Promise<void> {
    const child = spawn(PYTHON, ['manage.py', 'serve', '--port', String(this.port)], {
      cwd: PROJECT,
      env: this.#env(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (chunk) => (said += chunk));
    await new Promise<void>((ready, failed) => {
      child.stdout.on('data', () => ready());
      child.once('exit', () => failed(new Error(`The CRM did not start:\n${said}`)));
    });
    this.#child = child;
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((done) => child.once('exit', done));
    child.kill('SIGKILL');
    await ended;
  }

  async remove(): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
