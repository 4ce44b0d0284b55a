// A small backend that knows no tokens: it wants to see one, notes what it saw, and lists contacts
// the way Django REST framework does.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

export interface Call {
  path: string;
  query: URLSearchParams;
  authorization: string;
  cookie: string;
}

const CONTACTS = Array.from({ length: 40 }, (_, index) => ({
  id: index + 1,
  name: `Contact ${String(index + 1).padStart(2, '0')}`,
  email: `contact${index + 1}@example.com`,
}));

export class Upstream {
  readonly calls: Call[] = [];
  #server?: Server;

  private constructor(public port: number) {}

  static async start(): Promise<Upstream> {
    const upstream = new Upstream(0);
    await upstream.resume();
    return upstream;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Listens, on the port it had before if it had one. */
  async resume(): Promise<void> {
    const server = createServer((request, response) => this.#answer(request, response));
    await new Promise<void>((ready) => server.listen(this.port, '127.0.0.1', ready));
    this.port = (server.address() as { port: number }).port;
    this.#server = server;
  }

  async end(): Promise<void> {
    const server = this.#server;
    if (!server?.listening) return;
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', this.url);
    const { authorization = '', cookie = '' } = request.headers;
    this.calls.push({ path: url.pathname, query: url.searchParams, authorization, cookie });
    const [status, body] = this.#route(url, authorization);
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  }

  #route(url: URL, authorization: string): [number, unknown] {
    if (!/^Bearer \S+$/.test(authorization)) return [401, { detail: 'Authentication credentials were not provided.' }];
    const [, id] = /^\/api\/contacts\/?(\d+)?\/?$/.exec(url.pathname) ?? [undefined, undefined];
    if (id) return [200, CONTACTS[Number(id) - 1]];
    if (!url.pathname.startsWith('/api/contacts')) return [404, { detail: 'Not found.' }];
    return [200, list(url.searchParams)];
  }
}

function list(query: URLSearchParams) {
  const search = query.get('search')?.toLowerCase() ?? '';
  const found = CONTACTS.filter(({ name }) => name.toLowerCase().includes(search));
  if (query.get('ordering')?.startsWith('-')) found.reverse();
  const size = Number(query.get('page_size') ?? 25);
  const start = (Number(query.get('page') ?? 1) - 1) * size;
  return { count: found.length, next: null, previous: null, results: found.slice(start, start + size) };
}
