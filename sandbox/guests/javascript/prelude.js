// What the guest needs of JavaScript itself: `console`, timers, and the description of failures.
(function (host) {
  'use strict';
  const { stringify } = JSON;
  const define = (name, value) =>
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });

  Object.defineProperty(Math, 'random', { value: host.random, writable: true, configurable: true, enumerable: false });

  // --- console ---
  const quote = (text) => "'" + text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/'/g, "\\'") + "'";
  const isKey = /^[A-Za-z_$][\w$]*$/;

  function inspect(value, depth, seen) {
    switch (typeof value) {
      case 'string': return depth === 0 ? value : quote(value);
      case 'bigint': return value + 'n';
      case 'symbol': return value.toString();
      case 'function': return (/^class\b/.test(String(value)) ? '[class ' : '[Function: ') + (value.name || '(anonymous)') + ']';
      case 'object': break;
      default: return Object.is(value, -0) ? '-0' : String(value);
    }
    if (value === null) return 'null';
    if (value instanceof Error) return ownStack(value);
    if (value instanceof Date) return isNaN(value) ? 'Invalid Date' : value.toISOString();
    if (value instanceof RegExp) return String(value);
    if (seen.includes(value)) return '[Circular]';
    const name = value.constructor && value.constructor.name;
    if (depth > 4) return Array.isArray(value) ? '[Array]' : `[${name || 'Object'}]`;
    const inner = [...seen, value];
    const show = (item) => inspect(item, depth + 1, inner);
    const limited = (items, make) => {
      const shown = [];
      for (const item of items) {
        if (shown.length === 100) { shown.push('...'); break; }
        shown.push(make(item));
      }
      return shown.join(', ');
    };
    const wrap = (open, body, close) => (body ? `${open} ${body} ${close}` : open + close);
    if (Array.isArray(value)) return wrap('[', limited(value, show), ']');
    if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
      return wrap(`${name}(${value.length}) [`, limited(value, show), ']');
    }
    if (value instanceof Map) {
      return wrap(`Map(${value.size}) {`, limited(value, ([key, item]) => `${show(key)} => ${show(item)}`), '}');
    }
    if (value instanceof Set) return wrap(`Set(${value.size}) {`, limited(value, show), '}');
    if (value instanceof Promise) return 'Promise {}';
    const prefix = !name || name === 'Object' ? '' : name + ' ';
    const entry = (key) => `${isKey.test(key) ? key : quote(key)}: ${show(value[key])}`;
    return wrap(prefix + '{', limited(Object.keys(value), entry), '}');
  }

  function format(args) {
    let at = 0;
    let text = '';
    if (typeof args[0] === 'string' && args.length > 1 && args[0].includes('%')) {
      at = 1;
      text = args[0].replace(/%[sdifjoO%]/g, (mark) => {
        if (mark === '%%') return '%';
        if (at >= args.length) return mark;
        const value = args[at++];
        switch (mark) {
          case '%s': return typeof value === 'string' ? value : inspect(value, 1, []);
          case '%d': return String(Number(value));
          case '%i': return String(parseInt(value, 10));
          case '%f': return String(parseFloat(value));
          case '%j': return stringify(value);
          default: return inspect(value, 1, []);
        }
      });
    }
    for (; at < args.length; at++) text += (at > 0 ? ' ' : '') + inspect(args[at], 0, []);
    return text + '\n';
  }

  const stdout = (...args) => host.write(1, format(args));
  const stderr = (...args) => host.write(2, format(args));
  define('console', {
    log: stdout, info: stdout, debug: stdout, dir: (value) => stdout(value),
    warn: stderr, error: stderr, trace: (...args) => stderr('Trace:', ...args),
    assert: (condition, ...args) => { if (!condition) stderr('Assertion failed', ...args); },
  });

  // --- timers: real time, within the call ---
  const { now } = Date;
  const timers = new Map();
  let last = 0;
  const add = (callback, delay, args, repeat) => {
    if (typeof callback !== 'function') throw new TypeError('a timer needs a function');
    const wait = Math.max(repeat === undefined ? 0 : 1, Math.min(Number(delay) || 0, 0x7fffffff));
    timers.set(++last, { callback, args, at: now() + wait, repeat: repeat === undefined ? undefined : wait });
    return last;
  };
  const clear = (id) => { timers.delete(id); };
  define('setTimeout', (callback, delay, ...args) => add(callback, delay, args));
  define('setInterval', (callback, delay, ...args) => add(callback, delay, args, true));
  define('setImmediate', (callback, ...args) => add(callback, 0, args));
  define('clearTimeout', clear);
  define('clearInterval', clear);
  define('clearImmediate', clear);

  // The timer that is due first; of two that are due at once, the older one.
  const first = () => {
    let found;
    for (const entry of timers) if (!found || entry[1].at < found[1].at) found = entry;
    return found;
  };
  const nextTimer = () => {
    const entry = first();
    return entry ? Math.max(0, entry[1].at - now()) : -1;
  };
  const fireTimer = () => {
    const [id, timer] = first();
    if (timer.repeat === undefined) timers.delete(id);
    else timer.at = now() + timer.repeat;
    timer.callback(...timer.args);
  };

  // --- promises that were rejected while nobody waited ---
  const pending = new Map();
  const rejected = (promise, reason, handled) => {
    if (handled) pending.delete(promise);
    else pending.set(promise, reason);
  };
  const unhandled = () => {
    for (const reason of pending.values()) return [reason];
    return undefined;
  };

  // --- modules: there are none ---
  define('require', (name) => {
    throw Object.assign(new Error(String(name)), { code: 'MODULE_NOT_FOUND' });
  });

  // --- failures ---
  // Only the frames of the user's code: `    at main (<code>:3:11)`.
  const frames = (error) =>
    String(error.stack || '').split('\n').filter((line) => line.includes('<code>:')).map((line) => '    ' + line.trim());
  function ownStack(error) {
    return [`${error.name}: ${error.message}`, ...frames(error)].join('\n');
  }

  function describe(error, kind) {
    if (!(error instanceof Error)) {
      let message;
      try { message = inspect(error, 0, []); } catch { message = 'a value that cannot be shown'; }
      return stringify({ kind, type: typeof error, message });
    }
    const type = String(error.name);
    let message = String(error.message);
    if (type === 'InternalError' && message === 'out of memory') kind = 'memory';
    let module;
    if (error.code === 'MODULE_NOT_FOUND' || error.code === 'ERR_MODULE_NOT_FOUND') {
      [kind, module, message] = ['module', message, `no module \`${message}\``];
    }
    const stack = frames(error);
    const place = stack.length > 0 && /<code>:(\d+)/.exec(stack[0]);
    return stringify({
      kind, type, message, module,
      line: place ? Number(place[1]) : undefined,
      traceback: kind === 'main' || kind === 'inputs' ? undefined : [`${type}: ${message}`, ...stack].join('\n'),
    });
  }

  // Of the errors of the code as a script and as a module, the one that tells more: a module that is missing, or else where
  // the parser came further.
  const lineOf = (error) => Number((/<code>:(\d+)/.exec(error.stack) || [])[1] || 0);
  const better = (script, module) =>
    module.code === 'ERR_MODULE_NOT_FOUND' || lineOf(module) > lineOf(script) ? module : script;

  return { describe, better, nextTimer, fireTimer, rejected, unhandled };
})
