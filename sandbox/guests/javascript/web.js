// What the guest has of the web's standard library: text, URLs, structuredClone, and the part of `crypto` and of Node's `Buffer`
// that scripts use most.
(function (host) {
  'use strict';
  const define = (name, value) =>
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  const bytesOf = (source) => {
    if (source instanceof Uint8Array) return source;
    if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
    if (source instanceof ArrayBuffer) return new Uint8Array(source);
    throw new TypeError('expected an ArrayBuffer or a view of one');
  };

  // --- text ---
  define('TextEncoder', class TextEncoder {
    get encoding() { return 'utf-8'; }
    encode(text = '') { return host.encode(String(text).toWellFormed()); }
    encodeInto(text, target) {
      let read = 0;
      let written = 0;
      for (const character of String(text).toWellFormed()) {
        const bytes = host.encode(character);
        if (written + bytes.length > target.length) break;
        target.set(bytes, written);
        written += bytes.length;
        read += character.length;
      }
      return { read, written };
    }
  });

  define('TextDecoder', class TextDecoder {
    #fatal;
    #keepMark;
    constructor(label = 'utf-8', { fatal = false, ignoreBOM = false } = {}) {
      if (!/^\s*(utf-?8|unicode-1-1-utf-8)\s*$/i.test(label)) throw new RangeError(`unknown encoding \`${label}\`; expected utf-8`);
      this.#fatal = Boolean(fatal);
      this.#keepMark = Boolean(ignoreBOM);
    }
    get encoding() { return 'utf-8'; }
    get fatal() { return this.#fatal; }
    get ignoreBOM() { return this.#keepMark; }
    decode(source = new Uint8Array()) {
      const bytes = bytesOf(source);
      const text = host.decode(bytes);
      if (this.#fatal && text.includes('\ufffd')) {
        const again = host.encode(text);
        if (again.length !== bytes.length || again.some((byte, at) => byte !== bytes[at])) {
          throw new TypeError('the bytes are not valid UTF-8');
        }
      }
      return !this.#keepMark && text.startsWith('\ufeff') ? text.slice(1) : text;
    }
  });

  // --- structuredClone ---
  const typedArray = Object.getPrototypeOf(Uint8Array);
  function clone(value, seen) {
    if (typeof value === 'function' || typeof value === 'symbol') {
      throw new DOMException(`${String(value)} could not be cloned.`, 'DataCloneError');
    }
    if (typeof value !== 'object' || value === null) return value;
    if (seen.has(value)) return seen.get(value);
    const keep = (copy) => { seen.set(value, copy); return copy; };
    if (value instanceof Boolean || value instanceof Number || value instanceof String) return keep(Object(value.valueOf()));
    if (value instanceof Date) return keep(new Date(value.getTime()));
    if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
    if (value instanceof ArrayBuffer) return keep(value.slice(0));
    if (value instanceof DataView) return keep(new DataView(clone(value.buffer, seen), value.byteOffset, value.byteLength));
    if (value instanceof typedArray) return keep(new value.constructor(clone(value.buffer, seen), value.byteOffset, value.length));
    if (value instanceof Map) {
      const copy = keep(new Map());
      for (const [key, item] of [...value]) copy.set(clone(key, seen), clone(item, seen));
      return copy;
    }
    if (value instanceof Set) {
      const copy = keep(new Set());
      for (const item of [...value]) copy.add(clone(item, seen));
      return copy;
    }
    if (value instanceof Error) {
      const copy = keep(Object.create(Object.getPrototypeOf(value)));
      for (const key of ['name', 'message', 'stack', 'cause']) {
        if (Object.hasOwn(value, key)) Object.defineProperty(copy, key, { value: clone(value[key], seen), writable: true, configurable: true });
      }
      return copy;
    }
    if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet || value instanceof WeakRef) {
      throw new DOMException(`${Object.prototype.toString.call(value)} could not be cloned.`, 'DataCloneError');
    }
    const copy = keep(Array.isArray(value) ? new Array(value.length) : {});
    for (const key of Object.keys(value)) copy[key] = clone(value[key], seen);
    return copy;
  }
  define('structuredClone', (value) => clone(value, new Map()));

  // --- URLSearchParams ---
  const formByte = (byte) => {
    const character = String.fromCharCode(byte);
    if (byte === 0x20) return '+';
    return /[A-Za-z0-9*\-._]/.test(character) ? character : '%' + byte.toString(16).toUpperCase().padStart(2, '0');
  };
  const formEncode = (text) => Array.from(host.encode(String(text).toWellFormed()), formByte).join('');
  const percentDecode = (text) => {
    const bytes = host.encode(text);
    const decoded = [];
    for (let at = 0; at < bytes.length; at++) {
      const digits = bytes[at] === 0x25 ? String.fromCharCode(bytes[at + 1], bytes[at + 2]) : '';
      if (/^[0-9a-f]{2}$/i.test(digits)) { decoded.push(parseInt(digits, 16)); at += 2; } else decoded.push(bytes[at]);
    }
    return host.decode(new Uint8Array(decoded));
  };
  const formDecode = (text) => percentDecode(text.replace(/\+/g, ' '));
  const parseForm = (text) => text.split('&').filter(Boolean).map((pair) => {
    const at = pair.indexOf('=');
    return at < 0 ? [formDecode(pair), ''] : [formDecode(pair.slice(0, at)), formDecode(pair.slice(at + 1))];
  });

  class URLSearchParams {
    #pairs = [];
    #changed = () => {};
    constructor(init = '') {
      if (init !== null && typeof init === 'object') {
        const pairs = typeof init[Symbol.iterator] === 'function' ? [...init] : Object.entries(init);
        this.#pairs = pairs.map((pair) => {
          const [name, value, ...more] = pair;
          if (value === undefined || more.length > 0) throw new TypeError('expected pairs of a name and a value');
          return [String(name), String(value)];
        });
      } else this.#pairs = parseForm(String(init).replace(/^\?/, ''));
    }
    static of(text, changed) {
      const params = new URLSearchParams(text);
      params.#changed = changed;
      return params;
    }
    static reset(params, text) { params.#pairs = parseForm(text.replace(/^\?/, '')); }
    get size() { return this.#pairs.length; }
    append(name, value) { this.#pairs.push([String(name), String(value)]); this.#changed(); }
    delete(name, value) {
      this.#pairs = this.#pairs.filter(([key, item]) => key !== String(name) || (value !== undefined && item !== String(value)));
      this.#changed();
    }
    get(name) { const found = this.#pairs.find(([key]) => key === String(name)); return found ? found[1] : null; }
    getAll(name) { return this.#pairs.filter(([key]) => key === String(name)).map(([, value]) => value); }
    has(name, value) {
      return this.#pairs.some(([key, item]) => key === String(name) && (value === undefined || item === String(value)));
    }
    set(name, value) {
      const at = this.#pairs.findIndex(([key]) => key === String(name));
      if (at < 0) this.#pairs.push([String(name), String(value)]);
      else {
        this.#pairs[at] = [String(name), String(value)];
        this.#pairs = this.#pairs.filter(([key], index) => key !== String(name) || index <= at);
      }
      this.#changed();
    }
    sort() { this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)); this.#changed(); }
    forEach(callback, self) { for (const [name, value] of this.#pairs) callback.call(self, value, name, this); }
    *entries() { for (const [name, value] of this.#pairs) yield [name, value]; }
    *keys() { for (const [name] of this.#pairs) yield name; }
    *values() { for (const [, value] of this.#pairs) yield value; }
    [Symbol.iterator]() { return this.entries(); }
    toString() { return this.#pairs.map(([name, value]) => `${formEncode(name)}=${formEncode(value)}`).join('&'); }
    get [Symbol.toStringTag]() { return 'URLSearchParams'; }
  }
  const { of: paramsOf, reset: resetParams } = URLSearchParams;
  delete URLSearchParams.of;
  delete URLSearchParams.reset;
  define('URLSearchParams', URLSearchParams);

  // --- URL: the WHATWG rules for ASCII hosts; an international host name must be given in its xn-- form ---
  const defaultPorts = { 'http:': '80', 'https:': '443', 'ws:': '80', 'wss:': '443', 'ftp:': '21', 'file:': '' };
  const isSpecial = (protocol) => Object.hasOwn(defaultPorts, protocol);
  const escapeIn = (unsafe) => (text) => String(text).toWellFormed().replace(unsafe, (character) =>
    Array.from(host.encode(character), (byte) => '%' + byte.toString(16).toUpperCase().padStart(2, '0')).join(''));
  const escapePath = escapeIn(/[^\x21\x24-\x3b\x3d\x40-\x5f\x61-\x7a\x7c\x7e]/gu);
  const escapeOpaque = escapeIn(/[^\x20-\x7e]/gu);
  const escapeQuery = escapeIn(/[^\x21\x24-\x3b\x3d\x3f-\x7e]/gu);
  const escapeHash = escapeIn(/[^\x21\x23-\x3b\x3d\x3f-\x5f\x61-\x7e]/gu);
  const escapeUser = escapeIn(/[^\x21\x24-\x2e\x30-\x39\x41-\x5a\x5f\x61-\x7a\x7e]/gu);

  const wrong = (input) => { throw Object.assign(new TypeError(`Invalid URL: ${input}`), { code: 'ERR_INVALID_URL' }); };

  function parseHost(text, special, input) {
    if (/^\[[0-9a-f:.]+\]$/i.test(text)) return text.toLowerCase();
    if (!special) return /[\s#/:<>?@[\\\]^|]/.test(text) ? wrong(input) : escapeOpaque(text);
    const name = percentDecode(text).toLowerCase();
    if (!name || /[^\x21-\x7e]|[#%/:<>?@[\\\]^|]/.test(name)) return wrong(input);
    const parts = name.replace(/\.$/, '').split('.');
    if (!/^(\d+|0x[0-9a-f]*)$/.test(parts.at(-1))) return name;
    // The last label is a number, so the whole is an IPv4 address.
    const number = (part) => {
      if (/^0x[0-9a-f]*$/.test(part)) return part === '0x' ? 0 : parseInt(part, 16);
      if (/^0[0-7]+$/.test(part)) return parseInt(part, 8);
      return /^\d+$/.test(part) ? parseInt(part, 10) : NaN;
    };
    const numbers = parts.map(number);
    const tail = numbers.pop();
    if (numbers.length > 3 || numbers.some((part) => !(part <= 255)) || !(tail < 256 ** (4 - numbers.length))) return wrong(input);
    const address = numbers.reduce((sum, part, at) => sum + part * 256 ** (3 - at), tail);
    return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
  }

  function resolvePath(segments, text, special) {
    const parts = (special ? text.replace(/\\/g, '/') : text).split('/');
    parts.forEach((part, at) => {
      const end = at === parts.length - 1;
      const plain = part.replace(/%2e/gi, '.');
      if (plain === '..') { segments.pop(); if (end) segments.push(''); }
      else if (plain === '.') { if (end) segments.push(''); }
      else segments.push(escapePath(part));
    });
    return segments;
  }

  function parseURL(raw, base) {
    const input = String(raw).toWellFormed().replace(/^[\x00-\x20]+|[\x00-\x20]+$/g, '').replace(/[\t\n\r]/g, '');
    const [, beforeHash, hash] = /^([^#]*)(?:#(.*))?$/s.exec(input);
    const [, beforeQuery, query] = /^([^?]*)(?:\?(.*))?$/s.exec(beforeHash);
    const scheme = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(beforeQuery);
    const url = { protocol: '', username: '', password: '', hostname: null, port: '', path: [], opaque: null, search: '', hash: '' };
    let rest = beforeQuery;
    if (scheme) {
      url.protocol = scheme[1].toLowerCase() + ':';
      rest = scheme[2];
    } else {
      if (!base) return wrong(raw);
      if (base.opaque !== null && (rest || query !== undefined)) return wrong(raw);
      url.protocol = base.protocol;
    }
    const special = isSpecial(url.protocol);
    if (special) rest = rest.replace(/\\/g, '/');
    const relative = !scheme || (special && base && base.protocol === url.protocol && !rest.startsWith('/'));
    if (relative && !base) return wrong(raw);
    if (rest.startsWith('//') || (scheme && special && !relative)) {
      const [, authority, path] = /^\/*([^/]*)(.*)$/s.exec(special && url.protocol !== 'file:' ? rest : rest.slice(2).replace(/^/, '//').replace(/^\/\//, ''));
      const at = authority.lastIndexOf('@');
      if (at >= 0) {
        const [, user, password] = /^([^:]*)(?::(.*))?$/s.exec(authority.slice(0, at));
        url.username = escapeUser(user);
        url.password = escapeUser(password ?? '');
      }
      const place = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(authority.slice(at + 1));
      if (!place) return wrong(raw);
      if (place[1] === '' && special && url.protocol !== 'file:') return wrong(raw);
      url.hostname = place[1] === '' ? '' : parseHost(place[1], special, raw);
      if (place[2]) {
        const port = Number(place[2]);
        if (port > 65535) return wrong(raw);
        url.port = String(port) === defaultPorts[url.protocol] ? '' : String(port);
      }
      url.path = path || special ? resolvePath([], path.replace(/^\//, ''), special) : [];
    } else if (relative) {
      Object.assign(url, { username: base.username, password: base.password, hostname: base.hostname, port: base.port });
      url.opaque = base.opaque;
      if (rest.startsWith('/')) url.path = resolvePath([], rest.slice(1), special);
      else if (rest) url.path = resolvePath(base.path.slice(0, -1), rest, special);
      else {
        url.path = [...base.path];
        if (query === undefined) url.search = base.search;
      }
    } else if (rest.startsWith('/')) url.path = resolvePath([], rest.slice(1), special);
    else url.opaque = escapeOpaque(rest);
    if (query) url.search = '?' + escapeQuery(query).replace(/'/g, special ? '%27' : "'");
    if (hash) url.hash = '#' + escapeHash(hash);
    return url;
  }

  class URL {
    #url;
    #params;
    constructor(input, base) {
      this.#url = parseURL(input, base === undefined ? undefined : parseURL(base));
      this.#params = paramsOf(this.#url.search, () => {
        const text = this.#params.toString();
        this.#url.search = text && '?' + text;
      });
    }
    static canParse(input, base) { try { return Boolean(new URL(input, base)); } catch { return false; } }
    static parse(input, base) { try { return new URL(input, base); } catch { return null; } }
    // A setter takes what the parser takes in that place, and does nothing where it does not.
    #change(text) {
      try { this.#url = parseURL(text); } catch { return; }
      resetParams(this.#params, this.#url.search);
    }
    #write({ protocol, username, password, hostname, port, path, opaque, search, hash }) {
      const user = username || password ? `${username}${password && ':' + password}@` : '';
      const authority = hostname === null ? (path.length > 1 && path[0] === '' ? '/.' : '') : `//${user}${hostname}${port && ':' + port}`;
      return `${protocol}${opaque ?? authority + (path.length > 0 ? '/' + path.join('/') : '')}${search}${hash}`;
    }
    #with(part) { this.#change(this.#write({ ...this.#url, ...part })); }
    get href() { return this.#write(this.#url); }
    set href(text) { this.#url = parseURL(text); resetParams(this.#params, this.#url.search); }
    get origin() {
      const { protocol, hostname } = this.#url;
      return isSpecial(protocol) && protocol !== 'file:' ? `${protocol}//${hostname}${this.port && ':' + this.port}` : 'null';
    }
    get protocol() { return this.#url.protocol; }
    set protocol(text) {
      const protocol = String(text).replace(/:.*$/s, '').toLowerCase() + ':';
      if (isSpecial(protocol) === isSpecial(this.#url.protocol)) this.#with({ protocol });
    }
    get username() { return this.#url.username; }
    set username(text) { if (this.#url.hostname) this.#with({ username: escapeUser(text) }); }
    get password() { return this.#url.password; }
    set password(text) { if (this.#url.hostname) this.#with({ password: escapeUser(text) }); }
    get host() { return (this.#url.hostname ?? '') + (this.#url.port && ':' + this.#url.port); }
    set host(text) {
      const [, hostname, port] = /^([^:/?#]*|\[[^\]]*\])(?::(\d+))?/.exec(String(text));
      if (hostname) this.#with({ hostname, port: port ?? this.#url.port });
    }
    get hostname() { return this.#url.hostname ?? ''; }
    set hostname(text) { if (this.#url.opaque === null && text) this.#with({ hostname: String(text).replace(/[/?#].*$/s, '') }); }
    get port() { return this.#url.port; }
    set port(text) { if (this.#url.hostname) this.#with({ port: /^\d*/.exec(String(text))[0] }); }
    get pathname() { return this.#url.opaque ?? (this.#url.path.length > 0 ? '/' + this.#url.path.join('/') : ''); }
    set pathname(text) {
      if (this.#url.opaque === null) this.#with({ path: resolvePath([], String(text).replace(/^[/\\]/, ''), isSpecial(this.#url.protocol)) });
    }
    get search() { return this.#url.search; }
    set search(text) {
      const query = String(text).replace(/^\?/, '');
      this.#with({ search: query && '?' + escapeQuery(query) });
    }
    get hash() { return this.#url.hash; }
    set hash(text) {
      const fragment = String(text).replace(/^#/, '');
      this.#with({ hash: fragment && '#' + escapeHash(fragment) });
    }
    get searchParams() { return this.#params; }
    toString() { return this.href; }
    toJSON() { return this.href; }
    get [Symbol.toStringTag]() { return 'URL'; }
  }
  define('URL', URL);

  // --- crypto ---
  define('crypto', {
    getRandomValues(array) {
      bytesOf(array).set(host.randomBytes(array.byteLength));
      return array;
    },
    randomUUID() {
      const bytes = host.randomBytes(16);
      bytes[6] = (bytes[6] & 0x0f) | 0x40;
      bytes[8] = (bytes[8] & 0x3f) | 0x80;
      const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
    },
  });

  // --- Buffer: strings to bytes and back ---
  const toText = (bytes) => {
    let text = '';
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return text;
  };
  const fromText = (text) => Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);
  const encodings = {
    utf8: [(text) => host.encode(text.toWellFormed()), (bytes) => host.decode(bytes)],
    hex: [
      (text) => Uint8Array.from(/^([0-9a-f]{2})*/i.exec(text)[0].match(/../g) ?? [], (pair) => parseInt(pair, 16)),
      (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(''),
    ],
    base64: [
      (text) => fromText(atob(text.replace(/-/g, '+').replace(/_/g, '/').replace(/[^A-Za-z0-9+/]/g, ''))),
      (bytes) => btoa(toText(bytes)),
    ],
    latin1: [fromText, toText],
  };
  encodings['utf-8'] = encodings.utf8;
  encodings.binary = encodings.latin1;
  encodings.ascii = encodings.latin1;
  encodings.base64url = [encodings.base64[0], (bytes) => encodings.base64[1](bytes).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')];
  const encoding = (name) => {
    const found = encodings[String(name).toLowerCase()];
    if (!found) throw new TypeError(`unknown encoding \`${name}\`; expected one of ${Object.keys(encodings).join(', ')}`);
    return found;
  };
  define('Buffer', class Buffer extends Uint8Array {
    static from(source, name = 'utf8') {
      return super.from(typeof source === 'string' ? encoding(name)[0](source) : source instanceof ArrayBuffer ? new Uint8Array(source) : source);
    }
    static alloc(size, fill = 0) { return new Buffer(size).fill(fill); }
    static isBuffer(value) { return value instanceof Buffer; }
    static byteLength(text, name = 'utf8') { return encoding(name)[0](String(text)).length; }
    static concat(list) {
      const all = new Buffer(list.reduce((sum, item) => sum + item.length, 0));
      list.reduce((at, item) => { all.set(item, at); return at + item.length; }, 0);
      return all;
    }
    toString(name = 'utf8') { return encoding(name)[1](this); }
    toJSON() { return { type: 'Buffer', data: Array.from(this) }; }
  });
})
