// The JavaScript guest: QuickJS with a prelude, as a reactor that is snapshotted once it has started.
//
// run(script, code, code_len, inputs, inputs_len) gives the address of a reply: { failed, address, length }. What stands there
// is the JSON of the outputs, or of a failure (`describe` in prelude.js). `code` ends with a zero byte, which is not counted.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "quickjs.h"

#define EXPORT(name) __attribute__((export_name(name)))
#define HOST(name) __attribute__((import_module("host"), import_name(name))) extern
#define FILE_NAME "<code>"

HOST("write") void host_write(uint32_t stream, const char *text, uint32_t length);
HOST("sleep") void host_sleep(double milliseconds);

static const char PRELUDE[] = {
#embed "prelude.js"
  , 0};
static const char WEB[] = {
#embed "web.js"
  , 0};

static JSRuntime *runtime;
static JSContext *ctx;
static JSValue describe, better, next_timer, fire_timer, rejections, unhandled;

static struct { uint32_t failed; const char *text; uint32_t length; } reply;

static void *answer(uint32_t failed, const char *text, size_t length) {
  reply.failed = failed;
  reply.text = text;
  reply.length = length;
  return &reply;
}

// What stands in for a description when there is no memory left to make one.
static void *out_of_memory(void) {
  static const char text[] = "{\"kind\":\"memory\",\"type\":\"InternalError\",\"message\":\"out of memory\"}";
  return answer(1, text, sizeof text - 1);
}

// Describes the pending exception. `kind` says what was done; describe() knows better where it can.
static void *fail(const char *kind) {
  JSValue exception = JS_GetException(ctx);
  JSValue arguments[] = {exception, JS_NewString(ctx, kind)};
  JSValue text = JS_IsException(arguments[1]) ? JS_EXCEPTION : JS_Call(ctx, describe, JS_UNDEFINED, 2, arguments);
  size_t length;
  const char *bytes = JS_IsException(text) ? NULL : JS_ToCStringLen(ctx, &length, text);
  return bytes ? answer(1, bytes, length) : out_of_memory();
}

static void *fail_with(const char *kind, JSValue reason) {
  JS_Throw(ctx, reason);
  return fail(kind);
}

// --- functions for the prelude ---

static JSValue js_write(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  uint32_t stream;
  size_t length;
  if (JS_ToUint32(ctx, &stream, argv[0])) return JS_EXCEPTION;
  const char *text = JS_ToCStringLen(ctx, &length, argv[1]);
  if (!text) return JS_EXCEPTION;
  host_write(stream, text, length);
  JS_FreeCString(ctx, text);
  return JS_UNDEFINED;
}

// Math.random: QuickJS seeds its own when the context is made, and the snapshot would give every call the same numbers.
static JSValue js_random(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  static uint64_t state[2];
  static int seeded;
  if (!seeded) {
    if (getentropy(state, sizeof state)) abort();
    state[0] |= 1;
    seeded = 1;
  }
  uint64_t a = state[0], b = state[1]; // xorshift128+
  state[0] = b;
  a ^= a << 23;
  a ^= a >> 17;
  a ^= b ^ (b >> 26);
  state[1] = a;
  return JS_NewFloat64(ctx, (double)((a + b) >> 11) * 0x1p-53);
}

static JSValue js_random_bytes(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  uint32_t length;
  if (JS_ToUint32(ctx, &length, argv[0])) return JS_EXCEPTION;
  if (length > 65536) return JS_ThrowRangeError(ctx, "at most 65536 random bytes at once");
  uint8_t *bytes = js_malloc(ctx, length + 1);
  if (!bytes) return JS_EXCEPTION;
  for (uint32_t at = 0; at < length; at += 256) { // getentropy gives at most 256 bytes
    if (getentropy(bytes + at, length - at < 256 ? length - at : 256)) abort();
  }
  JSValue array = JS_NewUint8ArrayCopy(ctx, bytes, length);
  js_free(ctx, bytes);
  return array;
}

static JSValue js_utf8_encode(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  size_t length;
  const char *text = JS_ToCStringLen(ctx, &length, argv[0]);
  if (!text) return JS_EXCEPTION;
  JSValue array = JS_NewUint8ArrayCopy(ctx, (const uint8_t *)text, length);
  JS_FreeCString(ctx, text);
  return array;
}

static JSValue js_utf8_decode(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  size_t length;
  uint8_t *bytes = JS_GetUint8Array(ctx, &length, argv[0]);
  if (!bytes && length) return JS_EXCEPTION;
  return JS_NewStringLen(ctx, (const char *)bytes, length);
}

static JSModuleDef *no_module(JSContext *ctx, const char *name, void *opaque) {
  JSValue error = JS_NewError(ctx);
  JS_DefinePropertyValueStr(ctx, error, "message", JS_NewString(ctx, name), JS_PROP_CONFIGURABLE | JS_PROP_WRITABLE);
  JS_DefinePropertyValueStr(ctx, error, "code", JS_NewString(ctx, "ERR_MODULE_NOT_FOUND"), JS_PROP_CONFIGURABLE);
  JS_Throw(ctx, error);
  return NULL;
}

