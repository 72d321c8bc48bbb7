// Run once in each new script engine, before any script of a plan. Afterwards nothing that two rows share can be
// changed: every object that a script can reach without making it itself is frozen, and code cannot be made from
// text.
(() => {
  "use strict";
  const { create, defineProperty, freeze, getOwnPropertyDescriptor, getPrototypeOf } = Object;
  const { ownKeys } = Reflect;

  // Setters of these keep their value in the engine itself, where freezing does not reach.
  delete Error.stackTraceLimit;
  delete Error.prepareStackTrace;

  // Jobs are never run, so what would queue one is misleading.
  delete globalThis.queueMicrotask;

  // No code from text.
  delete globalThis.eval;
  const refuse = {
    Function() {
      throw new TypeError("code cannot be made from text");
    },
  }.Function;
  const functions = [function () {}, function* () {}, async function () {}, async function* () {}];
  for (const made of functions) {
    defineProperty(getPrototypeOf(made), "constructor", { value: refuse });
  }
  const FunctionLike = function Function() {
    return refuse();
  };
  defineProperty(FunctionLike, "prototype", { value: getPrototypeOf(refuse), writable: false });
  defineProperty(globalThis, "Function", { value: FunctionLike });

  // An object may have its own property of a name that its frozen prototype has, by plain assignment:
  // `error.name = "X"`, `counts["constructor"] = 1`. Freezing alone would make the assignment throw.
  const letOverride = (proto) => {
    for (const key of ownKeys(proto)) {
      const { value, writable, configurable } = getOwnPropertyDescriptor(proto, key);
      if (!writable || !configurable) continue;
      defineProperty(proto, key, {
        get: () => value,
        set(own) {
          if (this === proto) throw new TypeError("built-in objects cannot be changed");
          defineProperty(this, key, { value: own, writable: true, enumerable: true, configurable: true });
        },
      });
    }
  };
  const errors = [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError];
  letOverride(Object.prototype);
  for (const error of errors) letOverride(error.prototype);

  // Prototypes that no global names are reached through something that has them.
  const lists = [[], new Map(), new Set(), "", "".matchAll(/x/g)];
  const iterators = lists.map((list) => list[Symbol.iterator]());
  const reachable = [
    globalThis,
    ...functions,
    ...functions.map((made) => made.prototype),
    ...iterators,
    [].values().map((x) => x),
    Iterator.from({ next: () => ({ done: true }) }),
    (function () {
      return arguments;
    })(),
  ];
  const seen = new Set();
  while (reachable.length > 0) {
    const found = reachable.pop();
    const isObject = (typeof found === "object" && found !== null) || typeof found === "function";
    if (!isObject || seen.has(found)) continue;
    seen.add(found);
    reachable.push(getPrototypeOf(found));
    for (const key of ownKeys(found)) {
      const { get, set, value } = getOwnPropertyDescriptor(found, key);
      reachable.push(get, set, value);
    }
  }
  for (const found of seen) freeze(found);
  return create(null);
})();
