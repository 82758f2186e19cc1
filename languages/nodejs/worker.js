// Dispatch's side of a JavaScript worker: says hello, loads one handler, answers one call at a time.
//
// It runs as `node -e <this file>` with a socket to the server at descriptor 3 (frames:
// crates/runtime/src/frame.rs) and pipes at 1 and 2. Between calls the event loop goes on, so that
// what the function keeps open (pools, timers) stays alive. It is no sandbox: the function shares
// this process and may do as it likes.
'use strict';

const fs = require('fs');
const net = require('net');
const path = require('path');
const { pathToFileURL } = require('url');

const CHANNEL = 3;
const PROTOCOL = 1;
const LOAD = 1, CALL = 2;
const HELLO = 16, LOADED = 17, LOAD_ERROR = 18, RESULT = 19, ERROR = 20;
const MAX_RESULT = 10 << 20;
const MAX_MESSAGE = 16 << 10;
const MAX_NOTE = 200 << 10;
const MAX_STACK_LINES = 100, MAX_STACK_LINE = 1000;
const NO_CALL = Buffer.alloc(8);
const SOURCE = /\.(js|cjs|mjs)$/;

// What functions may replace and the worker needs.
const { parse, stringify } = JSON;
const { concat, from } = Buffer;
const exit = process.exit.bind(process);

const channel = new net.Socket({ fd: CHANNEL, readable: true, writable: true });

function send(kind, call, body) {
  const head = Buffer.allocUnsafe(13);
  head.writeUInt32BE(9 + body.length, 0);
  head[4] = kind;
  call.copy(head, 5);
  channel.write(body.length === 0 ? head : concat([head, body]));
}

/** Lets printing wait for the server: what a call printed is there before its answer is. */
function printAtOnce() {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream._handle && stream._handle.setBlocking) stream._handle.setBlocking(true);
  }
}

/** A failure in the platform's own words, without a stack trace. */
class Fault extends Error {}

function textOf(value) {
  try {
    const text = value instanceof Error ? value.message || value.name : value;
    return String(text).replace(/\n- \/\[eval\]/g, '');
  } catch {
    return 'an error whose text cannot be had';
  }
}

/** The lines of an error's trace, and of its causes, without ours and without Node's own. */
function stackOf(error) {
  const lines = [];
  try {
    for (let depth = 0; error instanceof Error && depth < 5; depth += 1, error = error.cause) {
      const text = String(error.stack || error);
      const ours = (line) => /^(\s+at .*|- \/)(\[eval\]|\bnode:)/.test(line);
      const kept = text.split('\n').filter((line) => !ours(line));
      if (depth > 0) kept[0] = `caused by ${kept[0]}`;
      lines.push(...kept.map((line) => line.slice(0, MAX_STACK_LINE)));
    }
  } catch {
    // A trace that cannot be had is left out.
  }
  return lines.slice(0, MAX_STACK_LINES);
}

/** The body of an error frame, below the size at which the server would refuse it. */
function failure(type, message, stacktrace = []) {
  message = message.slice(0, MAX_MESSAGE);
  for (;;) {
    const body = from(stringify({ type, message, stacktrace }));
    if (body.length <= MAX_NOTE) return body;
    if (stacktrace.length > 1) {
      stacktrace = stacktrace.slice(0, stacktrace.length >> 1);
    } else {
      stacktrace = [];
      message = message.slice(0, MAX_MESSAGE >> 4);
    }
  }
}

/** The file that a handler names: the only one of the directory if none is named. */
function sourceOf(code, handler) {
  if (!handler) {
    const sources = fs.readdirSync(code).filter((name) => SOURCE.test(name));
    if (sources.length !== 1) {
      throw new Fault(
        'exactly 1 JavaScript file is needed when no handler is given, ' +
          `there are ${sources.length}: name the handler as a file`,
      );
    }
    return path.join(code, sources[0]);
  }
  const file = path.resolve(code, handler);
  if (!file.startsWith(code + path.sep) || !SOURCE.test(file)) {
    throw new Fault(`the handler '${handler}' is not a .js file of the function`);
  }
  if (!fs.existsSync(file)) throw new Fault(`the handler '${handler}' does not exist`);
  return file;
}

async function load(code, handler) {
  process.chdir(code);
  const file = sourceOf(code, handler);
  const name = path.relative(code, file);
  let exported;
  try {
    exported = file.endsWith('.mjs') ? undefined : require(file);
  } catch (error) {
    if (!(error && error.code === 'ERR_REQUIRE_ESM')) throw error;
  }
  if (exported === undefined) exported = await import(pathToFileURL(file).href);
  const found = typeof exported === 'function' ? exported : exported && exported.default;
  if (typeof found !== 'function') {
    throw new Fault(`${name} exports no function: module.exports = function (context, params) …`);
  }
  return found;
}