static char *module_name(JSContext *ctx, const char *base, const char *name, void *opaque) { return js_strdup(ctx, name); }

// Remembers the reasons of promises that were rejected while nobody waited for them.
static void on_rejection(JSContext *ctx, JSValueConst promise, JSValueConst reason, bool handled, void *opaque) {
  JSValueConst arguments[] = {promise, reason, JS_NewBool(ctx, handled)};
  JS_FreeValue(ctx, JS_Call(ctx, rejections, JS_UNDEFINED, 3, arguments));
}

// --- the start, before the snapshot ---

static JSValue evaluate_own(const char *text, size_t length, const char *name) {
  JSValue value = JS_Eval(ctx, text, length, name, JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_STRICT);
  if (JS_IsException(value)) abort();
  return value;
}

EXPORT("wizer-initialize") void start(void) {
  runtime = JS_NewRuntime();
  if (!runtime) abort();
  JS_SetMaxStackSize(runtime, 1024 * 1024);
  ctx = JS_NewContext(runtime);
  if (!ctx || JS_AddIntrinsicBigInt(ctx) || JS_AddIntrinsicDOMException(ctx)) abort();

  JSValue host = JS_NewObject(ctx);
  JS_SetPropertyStr(ctx, host, "write", JS_NewCFunction(ctx, js_write, "write", 2));
  JS_SetPropertyStr(ctx, host, "random", JS_NewCFunction(ctx, js_random, "random", 0));
  JS_SetPropertyStr(ctx, host, "randomBytes", JS_NewCFunction(ctx, js_random_bytes, "randomBytes", 1));
  JS_SetPropertyStr(ctx, host, "encode", JS_NewCFunction(ctx, js_utf8_encode, "encode", 1));
  JS_SetPropertyStr(ctx, host, "decode", JS_NewCFunction(ctx, js_utf8_decode, "decode", 1));
  JSValue web = evaluate_own(WEB, sizeof WEB - 1, "<web>");
  JS_FreeValue(ctx, JS_Call(ctx, web, JS_UNDEFINED, 1, (JSValueConst *)&host));
  JSValue prelude = evaluate_own(PRELUDE, sizeof PRELUDE - 1, "<prelude>");
  JSValue harness = JS_Call(ctx, prelude, JS_UNDEFINED, 1, (JSValueConst *)&host);
  if (JS_IsException(harness)) abort();
  describe = JS_GetPropertyStr(ctx, harness, "describe");
  better = JS_GetPropertyStr(ctx, harness, "better");
  next_timer = JS_GetPropertyStr(ctx, harness, "nextTimer");
  fire_timer = JS_GetPropertyStr(ctx, harness, "fireTimer");
  rejections = JS_GetPropertyStr(ctx, harness, "rejected");
  unhandled = JS_GetPropertyStr(ctx, harness, "unhandled");
  JS_SetModuleLoaderFunc(runtime, module_name, no_module, NULL);
  JS_SetHostPromiseRejectionTracker(runtime, on_rejection, NULL);

  // What every call does, done once: the pages and caches that it touches are then in the snapshot.
  static const char warm[] = "(function(){const x=JSON.parse('{\"a\":[1,2.5,null,true,\"b\"]}');return JSON.stringify(x)})()";
  JS_FreeValue(ctx, evaluate_own(warm, sizeof warm - 1, "<warm>"));
  JS_RunGC(runtime);
}

EXPORT("run:realloc") void *guest_realloc(void *old, uint32_t old_size, uint32_t align, uint32_t size) {
  return realloc(old, size);
}

// --- a call ---

// Runs jobs and timers until `promise` is settled, or until nothing is left to run. Gives 0 when something threw.
static int run_jobs(JSValueConst promise) {
  for (;;) {
    JSContext *job_context;
    int done;
    while ((done = JS_ExecutePendingJob(runtime, &job_context)) > 0) {}
    if (done < 0) return 0;
    if (JS_IsPromise(promise) && JS_PromiseState(ctx, promise) != JS_PROMISE_PENDING) return 1;
    double wait;
    JSValue next = JS_Call(ctx, next_timer, JS_UNDEFINED, 0, NULL);
    if (JS_IsException(next) || JS_ToFloat64(ctx, &wait, next)) return 0;
    if (wait < 0) return 1;
    if (wait > 0) host_sleep(wait);
    JSValue fired = JS_Call(ctx, fire_timer, JS_UNDEFINED, 0, NULL);
    if (JS_IsException(fired)) return 0;
    JS_FreeValue(ctx, fired);
  }
}

