// Makes the folder that browsers are served from, out of the wasm that cargo built, style/ and
// public/. The result is what `cargo leptos build --release --precompress` makes, names and all,
// but from wasm with link-time optimisation, which cargo-leptos cannot ask cargo for.
//
// Usage: node tools/ship.mjs WASM WASM_BINDGEN

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import zlib from 'node:zlib';

const NAME = 'breezeway';
const PKG = 'pkg';
/** What chat pages load besides. */
const PAGE_SCRIPT = 'chat.js';
/** Scripts of ours that are not compiled. */
const SCRIPTS = [PAGE_SCRIPT, 'data.js'];
/** Chat page, compressed: more than this many bytes of wasm, script and style is refused. */
const LIMIT = Number(process.env.SITE_LIMIT ?? 120_000);
/** The same browsers as `browserquery` in Cargo.toml. */
const BROWSERS = { chrome: 123 << 16, firefox: 121 << 16, safari: (17 << 16) | (5 << 8) };
/** What rustc switches on for wasm32-unknown-unknown. */
const WASM_FEATURES = [
  'bulk-memory', 'multivalue', 'mutable-globals', 'nontrapping-float-to-int', 'reference-types', 'sign-ext',
].map((feature) => `--enable-${feature}`);
/** Twice over, with the control flow rebuilt in between and like beside like: 2 % less to download. */
const WASM_PASSES = ['-Oz', '--flatten', '--rereloop', '-Oz', '-Oz', '--reorder-functions-by-name'];
const COMPRESSIBLE = new Set(['.css', '.html', '.ico', '.js', '.json', '.svg', '.txt', '.wasm', '.webmanifest', '.xml']);

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const site = join(root, 'target/site');
const fresh = join(root, 'target/site.new');
const scratch = join(root, 'target/ship');
/** Leptos looks for the hashes beside the server's binary. */
const hashFile = join(root, 'target/release/hash.txt');
const require = createRequire(import.meta.url);

/** wasm-bindgen's two files, the wasm optimised for size. */
function bindgen(wasm, command) {
  execFileSync(command, ['--target=web', '--no-typescript', `--out-name=${NAME}`, `--out-dir=${scratch}`, wasm], { stdio: 'inherit' });
  const bound = join(scratch, `${NAME}_bg.wasm`);
  const wasmOpt = join(dirname(require.resolve('binaryen/package.json')), 'bin/wasm-opt');
  execFileSync(process.execPath, [wasmOpt, ...WASM_PASSES, '--strip-debug', '--strip-producers', ...WASM_FEATURES, bound, '-o', bound], { stdio: 'inherit' });
  return { js: readFileSync(join(scratch, `${NAME}.js`), 'utf8'), wasm: readFileSync(bound) };
}

/** style/main.css with everything it imports, minified. */
function stylesheet() {
  const { bundle } = require('lightningcss');
  const { code, warnings } = bundle({ filename: join(root, 'style/main.css'), minify: true, targets: BROWSERS });
  for (const { message, loc } of warnings) console.warn(`style: ${message} (${loc?.filename}:${loc?.line})`);
  return Buffer.from(code);
}

async function minify(js) {
  const { minify } = require('terser');
  return (await minify(js, { module: true, compress: { passes: 2 } })).code;
}

/** A file's hash as cargo-leptos writes it: MD5 in 22 characters. It names content, it guards nothing. */
const hashOf = (bytes) => createHash('md5').update(bytes).digest('base64url');

/** Writes one file under its hashed name and tells that name. */
function writeHashed(extension, bytes) {
  const hash = hashOf(bytes);
  const file = `${NAME}.${hash}.${extension}`;
  writeFileSync(join(fresh, PKG, file), bytes);
  return { extension, hash, file };
}

const filesUnder = (folder) =>
  readdirSync(folder, { recursive: true }).map((name) => join(folder, name)).filter((path) => statSync(path).isFile());

/** Writes FILE.br and FILE.gz where they are smaller than FILE. */
function precompress(path) {
  const bytes = readFileSync(path);
  const brotli = zlib.brotliCompressSync(bytes, {
    params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 11, [zlib.constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
  const gzip = zlib.gzipSync(bytes, { level: 9 });
  for (const [extension, packed] of [['br', brotli], ['gz', gzip]]) {
    if (packed.length < bytes.length) writeFileSync(`${path}.${extension}`, packed);
  }
}

/** Prints what the chat page weighs and stops the build when it is too heavy. */
function weigh(parts) {
  const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`.padStart(9);
  let sum = 0;
  for (const [name, path] of parts) {
    const raw = statSync(path).size;
    const packed = existsSync(`${path}.br`) ? statSync(`${path}.br`).size : raw;
    sum += packed;
    console.log(`  ${name.padEnd(8)}${kilobytes(raw)} raw ${kilobytes(packed)} brotli`);
  }
  console.log(`  sum     ${' '.repeat(13)} ${kilobytes(sum)} brotli, of ${LIMIT / 1000} kB allowed`);
  if (sum > LIMIT) throw new Error(`the chat page weighs ${kilobytes(sum).trim()}, more than ${LIMIT / 1000} kB; the site was left as it was`);
}

/** Puts the fresh folder where the site was, so that no request ever meets a half-written one. */
function swapIn(shipped) {
  const old = `${site}.old`;
  rmSync(old, { recursive: true, force: true });
  if (existsSync(site)) renameSync(site, old);
  renameSync(fresh, site);
  mkdirSync(dirname(hashFile), { recursive: true });
  writeFileSync(hashFile, shipped.map(({ extension, hash }) => `${extension}: ${hash}\n`).join(''));
  rmSync(old, { recursive: true, force: true });
}

async function ship(wasmFile, command) {
  for (const folder of [fresh, scratch]) rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(fresh, PKG), { recursive: true });
  if (existsSync(join(root, 'public'))) cpSync(join(root, 'public'), fresh, { recursive: true });

  const built = bindgen(wasmFile, command);
  const snippets = join(scratch, 'snippets');
  if (existsSync(snippets)) cpSync(snippets, join(fresh, PKG, 'snippets'), { recursive: true });

  const wasm = writeHashed('wasm', built.wasm);
  const js = writeHashed('js', Buffer.from(await minify(built.js.replaceAll(`${NAME}_bg.wasm`, wasm.file))));
  const css = writeHashed('css', stylesheet());
  const shipped = [js, wasm, css];
  for (const script of SCRIPTS.map((name) => join(fresh, name))) {
    writeFileSync(script, await minify(readFileSync(script, 'utf8')));
  }

  for (const path of filesUnder(fresh)) if (COMPRESSIBLE.has(extname(path))) precompress(path);
  weigh([...shipped.map(({ extension, file }) => [extension, join(fresh, PKG, file)]), [PAGE_SCRIPT, join(fresh, PAGE_SCRIPT)]]);
  swapIn(shipped);
}

const [wasmFile, command] = process.argv.slice(2);
if (!command) {
  console.error(`Usage: node tools/${basename(import.meta.url)} WASM WASM_BINDGEN`);
  process.exit(2);
}
ship(resolve(wasmFile), resolve(command)).catch((error) => {
  // Lightning CSS tells the place beside the message.
  const place = error.fileName ? ` (${error.fileName}:${error.loc?.line})` : '';
  console.error(`\nStopped: ${error.message}${place}`);
  process.exit(1);
});