async function loaded(body) {
  try {
    const wanted = parse(body.toString());
    const found = await load(wanted.code, wanted.handler);
    send(LOADED, NO_CALL, Buffer.alloc(0));
    return found;
  } catch (error) {
    if (error instanceof Fault) {
      send(LOAD_ERROR, NO_CALL, failure('FunctionError', error.message));
    } else {
      const name = error instanceof Error ? error.name : typeof error;
      const text = `cannot load the function: ${name}: ${textOf(error)}`;
      send(LOAD_ERROR, NO_CALL, failure('FunctionError', text, stackOf(error)));
    }
    return null;
  }
}

function contextOf(header) {
  const { context } = header;
  if (context.timeout === undefined) context.timeout = header.timeout;
  if (context.deadline === undefined) context.deadline = new Date(header.deadline).toISOString();
  return context;
}

/** The answer to one call, as type and body. */
async function answer(handle, body) {
  let context;
  let payload = null;
  try {
    const split = 4 + body.readUInt32BE(0);
    context = contextOf(parse(body.toString('utf8', 4, split)));
    if (body.length > split) payload = parse(body.toString('utf8', split));
  } catch (error) {
    return [ERROR, failure('InputError', `Node.js cannot read the payload: ${textOf(error)}`)];
  }
  let value;
  try {
    value = await handle(context, payload);
  } catch (error) {
    const type = error instanceof TypeError ? 'InputError' : 'FunctionError';
    return [ERROR, failure(type, textOf(error), stackOf(error))];
  }
  let result;
  try {
    const text = stringify(value);
    result = from(text === undefined ? 'null' : text);
  } catch (error) {
    const text = `the function returned what JSON cannot hold: ${textOf(error)}`;
    return [ERROR, failure('FunctionError', text)];
  }
  if (result.length > MAX_RESULT) {
    const text = `the result is ${result.length} bytes of JSON; at most ${MAX_RESULT} are allowed`;
    return [ERROR, failure('FunctionError', text)];
  }
  return [RESULT, result];
}

/** Frames of what arrives, as [type, call, body]. */
class Frames {
  constructor() {
    this.parts = [];
    this.size = 0;
  }

  add(part) {
    this.parts.push(part);
    this.size += part.length;
  }

  next() {
    if (this.size < 13) return null;
    if (this.parts[0].length < 4) this.join();
    const length = 4 + this.parts[0].readUInt32BE(0);
    if (this.size < length) return null;
    const whole = this.join();
    this.parts = whole.length === length ? [] : [whole.subarray(length)];
    this.size -= length;
    return [whole[4], whole.subarray(5, 13), whole.subarray(13, length)];
  }

  join() {
    if (this.parts.length > 1) this.parts = [concat(this.parts)];
    return this.parts[0];
  }
}

function main() {
  const frames = new Frames();
  let handle = null;
  let open = null;

  async function take([kind, call, body]) {
    if (handle === null && kind === LOAD) {
      handle = await loaded(body);
    } else if (handle !== null && kind === CALL) {
      open = call;
      const [type, answered] = await answer(handle, body);
      open = null;
      send(type, call, answered);
    } else {
      process.stderr.write(`frame of type ${kind} from the server\n`);
      exit(1);
    }
  }

  let busy = false;
  async function drain() {
    if (busy) return;
    busy = true;
    for (let frame = frames.next(); frame !== null; frame = frames.next()) await take(frame);
    busy = false;
  }

  // What nobody caught leaves the process in a state that nobody knows: the call fails, and it ends.
  function uncaught(error) {
    if (open === null) {
      process.stderr.write(`${stackOf(error).join('\n') || textOf(error)}\n`);
      return exit(1);
    }
    const call = open;
    open = null;
    send(ERROR, call, failure('FunctionError', textOf(error), stackOf(error)));
    channel.end(() => exit(1));
  }
  process.on('uncaughtException', uncaught);

  channel.on('data', (part) => {
    frames.add(part);
    drain();
  });
  channel.on('end', () => exit(0));
  channel.on('error', () => exit(0));
  const version = process.versions.node;
  send(HELLO, NO_CALL, from(stringify({ protocol: PROTOCOL, language: 'nodejs', version })));
  // While the server reads the hello.
  printAtOnce();
  process.argv.length = 1;
}

main();