// Takes the value out of a settled promise. Gives NULL, or the failure.
static void *settle(JSValue *value, const char *never) {
  if (!run_jobs(*value)) return fail("exception");
  if (!JS_IsPromise(*value)) return NULL;
  JSPromiseStateEnum state = JS_PromiseState(ctx, *value);
  if (state == JS_PROMISE_PENDING) {
    JS_ThrowTypeError(ctx, "%s", never);
    return fail("exception");
  }
  JSValue result = JS_PromiseResult(ctx, *value);
  if (state == JS_PROMISE_REJECTED) return fail_with("exception", result);
  JS_FreeValue(ctx, *value);
  *value = result;
  return NULL;
}

static JSValue compile(const char *code, uint32_t length, int type) {
  return JS_Eval(ctx, code, length, FILE_NAME, type | JS_EVAL_FLAG_COMPILE_ONLY);
}

// Runs the code: as a script, or as a module when it is no script (`import`, `export`, `await` outside of functions).
static void *load(const char *code, uint32_t length, JSValue *module) {
  *module = JS_UNDEFINED;
  JSValue compiled = compile(code, length, JS_EVAL_TYPE_GLOBAL);
  if (!JS_IsException(compiled)) {
    JSValue value = JS_EvalFunction(ctx, compiled);
    if (JS_IsException(value)) return fail("exception");
    JS_FreeValue(ctx, value);
    return NULL;
  }
  JSValue errors[] = {JS_GetException(ctx), JS_UNDEFINED};
  compiled = compile(code, length, JS_EVAL_TYPE_MODULE);
  if (JS_IsException(compiled)) {
    errors[1] = JS_GetException(ctx);
    JSValue error = JS_Call(ctx, better, JS_UNDEFINED, 2, errors);
    return JS_IsException(error) ? fail("syntax") : fail_with("syntax", error);
  }
  JSModuleDef *definition = JS_VALUE_GET_PTR(compiled);
  JSValue value = JS_EvalFunction(ctx, compiled);
  if (JS_IsException(value)) return fail("exception");
  void *failed = settle(&value, "the code waits for a promise that never settles");
  if (failed) return failed;
  *module = JS_GetModuleNamespace(ctx, definition);
  return JS_IsException(*module) ? fail("exception") : NULL;
}

// `main` may be exported, a property of the global object, or a `const` of the script.
static JSValue find_main(JSValueConst module) {
  static const char lookup[] = "typeof main === 'undefined' ? undefined : main";
  if (JS_IsObject(module)) {
    JSValue exported = JS_GetPropertyStr(ctx, module, "main");
    if (!JS_IsUndefined(exported)) return exported;
  }
  JSValue global = JS_GetGlobalObject(ctx);
  JSValue found = JS_GetPropertyStr(ctx, global, "main");
  JS_FreeValue(ctx, global);
  if (!JS_IsUndefined(found)) return found;
  return JS_Eval(ctx, lookup, sizeof lookup - 1, "<lookup>", JS_EVAL_TYPE_GLOBAL);
}

static void *outputs(JSValue value) {
  if (JS_IsUndefined(value) || JS_IsNull(value)) return answer(0, "{}", 2);
  JSValue text = JS_JSONStringify(ctx, value, JS_UNDEFINED, JS_UNDEFINED);
  if (JS_IsException(text)) return fail("outputs");
  if (JS_IsUndefined(text)) {
    JS_ThrowTypeError(ctx, "`main` returned a function or a symbol, which is not JSON");
    return fail("outputs");
  }
  size_t length;
  const char *bytes = JS_ToCStringLen(ctx, &length, text);
  return bytes ? answer(0, bytes, length) : fail("outputs");
}

EXPORT("run") void *run(uint32_t script, const char *code, uint32_t code_length, const char *inputs, uint32_t inputs_length) {
  JS_UpdateStackTop(runtime);
  JSValue arguments = JS_ParseJSON(ctx, inputs, inputs_length, "<inputs>");
  if (JS_IsException(arguments)) return fail("inputs");

  JSValue module;
  void *failed = load(code, code_length, &module);
  if (failed) return failed;
  JSValue value = JS_UNDEFINED;
  if (!script) {
    JSValue function = find_main(module);
    if (JS_IsException(function)) return fail("exception");
    if (!JS_IsFunction(ctx, function)) {
      JS_ThrowTypeError(ctx, "the code defines no function `main`");
      return fail("main");
    }
    value = JS_Call(ctx, function, JS_UNDEFINED, 1, (JSValueConst *)&arguments);
    if (JS_IsException(value)) return fail("exception");
  }
  failed = settle(&value, "`main` waits for a promise that never settles");
  if (failed) return failed;
  JSValue reason = JS_Call(ctx, unhandled, JS_UNDEFINED, 0, NULL);
  if (JS_IsException(reason)) return fail("exception");
  if (JS_IsArray(reason)) return fail_with("exception", JS_GetPropertyUint32(ctx, reason, 0));
  return outputs(value);
}
